"""The fields of `session.start`: their defaults, their edges, and what is none of them."""

from typing import Any, get_type_hints

import pytest

from voxgate.domain import Partials
from voxgate.errors import Code, PeerError
from voxgate.protocols.live.messages import SERVER_MESSAGES, SessionStart, TurnDetection
from voxgate.protocols.realtime import read


def start(**fields: Any) -> SessionStart:
    return read(SessionStart, {"type": "session.start"} | fields, keep_null={"turn_detection"})


def refusal(**fields: Any) -> PeerError:
    with pytest.raises(PeerError) as caught:
        start(**fields)
    return caught.value


def test_what_is_left_out_has_the_published_defaults() -> None:
    bare = start()
    assert (bare.model, bare.language, bare.hint_text, bare.enable_correction) == (None, None, "", True)
    assert (bare.encoding, bare.sample_rate, bare.stall_ms) == ("pcm16", None, 1500)
    assert bare.turn_detection == TurnDetection(silence_ms=500, threshold=0.5)
    assert (bare.speech_events, bare.words, bare.showing) == (True, False, Partials.FAST)


def test_turn_detection_may_be_switched_off() -> None:
    assert start(turn_detection=None).turn_detection is None
    assert start(turn_detection={"threshold": 1}).turn_detection == TurnDetection(threshold=1.0)


def test_every_other_null_means_absent() -> None:
    names = set(SessionStart.model_fields) - {"turn_detection"}
    assert start(**dict.fromkeys(names)) == start()


def test_extras_are_ignored() -> None:
    assert start(voice="aria", turn_detection={"type": "server_vad"}) == start()


@pytest.mark.parametrize(
    ("field", "lowest", "highest"), [("sample_rate", 8000, 48000), ("stall_ms", 200, 5000), ("silence_ms", 100, 5000)]
)
def test_numbers_at_their_edges(field: str, lowest: int, highest: int) -> None:
    def fields(value: Any) -> dict[str, Any]:
        return {"turn_detection": {field: value}} if field == "silence_ms" else {field: value}

    param = f"turn_detection.{field}" if field == "silence_ms" else field
    for value in (lowest, highest):
        start(**fields(value))
    unfit: list[Any] = [lowest - 1, highest + 1, str(lowest), lowest + 0.5, True, [lowest]]
    for value in unfit:
        wrong = refusal(**fields(value))
        assert (wrong.code, wrong.param) == (Code.INVALID_VALUE, param)
        assert param in wrong.message


def test_the_threshold_is_a_probability() -> None:
    for value in (0, 0.0, 0.01, 1):
        start(turn_detection={"threshold": value})
    unfit: list[Any] = [-0.01, 1.01, "0.5", True]
    for value in unfit:
        assert refusal(turn_detection={"threshold": value}).param == "turn_detection.threshold"


@pytest.mark.parametrize("field", ["enable_correction", "speech_events", "words"])
def test_switches_are_true_or_false(field: str) -> None:
    assert getattr(start(**{field: True}), field) is True
    unfit: list[Any] = ["true", 1, [], {}]
    for value in unfit:
        assert refusal(**{field: value}).param == field


@pytest.mark.parametrize(
    ("field", "values"),
    [("encoding", ["pcm16", "mulaw", "opus", "opus_packets"]), ("partials", ["fast", "calm", "off"])],
)
def test_choices(field: str, values: list[str]) -> None:
    for value in values:
        assert getattr(start(**{field: value}), field) == value
    unfit: list[Any] = ["PCM16", "", 1]
    for value in unfit:
        assert refusal(**{field: value}).param == field


@pytest.mark.parametrize("field", ["model", "hint_text", "language"])
def test_texts_are_strings(field: str) -> None:
    unfit: list[Any] = [1, {}, True]
    for value in unfit:
        assert refusal(**{field: value}).param == field


def test_model_names_have_a_length() -> None:
    start(model="m" * 200)
    assert refusal(model="m" * 201).param == refusal(model="").param == "model"


def test_languages_come_as_text_or_as_a_list() -> None:
    assert start(language="vi, en").language == "vi, en"
    assert start(language=["vi", "english"]).language == "vi,english"
    assert start(language="").language == ""
    assert start(language=["en"] * 20).language == ",".join(["en"] * 20)
    unfit: list[Any] = [[], [1], ["en"] * 21, [["en"]]]
    for value in unfit:
        assert refusal(language=value).param == "language"


def test_every_server_message_has_a_type_of_its_own() -> None:
    kinds = [get_type_hints(message)["type"].__args__[0] for message in SERVER_MESSAGES]
    assert len(set(kinds)) == len(kinds) == 10
