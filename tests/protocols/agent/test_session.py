import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.calls import (
    AudioEnd,
    AudioOut,
    CallEnded,
    CallProblem,
    Control,
    ControlDone,
    ControlIn,
    EndReason,
    Latency,
    LatencyOut,
    PlayedIn,
    ReplyInterrupted,
    ReplyText,
    ReplyWhole,
    SpeechOut,
    Stage,
    StateOut,
    TextIn,
    TranscriptOut,
)
from voxgate.errors import Code, EngineError, PeerError
from voxgate.protocols.agent.messages import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    Audio,
    Command,
    End,
    OutputFormat,
    Start,
    Tell,
)
from voxgate.protocols.agent.session import AgentSession, Event, State, error_event, expiring_event


def session(voice: str | None = "alloy") -> AgentSession:
    return AgentSession(voice, instructions_characters=100)


def started(**options: Any) -> AgentSession:
    made = session()
    start = made.receive("start_session", [options])
    assert isinstance(start, Start)
    made.started("agent_1", start, None, 24_000)
    return made


def refused(made: AgentSession, event: str, *arguments: Any) -> tuple[Code, str | None]:
    with pytest.raises(PeerError) as caught:
        made.receive(event, arguments)
    return caught.value.code, caught.value.param


def sound(reply: int = 1, index: int = 0) -> AudioOut:
    return AudioOut(reply, index, np.zeros(240, np.float32), 24_000)


# the table


def test_nothing_but_a_start_is_heard_before_the_start() -> None:
    made = session()
    for event in CLIENT_EVENTS:
        if event != "start_session":
            assert refused(made, event, {"audio": "", "action": "pause", "text": "x"}) == (
                Code.SESSION_NOT_STARTED,
                None,
            )
    assert made.state is State.IDLE


def test_the_voice_of_the_connection_is_taken_where_the_start_names_none() -> None:
    start = session("mekdes").receive("start_session", [{}])
    assert isinstance(start, Start)
    assert start.voice == "mekdes"
    other = session("mekdes").receive("start_session", [{"voice": "alloy"}])
    assert isinstance(other, Start)
    assert other.voice == "alloy"
    assert refused(session(None), "start_session", {}) == (Code.MISSING_FIELD, "voice")


def test_reading_an_event_changes_nothing() -> None:
    made = session()
    made.receive("start_session", [{}])
    assert made.state is State.IDLE
    running = started()
    running.receive("end_session", [])
    assert running.state is State.STARTED


def test_a_second_start_is_an_error() -> None:
    assert refused(started(), "start_session", {}) == (Code.SESSION_ALREADY_STARTED, None)
    made = started()
    made.ending()
    assert refused(made, "start_session", {}) == (Code.SESSION_ALREADY_STARTED, None)


def test_what_crosses_the_end_on_the_way_is_passed_over_and_then_another_session_may_begin() -> None:
    made = started()
    made.ending()
    for event in ("audio_chunk", "control", "text", "playback", "end_session"):
        assert made.receive(event, [{}]) is None
    assert made.told(CallEnded(EndReason.CLIENT)) == [("session_ended", {"session_id": "agent_1", "status": "ended"})]
    assert isinstance(made.receive("start_session", [{}]), Start)


@pytest.mark.parametrize(
    ("event", "fields", "command"),
    [
        ("control", {"action": "interrupt"}, Tell(ControlIn(Control.INTERRUPT))),
        ("text", {"text": "Hello."}, Tell(TextIn("Hello."))),
        ("end_session", None, End()),
        ("end_session", {}, End()),
        ("audio_chunk", {"audio": "AAE="}, Audio(b"\0\1", "pcm16", None)),
        ("audio_chunk", {"audio": b"\0\1", "format": "webm"}, Audio(b"\0\1", "webm", None)),
        ("audio_chunk", {"audio": "AA\r\nE=", "sample_rate": 48000}, Audio(b"\0\1", "pcm16", 48000)),
        ("audio_chunk", {"audio": "data:audio/webm;base64,AAE="}, Audio(b"\0\1", "pcm16", None)),
        ("audio_chunk", {"audio": "AAE=", "format": "Audio/WebM;codecs=opus"}, Audio(b"\0\1", "webm", None)),
        ("audio_chunk", {"audio": ""}, Audio(b"", "pcm16", None)),
    ],
)
def test_what_events_ask_for(event: str, fields: Any, command: Command) -> None:
    assert started().receive(event, [fields]) == command


def test_an_event_without_anything() -> None:
    assert started().receive("end_session", []) == End()
    assert refused(started(), "control") == (Code.MISSING_FIELD, "action")


@pytest.mark.parametrize(
    ("event", "fields", "code", "param"),
    [
        ("dance", {}, Code.INVALID_VALUE, None),
        ("control", "pause", Code.INVALID_VALUE, None),
        ("control", ["pause"], Code.INVALID_VALUE, None),
        ("control", {}, Code.MISSING_FIELD, "action"),
        ("control", {"action": "explode"}, Code.INVALID_VALUE, "action"),
        ("text", {"text": " "}, Code.INVALID_VALUE, "text"),
        ("audio_chunk", {}, Code.MISSING_FIELD, "audio"),
        ("audio_chunk", {"audio": 7}, Code.INVALID_VALUE, "audio"),
        ("audio_chunk", {"audio": "%%%"}, Code.INVALID_AUDIO, "audio"),
        ("audio_chunk", {"audio": "AAE"}, Code.INVALID_AUDIO, "audio"),
        ("audio_chunk", {"audio": "AAE=", "sample_rate": "16000"}, Code.INVALID_VALUE, "sample_rate"),
    ],
)
def test_what_is_wrong_is_named(event: str, fields: Any, code: Code, param: str | None) -> None:
    assert refused(started(), event, fields) == (code, param)


@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"vad_threshold": -1}, Code.INVALID_VALUE, "vad_threshold"),
        ({"interrupt_threshold": 0}, Code.INVALID_VALUE, "interrupt_threshold"),
        ({"interrupt_threshold": 16}, Code.INVALID_VALUE, "interrupt_threshold"),
        ({"silence_ms": 99}, Code.INVALID_VALUE, "silence_ms"),
        ({"stall_ms": 5001}, Code.INVALID_VALUE, "stall_ms"),
        ({"output_format": "flac"}, Code.UNSUPPORTED_FORMAT, "output_format"),
        ({"instructions": "x" * 101}, Code.INPUT_TOO_LONG, "instructions"),
        ({"greeting": "x" * 101}, Code.INPUT_TOO_LONG, "greeting"),
    ],
)
def test_what_is_wrong_with_a_start(options: dict[str, Any], code: Code, param: str) -> None:
    made = session()
    assert refused(made, "start_session", options) == (code, param)
    assert made.state is State.IDLE


@pytest.mark.parametrize("named", ["mp3", "WAV", " opus ", "pcm16"])
def test_formats(named: str) -> None:
    assert started(output_format=named).output is OutputFormat(named.strip().lower())


# what is told


def test_the_greeting() -> None:
    event, told = session("mekdes").connected("sid_1")
    assert (event, told["status"], told["sid"], told["voice"]) == ("connected", "connected", "sid_1", "mekdes")
    assert "resumed" not in told
    assert session().connected("sid_1", resumed=True)[1]["resumed"] is True


def test_a_start_is_told_and_told_again_to_who_comes_back() -> None:
    made = started(output_format="pcm16")
    told = {"session_id": "agent_1", "voice": "alloy", "language": None, "output_format": "pcm16", "sample_rate": 24000}
    assert made.begun() == ("session_started", told)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (SpeechOut(True, 16_000), ("speech_started", {"at_ms": 1000})),
        (SpeechOut(False, 24_000), ("speech_stopped", {"at_ms": 1500})),
        (
            TranscriptOut(1, "Hello.", False, "en"),
            ("transcription", {"text": "Hello.", "is_final": False, "language": "en"}),
        ),
        (StateOut("hearing"), ("state", {"state": "hearing"})),
        (ReplyText(3, "Hi"), ("response_delta", {"text": "Hi", "response_id": "resp_3"})),
        (
            ReplyWhole(3, "Hi.", True, "en"),
            ("response", {"text": "Hi.", "response_id": "resp_3", "interrupted": True, "language": "en"}),
        ),
        (ReplyInterrupted(3, "Hi"), ("interrupted", {"response_id": "resp_3", "spoken_text": "Hi"})),
        (AudioEnd(3, 9), ("audio_end", {"total_chunks": 0, "response_id": "resp_3"})),
        (ControlDone(Control.PAUSE), ("control_ack", {"action": "pause", "status": "executed"})),
        (
            ControlDone(Control.INTERRUPT, "nothing is said"),
            ("control_ack", {"action": "interrupt", "status": "ignored", "reason": "nothing is said"}),
        ),
        (
            CallProblem(EngineError("it broke", engine="x")),
            ("error", {"type": "session_error", "code": "engine_error", "message": "it broke"}),
        ),
    ],
)
def test_what_a_call_tells(output: Any, told: Event) -> None:
    assert started().told(output) == [told]


def test_latency_names_every_stage_and_when_it_began() -> None:
    latency = Latency(endpointing=Stage(0, 500.04), stt_final=Stage(-300, 120), wire=Stage(620, 640))
    ((event, told),) = started().told(LatencyOut(2, latency))
    assert event == "latency"
    assert (told["response_id"], told["endpointing_ms"], told["stt_final_ms"]) == ("resp_2", 500.0, 420)
    assert (told["llm_first_token_ms"], told["wire_ms"], told["total_ms"]) == (None, 20, 640)
    assert told["starts_ms"] == {"endpointing": 0, "stt_final": -300, "wire": 620}
    assert set(told) == set(SERVER_EVENTS["latency"].__annotations__)


def test_chunks_are_counted_as_they_are_sent() -> None:
    made = started(output_format="wav")
    told = [made.sound(sound(1, index), b"abc", 24_000)[1] for index in (0, 2)]
    assert [chunk["index"] for chunk in told] == [0, 1]
    assert told[0] == {
        "audio": base64.b64encode(b"abc").decode(),
        "format": "wav",
        "sample_rate": 24_000,
        "index": 0,
        "response_id": "resp_1",
    }
    assert made.told(AudioEnd(1, 3)) == [("audio_end", {"total_chunks": 2, "response_id": "resp_1"})]
    assert made.sound(sound(2), b"", 24_000)[1]["index"] == 0


def test_audio_needs_to_be_encoded_first() -> None:
    with pytest.raises(TypeError, match="sound"):
        started().told(sound())


def test_a_position_is_in_samples_of_the_reply_that_is_sent() -> None:
    made = started()
    report = {"response_id": "resp_4", "played_ms": 1500}
    assert made.receive("playback", [report]) is None
    made.sound(sound(4), b"", 24_000)
    assert made.receive("playback", [report]) == Tell(PlayedIn(4, 36_000))
    assert made.receive("playback", [report | {"response_id": "resp_3"}]) is None


def test_errors_and_announcements() -> None:
    error = PeerError("no", code=Code.UNSUPPORTED_VOICE, param="voice")
    told = {"type": "validation_error", "code": "unsupported_voice", "message": "no", "param": "voice"}
    assert error_event(error) == ("error", told)
    assert expiring_event("credits", 29) == ("session_expiring", {"reason": "credits", "secondsLeft": 29})


# whatever comes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.dictionaries(
    st.sampled_from(sorted({name for kind in CLIENT_EVENTS.values() for name in kind.model_fields})), json_values
)


@given(
    event=st.sampled_from(sorted(CLIENT_EVENTS)) | st.text(),
    arguments=st.lists(fields | json_values, max_size=2),
    state=st.sampled_from(State),
)
def test_whatever_is_sent_is_a_command_or_the_clients_error(event: str, arguments: list[Any], state: State) -> None:
    made = session()
    made.state = state
    try:
        command = made.receive(event, arguments)
    except PeerError as error:
        name, told = error_event(error)
        assert name == "error"
        assert told["type"] in ("validation_error", "session_error", "audio_error")
        assert json.dumps(told)
        assert len(told["message"]) < 1000
    else:
        assert command is None or isinstance(command, Start | Audio | Tell | End)
    assert made.state is state


@given(st.binary(max_size=100))
def test_audio_is_the_same_as_bytes_and_as_base64(data: bytes) -> None:
    as_text = started().receive("audio_chunk", [{"audio": base64.b64encode(data).decode()}])
    assert as_text == started().receive("audio_chunk", [{"audio": data}]) == Audio(data, "pcm16", None)
