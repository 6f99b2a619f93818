"""The nouns of voicebots and of the calls they take in rooms, and the ports that keep them. Values only.

A voicebot is written once; a session is one call of one person with it, in a room of its own that a media provider
carries (gateways/rooms). The first minute is paid with the session's own row, and the rest as it begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from voxgate.domain import Balance, Principal


@dataclass(frozen=True, slots=True)
class BotImage:
    """A picture that a bot can show."""

    key: str
    """What the bot, and the client, call it; unique within the bot."""
    description: str
    """What the model is told about it; may be empty."""
    media_type: str
    """`image/png`, `image/jpeg` or `image/webp`."""
    digest: str
    """SHA-256 of the content, in hex: what its address and its `ETag` are made of."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Voicebot:
    """A bot as its owner wrote it."""

    id: str
    """24 hex digits."""
    org_id: str
    name: str
    avatar_url: str | None
    instructions: str = field(repr=False)
    language: str | None
    """BCP-47 tag of its replies; None: the language that is spoken."""
    voice: str
    """A voice name of clients."""
    greeting: str = field(repr=False)
    """What it says when somebody joins; empty: it waits."""
    model: str
    """What answers, as `POST /v1/chat/completions` names it."""
    images: Sequence[BotImage]
    """In the order they were added."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RoomPlan:
    """What a media provider is told of a session."""

    session: str
    """Its id, and that of the call."""
    room: str
    """`ext-vb-{voicebot id}-{12 hex digits}`."""
    identity: str
    """Of the person; nobody else may join as a person."""
    name: str
    """The person's, as others in the room see it."""
    bot: str
    """The voicebot's name."""
    expires_at: datetime
    """When the person's token does."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person joins with."""

    url: str
    """`ws:` or `wss:`, of the server that carries the room."""
    token: str = field(repr=False)
    """A LiveKit access token."""


class RoomEnd(StrEnum):
    """Why a session is over."""

    REQUESTED = "requested"
    """`DELETE` was called, or the command line."""
    LEFT = "left"
    """The room was empty for `rooms.empty_s`."""
    EXPIRED = "expired"
    """The token ran out and nobody was inside, or the session was as long as a session may be."""
    CREDITS = "credits"
    """There were no more; the bot said so first."""
    CRASHED = "crashed"
    """Its server died; it is billed to the last heartbeat."""
    FAILED = "failed"
    """We broke our own rules, and logged it."""
    REVOKED = "revoked"
    """Its API key was revoked, or expired."""
    SHUTDOWN = "shutdown"
    """The server was stopped."""


@dataclass(frozen=True, slots=True)
class RoomSession:
    """One call of one person with a bot, as it is on record."""

    plan: RoomPlan
    org_id: str
    key_id: str
    voicebot_id: str
    started_at: datetime
    ended_at: datetime | None
    """None: it goes on, or its server died and nobody has noticed yet."""
    reason: RoomEnd | None
    duration_s: int
    """Whole seconds that its person was inside, rounded up; of a session that goes on: to its last heartbeat."""
    billed_minutes: int
    """Begun minutes; at least one."""
    charged: int
    """Micro-credits, for all of them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a session's transcript."""

    id: str
    role: str
    """`user` or `assistant`."""
    content: str = field(repr=False)
    """Of an assistant who was interrupted: what was heard."""
    created_at: datetime
    interrupted: bool


class VoicebotStore(Protocol):
    """Voicebots on record. Every method may raise StoreError."""

    async def add(self, voicebot: Voicebot, *, most: int) -> bool:
        """Keep a new one, which has no images; False, and nothing kept, where its organization has `most` already."""
        ...

    async def find(self, voicebot_id: str) -> Voicebot | None:
        """The one with this id, whosesoever it is."""
        ...

    async def page(self, org_id: str | None, *, limit: int, offset: int) -> tuple[Sequence[Voicebot], int]:
        """At most `limit` of an organization's, or of all, behind the first `offset`, oldest first; how many it has."""
        ...

    async def change(self, voicebot_id: str, changes: Mapping[str, str | None], at: datetime) -> Voicebot | None:
        """Set the named fields, leave the others; the voicebot then. None for an unknown id."""
        ...

    async def remove(self, voicebot_id: str) -> Sequence[str] | None:
        """Forget it; the objects of its images, which nothing names any more. None for an unknown id."""
        ...

    async def put_image(
        self, voicebot_id: str, image: BotImage, stored: str, *, most: int, at: datetime
    ) -> tuple[bool, str | None]:
        """Add an image whose content is the object `stored`, or put it in the place of the one with its key.

        Whether it was done: it is not where the voicebot is unknown, or has `most` others already. And the object of
        the one whose place it took.
        """
        ...

    async def take_image(self, voicebot_id: str, key: str, at: datetime) -> str | None:
        """Forget an image; its object. None where there is none of that key."""
        ...

    async def object_of(self, voicebot_id: str, digest: str) -> tuple[str, str] | None:
        """Where an image's content lies: (object, media type). None where the voicebot has no such image."""
        ...


class ImageStorage(Protocol):
    """Where contents of images lie, by names that are never used twice. Every method may raise StoreError."""

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        """Keep a content; once it returns, it is there for good. `name`: letters, digits, `/`, `-` and `.`."""
        ...

    async def get(self, name: str) -> bytes | None:
        """The content; None where there is none."""
        ...

    async def remove(self, names: Sequence[str]) -> None:
        """Forget contents; those that are not there are forgotten already."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class NewRoom:
    """A session that is about to begin."""

    plan: RoomPlan
    voicebot_id: str
    request_id: str
    """What it is billed under."""


@dataclass(frozen=True, slots=True)
class Lived:
    """How far a session has come: what a crash from here on is billed."""

    duration_ms: int
    """How long its person was inside."""
    minutes: int
    """Begun minutes; at least one."""
    charged: int
    """Micro-credits, for all of them."""


class RoomEntry(Protocol):
    """A session's entry in the books of the server that carries its call. Its steps follow one another.

    A step that was begun is finished even if its caller is cancelled: no step is ever half-done.
    """

    balance: Balance
    """What the organization had after the last step."""

    @property
    def held(self) -> int:
        """Micro-credits held so far."""
        ...

    def lived(self, lived: Lived) -> None:
        """Remember how far it has come: the next heartbeat writes it down. Returns at once."""
        ...

    async def extend(self, total: int) -> None:
        """Hold `total` micro-credits altogether. Raises RefusedError `insufficient_credits`, StoreError."""
        ...

    async def close(self, reason: RoomEnd, at: datetime, lived: Lived) -> None:
        """Charge, release the rest, write the usage, close the entry and note that it is to be told; one transaction.

        Raises StoreError; the server's heart then does it as soon as the database answers. Where another server took
        this one for dead and closed the entry before, it stays as it is.
        """
        ...

    async def void(self) -> None:
        """Charge nothing and erase the entry: there was no session. Raises StoreError, as `close` does."""
        ...


class RoomStore(Protocol):
    """Sessions on record. Every method may raise StoreError."""

    async def open(self, principal: Principal, new: NewRoom, *, hold: int, lived: Lived, at: datetime) -> RoomEntry:
        """Hold `hold` (>= `lived.charged`) micro-credits and write the entry; one transaction.

        Raises RefusedError `insufficient_credits`, nothing written. So it is where the caller is cancelled meanwhile.
        """
        ...

    async def find(self, room: str) -> RoomSession | None:
        """The session of a room, whosesoever it is. The name of its person is not kept, and is empty."""
        ...

    async def page(
        self, *, org_name: str | None = None, live: bool = False, limit: int
    ) -> Sequence[tuple[str, RoomSession]]:
        """At most `limit` of an organization's or of all, newest first, each with the organization's name.

        `live`: only those that go on.
        """
        ...

    async def ask_end(self, room: str, at: datetime) -> None:
        """Ask the server that carries the call to end it."""
        ...

    async def over(self, rooms: Sequence[str]) -> frozenset[str]:
        """Those of the rooms whose call is to be ended: somebody asked for it, or has closed the entry."""
        ...

    async def end_in_place(self, room: str, reason: RoomEnd) -> None:
        """Close a session in the place of a server that does not answer: billed to its last heartbeat.

        One that is closed already stays as it is.
        """
        ...

    async def messages(self, session: str, *, limit: int, offset: int) -> tuple[Sequence[Message], int]:
        """At most `limit` lines of its transcript behind the first `offset`, oldest first; how many there are."""
        ...

    async def erase_messages(self, session: str) -> int:
        """Erase its transcript; how many exchanges there were."""
        ...


class Happened(StrEnum):
    """What the operator's webhook is told."""

    STARTED = "session.started"
    """A session was created, and its first minute paid."""
    ENDED = "session.ended"


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is to be told now."""

    id: int
    what: Happened
    at: datetime
    """When it happened."""
    attempts: int
    """To tell it, this one included."""
    org_name: str
    session: RoomSession
    """As it is on record now."""


class Outbox(Protocol):
    """What is still to be told. Every method may raise StoreError."""

    async def claim(self, now: datetime, *, until: datetime, limit: int) -> Sequence[Due]:
        """At most `limit` things to tell, of each session the earliest only; nobody else gets them before `until`."""
        ...

    async def told(self, event: int) -> None:
        """It was taken; the next of its session may follow."""
        ...

    async def put_off(self, event: int, until: datetime) -> None:
        """It was not; it is due again then."""
        ...

    async def give_up(self, now: datetime, *, after: timedelta) -> Sequence[str]:
        """Forget what happened so long before; the sessions it was about."""
        ...

    async def waiting(self) -> int:
        """How much is still to be told."""
        ...
