import pytest
from pydantic import ValidationError

from voxgate.audio.codecs.formats import parse_format
from voxgate.protocols.speech.messages import CLIENT_MESSAGES, SERVER_MESSAGES, SessionStart


def test_a_session_that_names_nothing_gets_the_published_defaults() -> None:
    start = SessionStart()
    assert (start.model, start.voice, start.language) == ("valsea-tts-realtime", "valsea-neutral", None)
    assert (start.response_format, start.speed, start.normalization, start.audio_quality) == ("mp3", 1, "basic", 64)
    parse_format(start.response_format)


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("model", ["x", "x" * 200], ["", "x" * 201, 1]),
        ("voice", ["x", "x" * 100], ["", "x" * 101, ["alloy"]]),
        ("language", ["", "auto", "vietnamese", "x" * 100], ["x" * 101, 7, ["en"]]),
        ("response_format", ["mp3", "anything: the session says what it may be"], [3, None]),
        ("speed", [0.25, 1, 4, 4.0], [0.249, 4.001, "1", True, float("nan"), float("inf"), -1]),
        ("normalization", ["no", "basic", "advanced"], ["", "full", None, 0]),
        ("audio_quality", [32, 33, 320], [31, 321, 64.0, "64", True]),
    ],
)
def test_every_field_has_its_range(field: str, right: list[object], wrong: list[object]) -> None:
    for value in right:
        assert getattr(SessionStart.model_validate({field: value}), field) == value
    for value in wrong:
        with pytest.raises(ValidationError) as caught:
            SessionStart.model_validate({field: value})
        assert caught.value.errors()[0]["loc"] == (field,)


def test_fields_nobody_knows_are_ignored() -> None:
    for kind, model in CLIENT_MESSAGES.items():
        required = {name: "x" for name, info in model.model_fields.items() if info.is_required()}
        model.model_validate({"type": kind, "event_id": 7, **required})


def test_every_message_has_a_type_of_its_own() -> None:
    kinds = [message.__annotations__["type"].__args__[0] for message in SERVER_MESSAGES]
    assert len(set(kinds) | set(CLIENT_MESSAGES)) == len(kinds) + len(CLIENT_MESSAGES)
