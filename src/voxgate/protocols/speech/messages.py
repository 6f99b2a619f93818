"""Every message of the speech socket on one page: what clients send, what it asks for, and what they are told.

Two dialects share the socket. One starts a session and then sends texts (`session.start`, `speech.create`, or
`speech.append` and `speech.commit`); the other sends `speak`, which is both at once. docs/protocols/speech.md explains.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from voxgate.protocols.sockets import Error, SessionClosed, SessionExpiring

MODEL, VOICE, FORMAT = "valsea-tts-realtime", "valsea-neutral", "mp3"
"""What a session that names none is spoken with."""
QUALITY_KBIT = 64
"""The published default of `audio_quality`."""


def _sayable(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: there is nothing to say")
    return text


class _Message(BaseModel):
    """Fields nobody here knows are ignored: clients send extras. None of a known field means that it is absent."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, use_attribute_docstrings=True)


_Text = Annotated[str, AfterValidator(_sayable)]
_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]


class SessionStart(_Message):
    """`session.start`: how everything in this session is spoken."""

    model: str = Field(default=MODEL, min_length=1, max_length=200)
    """A name of `supportedModels`."""
    language: str | None = Field(default=None, max_length=100)
    """Absent, empty or `auto`: taken from each text, among the languages the voice speaks."""
    voice: str = Field(default=VOICE, min_length=1, max_length=100)
    """A name of `supportedVoices`."""
    response_format: str = FORMAT
    """`mp3`, `wav`, `opus`; also `flac`, `aac` and `pcm` (24 kHz mono signed 16-bit little-endian, no header)."""
    speed: float = Field(default=1.0, ge=0.25, le=4.0, allow_inf_nan=False)
    """Pace, not pitch."""
    normalization: Literal["no", "basic", "advanced"] = "basic"
    audio_quality: int = Field(default=QUALITY_KBIT, ge=32, le=320)
    """Bit rate in kbit/s of mp3, opus and aac; the nearest rate the format has is used."""


class SpeechCreate(_Message):
    """`speech.create`: a text to speak, after those that wait."""

    input: _Text
    speechId: _Id | None = None  # noqa: N815 - as on the wire
    """The client's own name for it; one is made where it is absent."""


class SpeechAppend(_Message):
    """`speech.append`: more of a text that is still being written; the first one begins it."""

    text: str
    speechId: _Id | None = None  # noqa: N815
    """As `speech.create`, on the first of a text; later ones may repeat it."""


class SpeechCommit(_Message):
    """`speech.commit`: the text that was appended is complete."""

    speechId: _Id | None = None  # noqa: N815


class SpeechCancel(_Message):
    """`speech.cancel`: this speech, or, without an id, the current one and all that wait."""

    speechId: str | None = None  # noqa: N815


class Speak(_Message):
    """`speak`: `session.start`, where none was sent, and `speech.create`."""

    text: _Text
    voice: str | None = Field(default=None, min_length=1, max_length=100)
    """Of this text; absent: the session's."""
    audio_format: str | None = None
    """Of this text, as `response_format`; absent: the session's."""


class SessionStop(_Message):
    """`session.stop`: what waits is still spoken, then the session ends."""


CLIENT_MESSAGES: dict[str, type[_Message]] = {
    "session.start": SessionStart,
    "speech.create": SpeechCreate,
    "speech.append": SpeechAppend,
    "speech.commit": SpeechCommit,
    "speech.cancel": SpeechCancel,
    "speak": Speak,
    "session.stop": SessionStop,
}
"""`type` -> the message."""


@dataclass(frozen=True, slots=True)
class Start:
    """Begin the session with these options."""

    options: SessionStart


@dataclass(frozen=True, slots=True)
class Create:
    """Queue a speech: a complete text, or one that is still being written."""

    speech_id: str
    text: str
    complete: bool
    """False: appended to until it is committed; `text` is how it begins."""
    voice: str | None = None
    """Instead of the session's."""
    response_format: str | None = None
    """Instead of the session's."""


@dataclass(frozen=True, slots=True)
class Append:
    """More of the text that is being written."""

    speech_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Commit:
    """That text is complete."""

    speech_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Break these off, in this order."""

    speech_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Speak what waits, then end."""


Command = Start | Create | Append | Commit | Cancel | Stop
"""What a message asks for."""


class SessionCreated(TypedDict):
    """Right after the handshake, or after `successful-authentication`."""

    type: Literal["session.created"]
    sessionId: str
    supportedModels: list[str]
    supportedVoices: list[str]
    supportedLanguages: list[str]


class SuccessfulAuthentication(TypedDict):
    """The first message's `token` was good."""

    type: Literal["successful-authentication"]


class SessionReady(TypedDict):
    """`session.start` was accepted."""

    type: Literal["session.ready"]
    sessionId: str
    model: str


class SpeechStarted(TypedDict):
    """A speech's turn has come; the binary frames that follow are its file."""

    type: Literal["speech.started"]
    sessionId: str
    speechId: str


class SpeechFinished(TypedDict):
    """Its file is complete."""

    type: Literal["speech.finished"]
    sessionId: str
    speechId: str
    durationMs: int
    creditsUsed: orjson.Fragment


class SpeechCancelled(TypedDict):
    """It was broken off: nothing of it follows. The fields say what was sent before."""

    type: Literal["speech.cancelled"]
    sessionId: str
    speechId: str
    durationMs: int
    creditsUsed: orjson.Fragment


SERVER_MESSAGES = (
    SessionCreated,
    SuccessfulAuthentication,
    SessionReady,
    SpeechStarted,
    SpeechFinished,
    SpeechCancelled,
    SessionExpiring,
    SessionClosed,
    Error,
)
"""Everything a client can be told in text; audio comes as binary frames."""
