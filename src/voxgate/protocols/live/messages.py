"""Every message of live transcription on one page: what clients send, and what they are told.

Names are those of the wire, where `sessionId` and `raw_text` stand side by side. docs/protocols/live.md explains.
"""

from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field, field_validator

from voxgate.audio.codecs.stream import MAX_RATE, MIN_RATE, Encoding
from voxgate.domain import Partials
from voxgate.protocols.sockets import Error, SessionClosed, SessionExpiring

DEFAULT_MODEL = "valsea-rtt"
"""Who hears where neither `session.start` nor the address names a model."""

_MOST_LANGUAGES = 20  # in a list; nobody tells more apart


class _Message(BaseModel):
    """Fields nobody here knows are ignored: clients send extras."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, use_attribute_docstrings=True)


class TurnDetection(_Message):
    """When the server takes a pause for the end of a segment."""

    silence_ms: int = Field(default=500, ge=100, le=5000)
    """Silence that ends a segment."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Probability from which the voice detector's opinion counts as speech: higher hears less."""


class SessionStart(_Message):
    """`session.start`: how this session is heard."""

    model: str | None = Field(default=None, min_length=1, max_length=200)
    """A name of `supported_models`; absent: that of the address (`?model=`), else `valsea-rtt`."""
    hint_text: str = ""
    """Words that are likely to occur, separated by commas or in a sentence."""
    enable_correction: bool = True
    """Fillers, stutters, spoken numbers, spelling and capitals put right; `raw_text` keeps what was heard."""
    language: str | None = Field(default=None, max_length=1000)
    """English name, ISO 639 code or BCP-47 tag: heard as that. Several, separated by commas or as a list: told apart
    among these. `auto`: told apart among those heard well. Absent: that of the model's name, else as `auto`."""
    sample_rate: int | None = Field(default=None, ge=MIN_RATE, le=MAX_RATE)
    """Samples per second of what is sent; absent: 16000, of `mulaw` 8000. Opus says it itself."""
    encoding: Encoding = "pcm16"
    """`pcm16`: signed, little-endian, mono. `mulaw`: G.711. `opus`: an Ogg stream. `opus_packets`: one a message."""
    turn_detection: TurnDetection | None = TurnDetection()
    """null: only `audio.commit` and `session.stop` end a segment."""
    stall_ms: int = Field(default=1500, ge=200, le=5000)
    """Audio that stops arriving for so long ends the segment; without effect where `turn_detection` is null."""
    speech_events: bool = True
    """Whether `input.speech_started` and `input.speech_stopped` are told."""
    words: bool = False
    """Whether finals carry `words`."""
    partials: Literal["fast", "calm", "off"] = "fast"
    """`calm` takes fewer words back and shows them later; `off` sends finals alone."""

    @field_validator("language", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        if isinstance(value, list):
            if not value or len(value) > _MOST_LANGUAGES or not all(isinstance(name, str) for name in value):
                raise ValueError(f"is a string, or a list of 1 to {_MOST_LANGUAGES} strings")
            return ",".join(value)
        return value

    @property
    def showing(self) -> Partials:
        """`partials` as the nouns name it."""
        return Partials(self.partials)


NULL_SAYS_SOMETHING = frozenset({"turn_detection"})
"""Fields of `session.start` that are not absent where they are null."""


@dataclass(frozen=True, slots=True)
class Start:
    """`session.start`."""

    options: SessionStart


@dataclass(frozen=True, slots=True)
class Audio:
    """`audio.append`, `{"audio": BASE64}`, or a binary frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """`audio.commit`: the segment ends here; exactly one final answers."""


@dataclass(frozen=True, slots=True)
class Stop:
    """`session.stop`: what is pending gets its final, then the session ends."""


Command = Start | Audio | Commit | Stop
"""What a client's message asks for."""

CLIENT_MESSAGES = ("session.start", "audio.append", "audio.commit", "session.stop")
"""The `type` of everything a client may send."""


class SessionCreated(TypedDict):
    """Right after the handshake."""

    type: Literal["session.created"]
    sessionId: str
    supported_models: list[str]


class SessionReady(TypedDict):
    """`session.start` was accepted, and somebody listens."""

    type: Literal["session.ready"]
    sessionId: str


class TranscriptPartial(TypedDict):
    """What a segment says so far; the next one may say otherwise."""

    type: Literal["transcript.partial"]
    text: str
    isFinal: Literal[False]
    timestampMs: int
    segmentId: str
    startMs: int
    language: str


class CorrectionMade(TypedDict):
    """One change to `raw_text`; offsets count its code points."""

    original: str
    corrected: str
    start: int
    end: int
    type: str


class WordHeard(TypedDict):
    """One word of `raw_text` and where it lies in the session's audio."""

    word: str
    startMs: int
    endMs: int
    confidence: float | None


class TranscriptFinal(TypedDict):
    """What a segment says, for good."""

    type: Literal["transcript.final"]
    text: str
    raw_text: str
    isFinal: Literal[True]
    timestampMs: int
    corrections: list[CorrectionMade]
    segmentId: str
    startMs: int
    language: str
    words: NotRequired[list[WordHeard]]


class SpeechStarted(TypedDict):
    """The voice detector hears somebody begin to speak."""

    type: Literal["input.speech_started"]
    timestampMs: int


class SpeechStopped(TypedDict):
    """And stop."""

    type: Literal["input.speech_stopped"]
    timestampMs: int


class Warned(TypedDict):
    """Another language is spoken than the one that was named; told once, and not acted upon."""

    type: Literal["warning"]
    code: Literal["LANGUAGE_MISMATCH"]
    detected: str
    confidence: float


SERVER_MESSAGES = (
    SessionCreated,
    SessionReady,
    TranscriptPartial,
    TranscriptFinal,
    SpeechStarted,
    SpeechStopped,
    Warned,
    SessionExpiring,
    SessionClosed,
    Error,
)
"""Everything a client can be told."""
