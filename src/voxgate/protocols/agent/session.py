"""One client of the voice agent: what each event asks for where the session stands, and how a call is told. Pure.

    event                              IDLE            STARTED                    ENDING
    start_session                      Start           error: already started     error: already started
    audio_chunk                        error           Audio                      (nothing)
    control, text, playback            error           Tell                       (nothing)
    end_session                        error           End                        (nothing)

`receive` only reads: an event that is wrong, or refused further in, leaves the session as it was. Whoever carries a
command out says so (`started`, `ending`), which moves the session on. What still comes behind an `end_session` crossed
it on the way. After `session_ended` the session is IDLE again: a connection may hold one after the other.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from voxgate.calls import (
    AudioEnd,
    AudioOut,
    CallEnded,
    CallOutput,
    CallProblem,
    Control,
    ControlDone,
    ControlIn,
    ImageOut,
    Latency,
    LatencyOut,
    PlayedIn,
    ReplyInterrupted,
    ReplyText,
    ReplyWhole,
    SpeechOut,
    SpokenOut,
    StateOut,
    TextIn,
    TranscriptOut,
)
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError, VoxgateError
from voxgate.protocols.agent.messages import (
    CLIENT_EVENTS,
    Audio,
    AudioChunk,
    AudioEnded,
    AudioOutChunk,
    Command,
    Connected,
    ControlAck,
    ControlEvent,
    End,
    EndSession,
    ErrorTold,
    Interrupted,
    LatencyTold,
    OutputFormat,
    Playback,
    Response,
    ResponseDelta,
    SessionEnded,
    SessionExpiring,
    SessionStarted,
    SpeechEdge,
    Start,
    StartSession,
    StateTold,
    Tell,
    TextEvent,
    Transcription,
)
from voxgate.protocols.realtime import read
from voxgate.protocols.status import STATUS

Event = tuple[str, Mapping[str, Any]]
"""A Socket.IO event and what it carries."""

_WHITE = {ord(white): None for white in " \t\r\n"}
_SHOWN = 40  # characters of a client's own words that a complaint repeats
_STAGES = ("endpointing", "stt_final", "first_token", "first_clause", "first_audio", "wire")


class State(StrEnum):
    """Where a session stands."""

    IDLE = "idle"
    STARTED = "started"
    ENDING = "ending"


class AgentSession:
    """The table above. It outlives a connection that breaks."""

    def __init__(self, voice: str | None, *, instructions_characters: int) -> None:
        """`voice`: the connection's, for a `start_session` without one. `instructions_characters`: most of a prompt."""
        self.state = State.IDLE
        self.id = ""
        """Of the session, while there is one."""
        self.output = OutputFormat.MP3
        """What the voice of the session comes in."""
        self._voice = voice
        self._instructions_characters = instructions_characters
        self._begun: Event = ("session_started", {})
        self._rates: tuple[int, int] | None = None
        """The reply that is being sent, and its rate."""
        self._chunks = 0

    # what clients send

    def receive(self, event: str, arguments: Sequence[Any]) -> Command | None:
        """What an event asks for; None for nothing. Raises PeerError."""
        kind = CLIENT_EVENTS.get(event)
        if kind is None:
            known = ", ".join(CLIENT_EVENTS)
            raise PeerError(f"there is no event {event[:_SHOWN]!r}; use one of {known}")
        fields = arguments[0] if arguments and arguments[0] is not None else {}
        if not isinstance(fields, dict):
            raise PeerError(f"{event!r} carries an object")
        if self.state is State.ENDING and kind is not StartSession:
            return None
        if self.state is State.IDLE and kind is not StartSession:
            raise PeerError("no session is running; send start_session first", code=Code.SESSION_NOT_STARTED)
        message = read(kind, fields)
        match message:
            case StartSession():
                return self._start(message)
            case AudioChunk():
                data = message.audio if isinstance(message.audio, bytes) else _from_base64(message.audio)
                return Audio(data, _label(message.format), message.sample_rate)
            case ControlEvent():
                return Tell(ControlIn(Control(message.action)))
            case TextEvent():
                return Tell(TextIn(message.text))
            case Playback():
                return self._played(message)
            case _:
                assert isinstance(message, EndSession)
                return End()

    def started(self, session_id: str, start: Start, language: str | None, sample_rate: int) -> Event:
        """A session has begun. `language`: BCP-47 tag of its replies; `sample_rate`: of its voice."""
        self.state, self.id, self.output = State.STARTED, session_id, start.output
        self._rates, self._chunks = None, 0
        self._begun = (
            "session_started",
            SessionStarted(
                session_id=session_id,
                voice=start.voice,
                language=language,
                output_format=start.output.value,
                sample_rate=sample_rate,
            ),
        )
        return self._begun

    def ending(self) -> None:
        """The client wants no more; `session_ended` follows."""
        self.state = State.ENDING

    # what clients are told

    def connected(self, sid: str, *, resumed: bool | None = None) -> Event:
        """The credential is good. `resumed`: whether the session that was named goes on; None where none was named."""
        told = Connected(
            status="connected",
            sid=sid,
            voice=self._voice,
            message="The session goes on." if resumed else "Connected. Send start_session to begin.",
        )
        if resumed is not None:
            told["resumed"] = resumed
        return "connected", told

    def begun(self) -> Event:
        """`session_started` once more, for a client that comes back to its session."""
        return self._begun

    def told(self, output: CallOutput) -> list[Event]:
        """What a call tells, but for AudioOut, which is encoded before: see `sound`."""
        match output:
            case SpeechOut(started, at):
                edge = SpeechEdge(at_ms=at * 1000 // SPEECH_RATE)
                return [("speech_started" if started else "speech_stopped", edge)]
            case TranscriptOut(_, text, final, language):
                return [("transcription", Transcription(text=text, is_final=final, language=language))]
            case StateOut(state):
                return [("state", StateTold(state=state))]
            case ReplyText(reply, text):
                return [("response_delta", ResponseDelta(text=text, response_id=_response_id(reply)))]
            case ReplyWhole(reply, text, interrupted, language):
                response = Response(
                    text=text, response_id=_response_id(reply), interrupted=interrupted, language=language
                )
                return [("response", response)]
            case ReplyInterrupted(reply, spoken):
                return [("interrupted", Interrupted(response_id=_response_id(reply), spoken_text=spoken))]
            case AudioEnd(reply):
                chunks, self._chunks = (self._chunks if self._is_current(reply) else 0), 0
                return [("audio_end", AudioEnded(total_chunks=chunks, response_id=_response_id(reply)))]
            case ControlDone(action, ignored):
                ack = ControlAck(action=action.value, status="ignored" if ignored else "executed")
                if ignored:
                    ack["reason"] = ignored
                return [("control_ack", ack)]
            case CallProblem(error):
                return [error_event(error)]
            case LatencyOut(reply, latency):
                return [("latency", _latency(reply, latency))]
            case CallEnded():
                ended = SessionEnded(session_id=self.id, status="ended")
                self.state, self.id = State.IDLE, ""
                return [("session_ended", ended)]
            case SpokenOut() | ImageOut():
                return []  # of calls in rooms
            case AudioOut():
                raise TypeError("audio is told by `sound`")

    def sound(self, output: AudioOut, encoded: bytes, sample_rate: int) -> Event:
        """A chunk of a reply's voice. `encoded`: in the session's format, at `sample_rate`."""
        if not self._is_current(output.reply):
            self._rates, self._chunks = (output.reply, output.rate), 0
        index, self._chunks = self._chunks, self._chunks + 1
        return (
            "audio_chunk",
            AudioOutChunk(
                audio=base64.b64encode(encoded).decode(),
                format=self.output.value,
                sample_rate=sample_rate,
                index=index,
                response_id=_response_id(output.reply),
            ),
        )

    # inside

    def _is_current(self, reply: int) -> bool:
        return self._rates is not None and self._rates[0] == reply

    def _start(self, options: StartSession) -> Start:
        if self.state is not State.IDLE:
            raise PeerError(
                "a session is running on this connection; send end_session before another one",
                code=Code.SESSION_ALREADY_STARTED,
            )
        voice = options.voice or self._voice
        if voice is None:
            raise PeerError("'voice' is required", code=Code.MISSING_FIELD, param="voice")
        for param, text in (("instructions", options.instructions), ("greeting", options.greeting)):
            if len(text) > self._instructions_characters:
                raise PeerError(
                    f"'{param}' has {len(text):,} characters; {self._instructions_characters:,} are allowed "
                    "(agent.instructions_characters)",
                    code=Code.INPUT_TOO_LONG,
                    param=param,
                )
        try:
            output = OutputFormat(options.output_format.strip().lower())
        except ValueError:
            known = ", ".join(OutputFormat)
            raise PeerError(
                f"'output_format': {options.output_format[:_SHOWN]!r} is none of {known}",
                code=Code.UNSUPPORTED_FORMAT,
                param="output_format",
            ) from None
        return Start(options, voice, output)

    def _played(self, message: Playback) -> Tell | None:
        """None for what is no longer sent: its end crossed the report on the way."""
        if self._rates is None or message.response_id != _response_id(self._rates[0]):
            return None
        reply, rate = self._rates
        return Tell(PlayedIn(reply, message.played_ms * rate // 1000))


def error_event(error: VoxgateError) -> Event:
    """`error` `{"type", "code", "message", "param"?}`."""
    told = ErrorTold(type=STATUS[error.code].agent, code=error.code.value, message=error.message)
    if error.param is not None:
        told["param"] = error.param
    return "error", told


def expiring_event(reason: str, seconds_left: int) -> Event:
    """`session_expiring`: which limit will end the session, and when."""
    return "session_expiring", SessionExpiring(reason=reason, secondsLeft=seconds_left)


def _response_id(reply: int) -> str:
    return f"resp_{reply}"


def _latency(reply: int, latency: Latency) -> LatencyTold:
    stages = {name: getattr(latency, name) for name in _STAGES}
    lasted = {name: None if stage is None else round(stage.ms, 1) for name, stage in stages.items()}
    total = latency.total_ms
    return LatencyTold(
        response_id=_response_id(reply),
        endpointing_ms=lasted["endpointing"],
        stt_final_ms=lasted["stt_final"],
        llm_first_token_ms=lasted["first_token"],
        first_clause_ms=lasted["first_clause"],
        tts_first_audio_ms=lasted["first_audio"],
        wire_ms=lasted["wire"],
        total_ms=None if total is None else round(total, 1),
        starts_ms={name: round(stage.start_ms, 1) for name, stage in stages.items() if stage is not None},
    )


def _label(label: str) -> str:
    """A label as `audio.codecs.recording` knows them: browsers say `audio/webm;codecs=opus` for `webm`."""
    return label.strip().lower().partition(";")[0].removeprefix("audio/")


def _from_base64(text: str) -> bytes:
    """The bytes of base64, also behind the `data:…;base64,` that browsers put before it. Raises PeerError."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    try:  # MIME's base64, which some encoders write by default, has line breaks
        return binascii.a2b_base64(text.translate(_WHITE), strict_mode=True)
    except ValueError:
        raise PeerError("'audio' is not base64", code=Code.INVALID_AUDIO, param="audio") from None
