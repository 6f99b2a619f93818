"""`[rooms]`: who carries calls in rooms, and how long they last."""

from typing import Literal, Self

from pydantic import Field, model_validator

from voxgate.config import Settings
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.gateways.rooms.livekit_settings import LiveKitSettings


class RoomSettings(Settings):
    """`[rooms]`; carries out `services.room_time.RoomRules`"""

    provider: Literal["embedded", "livekit"] = "embedded"
    """Who carries rooms: `embedded`, this server itself; or `livekit`, your LiveKit server (`[rooms.livekit]`)."""
    token_s: float = Field(default=900.0, ge=30, le=86_400)
    """How long a token lets its person join. Who is inside stays, and is given fresh ones."""
    empty_s: float = Field(default=60.0, ge=1, le=3600)
    """How long a session that its person has left waits for him; away, he is billed nothing."""
    grace_s: float = Field(default=10.0, ge=0, le=3600)
    """The same once his token has run out: long enough to reconnect, at most `empty_s`."""
    longest_s: float = Field(default=7200.0, ge=60, le=86_400)
    """How long a person may be inside altogether."""
    announce_s: float = Field(default=20.0, ge=5, le=45)
    """How long before a session ends for want of credits, or at `longest_s`, the bot says so; also how long before its
    beginning each minute is held."""
    listen_s: float = Field(default=2.0, gt=0, le=10)
    """How long the bot waits with its first word for a client that has joined and does not take its audio yet; who
    never does (a client for text) is spoken to then."""
    typed_characters: int = Field(default=4000, gt=0, le=100_000)
    """Longest message that a person may write to a bot."""
    most: int = Field(default=500, gt=0)
    """How many sessions may be open on this server at once, those included whose person has not come yet."""
    embedded: EmbeddedSettings = EmbeddedSettings()
    livekit: LiveKitSettings = LiveKitSettings()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.grace_s > self.empty_s:
            raise ValueError("grace_s must not be more than empty_s")
        return self
