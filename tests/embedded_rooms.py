"""Rooms of our own on a socket of this process, without the rest of a server."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from livekit.protocol import models, rtc
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect

from tests.inside import listening
from voxgate.clock import SystemClock
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.rooms.embedded import EmbeddedRooms
from voxgate.gateways.rooms.embedded_door import EmbeddedDoor
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.observe import Prometheus
from voxgate.rooms import Grant


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


class Signal:
    """A client of the signalling alone: it has no media."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, request: rtc.SignalRequest | bytes | str) -> None:
        """Send a message."""
        await self.socket.send(request if isinstance(request, bytes | str) else request.SerializeToString())

    async def next(self) -> rtc.SignalResponse:
        """The next one that comes."""
        message = await asyncio.wait_for(self.socket.recv(decode=False), 5)
        return rtc.SignalResponse.FromString(message)

    async def until(self, kind: str) -> rtc.SignalResponse:
        """The next one of a kind; what comes before it is left out."""
        while (response := await self.next()).WhichOneof("message") != kind:
            pass
        return response


def join_request(*, offer: str = "", reconnect: bool = False) -> str:
    """What stands in the query of v1."""
    info = models.ClientInfo(sdk=models.ClientInfo.SDK.PYTHON, version="1.2.0")
    request = rtc.JoinRequest(client_info=info, reconnect=reconnect)
    if offer:
        request.publisher_offer.CopyFrom(rtc.SessionDescription(type="offer", sdp=offer, id=1))
    wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


@asynccontextmanager
async def signalling(
    grant: Grant, *, single: bool = True, offer: str = "", reconnect: bool = False, joining: str | None = None
) -> AsyncIterator[Signal]:
    """Connect as a client does; a handshake that is refused raises `websockets.InvalidStatus`.

    `joining`: what stands for the request to join (v1), instead of a good one.
    """
    query = {"access_token": grant.token}
    if single:
        query["join_request"] = joining or join_request(offer=offer, reconnect=reconnect)
    elif reconnect:
        query["reconnect"] = "1"
    address = f"{grant.url}/rtc{'/v1' if single else ''}?{urlencode(query)}"
    async with connect(address, max_size=None, compression=None, proxy=None) as socket:
        yield Signal(socket)
