"""The provider `embedded`: rooms in this process. It is quick to import; what carries a call is loaded with the first.

A room is there from `open` until it is closed, whether somebody is inside or not, and takes one person: whoever holds
a token for the identity it was planned for.
"""

import asyncio
import importlib
import os
import secrets
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from voxgate.clock import Clock
from voxgate.errors import Code, ConfigError, RefusedError
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.gateways.rooms.media import RoomMedia
from voxgate.protocols.livekit.tokens import Claims, TokenKey, mint, verify
from voxgate.rooms import Grant, RoomEnd, RoomPlan

if TYPE_CHECKING:
    from voxgate.gateways.rooms.embedded_room import EmbeddedRoom

KEY_FILE = "rooms.key"
"""In the data directory: what tokens are signed with. Who reads it can join any room of this server."""

_ISSUER = "voxgate"


class EmbeddedRooms:
    """Carries out `media.MediaProvider`."""

    name = "embedded"

    def __init__(self, settings: EmbeddedSettings, data_dir: Path, clock: Clock) -> None:
        """`data_dir`: there already. Raises ConfigError where the key cannot be kept there."""
        self._settings, self._clock = settings, clock
        self._key = TokenKey(_ISSUER, settings.token_secret.get_secret_value() or _kept_secret(data_dir))
        self._rooms: dict[str, EmbeddedRoom] = {}

    def grant(self, plan: RoomPlan, base_url: str) -> Grant:
        now = int(self._clock.now().timestamp())
        claims = Claims(plan.room, plan.identity, int(plan.expires_at.timestamp()), plan.name)
        return Grant(f"ws{base_url.removeprefix('http').rstrip('/')}", mint(self._key, claims, now=now))

    async def open(self, plan: RoomPlan) -> RoomMedia:
        module = await asyncio.to_thread(warm)  # the first time takes half a second
        room: EmbeddedRoom = module.EmbeddedRoom(plan, self._settings, self._key, self._clock, forget=self._forget)
        self._rooms[plan.room] = room
        return room

    def find(self, token: str) -> tuple["EmbeddedRoom", Claims]:
        """The room a token is for, and what it says.

        Raises RefusedError `invalid_api_key`, whose message is fit for the person: a token of somebody else's, one
        that has expired, or a session that is over.
        """
        claims = verify(self._key, token, now=int(self._clock.now().timestamp()))
        room = self._rooms.get(claims.room)
        if room is None:
            raise RefusedError("this session is over; create a new one", code=Code.INVALID_API_KEY)
        if room.plan.identity != claims.identity:
            raise RefusedError("this session is another person's", code=Code.INVALID_API_KEY)
        return room, claims

    async def aclose(self) -> None:
        await asyncio.gather(*(room.aclose(RoomEnd.SHUTDOWN) for room in list(self._rooms.values())))

    def _forget(self, room: "EmbeddedRoom") -> None:
        self._rooms.pop(room.plan.room, None)


def warm() -> ModuleType:
    """Load what carries a call: 0.4 s of work, once, for a thread."""
    return importlib.import_module("voxgate.gateways.rooms.embedded_room")


def _kept_secret(data_dir: Path) -> str:
    """The secret of this installation; made where there is none, so that tokens outlive a restart."""
    path = data_dir / KEY_FILE
    try:
        if not path.exists():
            new = path.with_suffix(".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
            new.rename(path)
        secret = path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path} cannot be kept: {error.strerror}", param="server.data_dir") from None
    if len(secret) < 32:
        raise ConfigError(
            f"{path} holds no key; remove it, and the next start makes one", param="rooms.embedded.token_secret"
        )
    return secret
