"""The seam between a bot and whoever carries its room: two providers stand behind it, one conformance suite before it.

`embedded` answers LiveKit's signalling and ends the WebRTC call in this process; `livekit` joins a room of a LiveKit
server of the operator. Either way the bot is one participant of kind `agent`, and talks with one person.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from voxgate.domain import Samples
from voxgate.rooms import Grant, RoomEnd, RoomPlan

# from the room


@dataclass(frozen=True, slots=True)
class Joined:
    """The person is there: for the first time, or again."""

    back: bool
    """Whether the connection had broken before, and the call goes on."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The person's connection is not there; a client that reconnects may be back within a second."""

    left: bool
    """Whether it said goodbye. Browsers say it in the course of a reconnect, too."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the person's microphone heard next."""

    samples: Samples
    """At SPEECH_RATE, any number. Holes of lost packets are filled."""


@dataclass(frozen=True, slots=True)
class Muted:
    """The person's microphone was switched off (nothing of it comes), or on."""

    muted: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """The person wrote: a whole text stream on `lk.chat`."""

    text: str


@dataclass(frozen=True, slots=True)
class Listening:
    """The client has taken the bot's audio: what is played from now on is heard."""


@dataclass(frozen=True, slots=True)
class Played:
    """So much of what was handed to `play` since the last `flush` has left, in samples of its rate."""

    samples: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The room is not there any more: closed by the provider's side, or lost. The last event."""

    why: str
    """For the log."""


RoomEvent = Joined | Gone | Heard | Muted | Typed | Listening | Played | Closed
"""What comes from a room, in order."""


# to the room


@dataclass(frozen=True, slots=True)
class TextStream:
    """One whole text stream (`lk.transcription`, `lk.chat`)."""

    topic: str
    text: str = field(repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict)
    as_person: bool = False
    """Whether it is sent as from the person, as transcripts of what he says are."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One reliable data packet."""

    topic: str
    payload: bytes = field(repr=False)
    """At most 15,000 bytes."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of the bot, such as `lk.agent.state`; those that are not named stay as they are."""

    values: Mapping[str, str]


RoomMessage = TextStream | Packet | Attributes


class RoomMedia(Protocol):
    """The bot's place in one room. Belongs to the event loop it was made on; no method but `aclose` waits."""

    track: str
    """Sid of the bot's audio track (`TR_…`), which its transcripts name."""

    @property
    def person_track(self) -> str:
        """Sid of the person's microphone; empty while there is none."""
        ...

    def events(self) -> AsyncIterator[RoomEvent]:
        """What comes from the room, from a bounded buffer; audio that nobody takes is dropped, oldest first, and
        counted. Asked once; ends behind `Closed`."""
        ...

    def play(self, samples: Samples) -> None:
        """Sound at VOICE_RATE to be played behind what is queued, paced by the provider; nothing is sent while
        nothing is queued, and nothing is kept while the person is away."""
        ...

    def flush(self) -> None:
        """Forget what was queued and has not left."""
        ...

    def post(self, message: RoomMessage) -> None:
        """To be sent, in order; kept for a person who is away, up to a limit (the newest; of attributes the last)."""
        ...

    async def aclose(self, why: RoomEnd) -> None:
        """Leave, and close the room for everybody. Idempotent."""
        ...


VOICE_RATE = 24_000
"""Samples per second of what is played in rooms: what the default voices have to offer; Opus carries it as it is."""


class MediaProvider(Protocol):
    """Who carries rooms."""

    name: str

    def grant(self, plan: RoomPlan, base_url: str) -> Grant:
        """What the person joins with. `base_url`: `http(s)://…` of this server, as the client reached it. Quick."""
        ...

    async def open(self, plan: RoomPlan) -> RoomMedia:
        """The bot's place in the room, which exists from then on. Raises EngineError `engine_unavailable` where the
        provider cannot be reached."""
        ...

    async def aclose(self) -> None:
        """Close every room."""
        ...
