import pytest
from pydantic import ValidationError

from voxgate.protocols.agent.messages import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    AudioChunk,
    ControlEvent,
    Playback,
    StartSession,
    TextEvent,
)


def test_a_session_that_names_nothing_gets_the_published_defaults() -> None:
    start = StartSession()
    assert (start.vad_threshold, start.interrupt_threshold, start.stall_ms) == (600, 8, 700)
    assert (start.voice, start.language, start.silence_ms, start.output_format) == (None, None, None, "mp3")
    assert (start.instructions, start.greeting, start.echo_guard) == ("", "", False)


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("voice", ["x", "x" * 100], ["", "x" * 101, 7, ["mekdes"]]),
        ("language", ["am", "auto", ""], ["x" * 101, 7, ["am"]]),
        ("instructions", ["", "You are a helpful assistant."], [7, ["x"]]),
        ("vad_threshold", [0, 600, 600.0, 32_767], [-1, 32_768, 0.5, "600", True, float("nan"), float("inf")]),
        ("interrupt_threshold", [1, 8, 15, 15.0], [0, 16, -1, 1.5, "8", True]),
        ("silence_ms", [100, 5_000, 700.0], [99, 5_001, "500", True]),
        ("stall_ms", [200, 5_000], [199, 5_001, None]),
        ("output_format", ["mp3", "anything: the session says what it may be"], [3, None]),
        ("echo_guard", [True, False], [1, "true"]),
    ],
)
def test_every_field_has_its_range(field: str, right: list[object], wrong: list[object]) -> None:
    for value in right:
        assert getattr(StartSession.model_validate({field: value}), field) == value
    for value in wrong:
        with pytest.raises(ValidationError) as caught:
            StartSession.model_validate({field: value})
        assert caught.value.errors()[0]["loc"] == (field,)


def test_audio_is_bytes_or_text_and_is_labelled_as_the_published_sample_labels_it() -> None:
    chunk = AudioChunk.model_validate({"audio": "AAAA", "format": "pcm16", "sample_rate": 16000})
    assert (chunk.audio, chunk.format, chunk.sample_rate) == ("AAAA", "pcm16", 16000)
    assert AudioChunk.model_validate({"audio": b"\0\0"}) == AudioChunk(audio=b"\0\0", format="pcm16", sample_rate=None)
    for wrong in ({}, {"audio": None}, {"audio": 1}, {"audio": [0, 0]}, {"audio": "AAAA", "format": ""}):
        with pytest.raises(ValidationError):
            AudioChunk.model_validate(wrong)


@pytest.mark.parametrize("action", ["interrupt", "start_listening", "stop_listening", "pause", "resume"])
def test_controls_that_exist(action: str) -> None:
    assert ControlEvent.model_validate({"action": action}).action == action


@pytest.mark.parametrize("fields", [{}, {"action": "explode"}, {"action": 1}, {"action": ["pause"]}])
def test_controls_that_do_not(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ControlEvent.model_validate(fields)


def test_what_is_written_says_something() -> None:
    assert TextEvent.model_validate({"text": " Hello. "}).text == " Hello. "
    for wrong in ("", " \n", "x" * 10_001, 7):
        with pytest.raises(ValidationError):
            TextEvent.model_validate({"text": wrong})


def test_a_position_is_not_negative() -> None:
    assert Playback.model_validate({"response_id": "resp_1", "played_ms": 1500.0}).played_ms == 1500
    with pytest.raises(ValidationError):
        Playback.model_validate({"response_id": "resp_1", "played_ms": -1})


def test_fields_nobody_knows_are_ignored() -> None:
    right: dict[str, dict[str, object]] = {
        "control": {"action": "pause"},
        "text": {"text": "x"},
        "audio_chunk": {"audio": ""},
    }
    right |= {"playback": {"response_id": "resp_1", "played_ms": 0}}
    for name, kind in CLIENT_EVENTS.items():
        kind.model_validate({"event_id": 7, **right.get(name, {})})


def test_speech_and_prompts_are_in_no_repr() -> None:
    told = (
        StartSession(instructions="secret", greeting="secret"),
        AudioChunk(audio="secret"),
        TextEvent(text="secret"),
    )
    assert "secret" not in repr(told)


def test_every_event_of_the_contract_has_its_fields() -> None:
    fields = {name: set(kind.__annotations__) for name, kind in SERVER_EVENTS.items()}
    assert {"status", "sid", "voice", "message"} <= fields["connected"]
    assert {"session_id", "voice", "language", "output_format", "sample_rate"} == fields["session_started"]
    assert {"text", "is_final", "language"} == fields["transcription"]
    assert {"text"} <= fields["response_delta"]
    assert {"text", "response_id", "interrupted"} <= fields["response"]
    assert {"audio", "format", "sample_rate", "index", "response_id"} == fields["audio_chunk"]
    assert {"total_chunks", "response_id"} == fields["audio_end"]
    assert {"response_id", "spoken_text"} == fields["interrupted"]
    assert {"session_id", "status"} == fields["session_ended"]
    assert {"type", "code", "message", "param"} == fields["error"]
