"""Every event of the voice agent on one page: what clients send, and what they are told.

Names are those of the wire. docs/protocols/agent.md explains.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field, field_validator

from voxgate.calls import CallInput

NAMESPACE = "/v1/audio/agent"
"""The Socket.IO namespace."""


class OutputFormat(StrEnum):
    """What the bot's voice comes in."""

    MP3 = "mp3"
    WAV = "wav"
    OPUS = "opus"
    PCM16 = "pcm16"
    """Signed 16-bit little-endian, mono, without a header: a stream, not files."""


class _Event(BaseModel):
    """Fields nobody here knows are ignored: clients send extras."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, use_attribute_docstrings=True)


def _whole(value: object) -> object:
    """A whole number as writers of JSON in other languages send it: 600.0 is 600."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class StartSession(_Event):
    """`start_session`: a conversation begins."""

    voice: str | None = Field(default=None, min_length=1, max_length=100)
    """Who speaks; absent: the voice the connection was made with."""
    language: str | None = Field(default=None, max_length=100)
    """English name, ISO 639 code or BCP-47 tag of the replies; absent or `auto`: the language that is spoken."""
    instructions: str = Field(default="", repr=False)
    """The system prompt."""
    greeting: str = Field(default="", repr=False)
    """What the bot says first, word for word; empty: it waits."""
    vad_threshold: int = Field(default=600, ge=0, le=32_767)
    """RMS on the 16-bit scale under which nothing is speech, on top of the voice detector."""
    interrupt_threshold: int = Field(default=8, ge=1, le=15)
    """Consecutive 32 ms windows of speech that interrupt the bot: lower is easier."""
    silence_ms: int | None = Field(default=None, ge=100, le=5_000)
    """The exact silence that ends a turn; absent: it is judged from sound and words."""
    stall_ms: int = Field(default=700, ge=200, le=5_000)
    """Audio that stops arriving for so long ends the turn."""
    output_format: str = OutputFormat.MP3.value
    """`mp3`, `wav`, `opus`: each chunk a file of its own, sent when the one before was played. `pcm16`: a stream."""
    echo_guard: bool = False
    """Whether the client has no echo cancellation, so that the bot may hear itself."""

    _whole_numbers = field_validator("vad_threshold", "interrupt_threshold", "silence_ms", "stall_ms", mode="before")(
        _whole
    )


class AudioChunk(_Event):
    """`audio_chunk`: what the microphone recorded next."""

    audio: str | bytes = Field(repr=False)
    """Base64, or the bytes themselves."""
    format: str = Field(default="pcm16", min_length=1, max_length=100)
    """What it is, where it has no header; of what has one, the header is believed."""
    sample_rate: int | None = None
    """Samples per second of what has no header; absent: 16000, of `mulaw` 8000."""

    @field_validator("audio", mode="before")
    @classmethod
    def _encoded_or_not(cls, value: object) -> object:
        if not isinstance(value, str | bytes):
            raise ValueError("is base64, or bytes")  # noqa: TRY004 - pydantic's
        return value

    _whole_rate = field_validator("sample_rate", mode="before")(_whole)


class ControlEvent(_Event):
    """`control`."""

    action: Literal["interrupt", "start_listening", "stop_listening", "pause", "resume"]


class TextEvent(_Event):
    """`text`: a turn that was written."""

    text: str = Field(max_length=10_000, repr=False)

    @field_validator("text")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        return value


class Playback(_Event):
    """`playback`: how much of a reply the client has played, where it knows better than the clock."""

    response_id: str = Field(max_length=100)
    played_ms: int = Field(ge=0, le=86_400_000)

    _whole_ms = field_validator("played_ms", mode="before")(_whole)


class EndSession(_Event):
    """`end_session`: the conversation is over."""


CLIENT_EVENTS: dict[str, type[_Event]] = {
    "start_session": StartSession,
    "audio_chunk": AudioChunk,
    "control": ControlEvent,
    "text": TextEvent,
    "playback": Playback,
    "end_session": EndSession,
}
"""Event -> what it carries."""


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a session."""

    options: StartSession
    voice: str
    """Of the options, or of the connection."""
    output: OutputFormat


@dataclass(frozen=True, slots=True)
class Audio:
    """Hear this."""

    data: bytes
    label: str
    sample_rate: int | None


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand it to the conversation."""

    what: CallInput


@dataclass(frozen=True, slots=True)
class End:
    """End the session."""


Command = Start | Audio | Tell | End
"""What an event asks for."""


class Connected(TypedDict):
    """`connected`: the credential is good."""

    status: Literal["connected"]
    sid: str
    voice: str | None
    message: str
    resumed: NotRequired[bool]
    """Whether the session that `auth.resume` named goes on; absent where none was named."""


class SessionStarted(TypedDict):
    """`session_started`: audio may come; again when a session is resumed."""

    session_id: str
    voice: str
    language: str | None
    """BCP-47 tag of the replies; null: whatever is spoken."""
    output_format: str
    sample_rate: int


class Transcription(TypedDict):
    """`transcription`: what was said; partials, then one final."""

    text: str
    is_final: bool
    language: str


class ResponseDelta(TypedDict):
    """`response_delta`: more of a reply's text."""

    text: str
    response_id: str


class Response(TypedDict):
    """`response`: a reply's text, once: when it is complete, or when the reply is cut before."""

    text: str
    response_id: str
    interrupted: bool
    language: str


class AudioOutChunk(TypedDict):
    """`audio_chunk`: the next of a reply's voice."""

    audio: str
    """Base64."""
    format: str
    sample_rate: int
    index: int
    response_id: str


class AudioEnded(TypedDict):
    """`audio_end`: no more audio of the reply comes."""

    total_chunks: int
    response_id: str


class Interrupted(TypedDict):
    """`interrupted`: the reply was cut; fall silent."""

    response_id: str
    spoken_text: str
    """What was heard of it."""


class SpeechEdge(TypedDict):
    """`speech_started`, `speech_stopped`: the detector's edges in the audio of the session."""

    at_ms: int


class StateTold(TypedDict):
    """`state`: who has the floor."""

    state: str


class LatencyTold(TypedDict):
    """`latency`: where the time to an answer went. null: there was no such stage, or it did not end."""

    response_id: str
    endpointing_ms: float | None
    stt_final_ms: float | None
    llm_first_token_ms: float | None
    first_clause_ms: float | None
    tts_first_audio_ms: float | None
    wire_ms: float | None
    total_ms: float | None
    starts_ms: dict[str, float]
    """Stage -> when it began, in milliseconds after the person stopped speaking."""


class ControlAck(TypedDict):
    """`control_ack`: what became of a `control`."""

    action: str
    status: Literal["executed", "ignored"]
    reason: NotRequired[str]
    """Why it was ignored."""


class SessionExpiring(TypedDict):
    """`session_expiring`: a limit will end the session."""

    reason: str
    secondsLeft: int


class SessionEnded(TypedDict):
    """`session_ended`: the last of a session."""

    session_id: str
    status: Literal["ended"]


class ErrorTold(TypedDict):
    """`error`: something went wrong."""

    type: str
    code: str
    message: str
    param: NotRequired[str]


SERVER_EVENTS: dict[str, type] = {
    "connected": Connected,
    "session_started": SessionStarted,
    "transcription": Transcription,
    "response_delta": ResponseDelta,
    "response": Response,
    "audio_chunk": AudioOutChunk,
    "audio_end": AudioEnded,
    "interrupted": Interrupted,
    "speech_started": SpeechEdge,
    "speech_stopped": SpeechEdge,
    "state": StateTold,
    "latency": LatencyTold,
    "control_ack": ControlAck,
    "session_expiring": SessionExpiring,
    "session_ended": SessionEnded,
    "error": ErrorTold,
}
"""Everything a client can be told: event -> what it carries."""
