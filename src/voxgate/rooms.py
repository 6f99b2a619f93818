"""The nouns of voicebots and of the calls they take in rooms, and the ports that keep them. Values only.

A voicebot is written once; a session is one call of one person with it, in a room of its own that a media provider
carries (gateways/rooms). The first minute is paid with the session's own row, and the rest as it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
    """SHA-256 of the content, in hex: where it is stored, and what its address and its `ETag` are made of."""
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
    """Whole seconds, rounded up; of a session that goes on: to its last heartbeat."""
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
