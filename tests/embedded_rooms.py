"""Rooms of our own on a socket of this process, without the rest of a server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from tests.inside import listening
from voxgate.clock import SystemClock
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.rooms.embedded import EmbeddedRooms
from voxgate.gateways.rooms.embedded_door import EmbeddedDoor
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.observe import Prometheus


@dataclass
class Rooms:
    """The provider, and where it is reached."""

    provider: EmbeddedRooms
    url: str
    """`http://…`, without a path."""


async def _nothing_behind(scope: Scope, _receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"behind"})


@asynccontextmanager
async def embedded_rooms(
    folder: Path, settings: EmbeddedSettings | None = None, *, allowed_origins: Sequence[str] = ("*",)
) -> AsyncIterator[Rooms]:
    """The provider, answering on a port of its own; its rooms are closed at the end."""
    provider = EmbeddedRooms(settings or EmbeddedSettings(), folder, SystemClock())
    door = EmbeddedDoor(
        _nothing_behind, provider, limits=LimitSettings(), metrics=Prometheus(), allowed_origins=allowed_origins
    )
    async with listening(door) as url:
        try:
            yield Rooms(provider, url)
        finally:
            await provider.aclose()
