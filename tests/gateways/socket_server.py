"""Sockets on a real address with handlers of the test's own, and a client that sends and reads bare frames."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send
from websockets.frames import Frame, Opcode

from tests.inside import listening
from voxgate.clock import SystemClock
from voxgate.domain import Principal, Tier
from voxgate.domain import Scope as SecretScope
from voxgate.gateways.admission import Admission
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.proxies import TrustedProxies, parse_networks
from voxgate.gateways.shell import SocketShell
from voxgate.gateways.sockets import Handler, Route, Sockets
from voxgate.observe import Prometheus

KEY = "vg_right"
LIVE, SPEECH = "/v1/realtime", "/v1/realtime/tts"

QUICK: Mapping[str, float] = {"socket_linger_s": 0.3}
"""Nobody waits in a test for the patience of a server."""


class Owners:
    """`ports.Keys` of a few keys, which can be ended."""

    def __init__(self) -> None:
        self.over: set[str] = set()
        self._who = {
            KEY: Principal("key_a", "org_1", "acme", Tier.FREE),
            "vg_single": Principal("key_single", "org_1", "acme", Tier.FREE, max_concurrent=1),
            "vg_ending": Principal(
                "key_ending", "org_1", "acme", Tier.FREE, expires_at=datetime.now(UTC) + timedelta(seconds=20)
            ),
            "ek_speech": Principal("key_a", "org_1", "acme", Tier.FREE, scopes=frozenset({SecretScope.SPEECH})),
        }

    async def find(self, key: str) -> Principal | None:
        return self._who.get(key)

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        return frozenset(key_ids) & self.over


@dataclass(frozen=True)
class Served:
    """A server with nothing but sockets on it."""

    url: str
    """`ws://…`, without a path."""
    keys: Owners
    metrics: Prometheus
    sockets: Sockets
    clients: "list[Bare]" = field(default_factory=list)

    async def connect(
        self,
        path: str = LIVE,
        query: str = f"?api_key={KEY}",
        *,
        buffer: int = 2**16,
        headers: Mapping[str, str] | None = None,
    ) -> "Bare":
        """A bare client, which is hung up when the test is over. `buffer`: bytes it reads ahead."""
        self.clients.append(await Bare.connect(self.at(path, query), buffer=buffer, headers=headers))
        return self.clients[-1]

    def at(self, path: str = LIVE, query: str = f"?api_key={KEY}") -> str:
        """The address of a socket; with the right key, if not told otherwise."""
        return f"{self.url}{path}{query}"

    def measured(self, line: str) -> bool:
        """Whether the metrics hold this line."""
        return line in self.metrics.text().decode().splitlines()


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served(
    handler: Handler,
    *,
    tls: ssl.SSLContext | None = None,
    origins: tuple[str, ...] = ("*",),
    proxies: tuple[str, ...] = (),
    subprotocols: tuple[str, ...] = (),
    **limits: float,
) -> AsyncIterator[Served]:
    """One handler at both paths; the speech socket takes its credential as a first message too."""
    settings = LimitSettings.model_validate({**QUICK, **limits})
    keys, metrics, clock = Owners(), Prometheus(), SystemClock()
    admission = Admission(keys, settings, clock)
    unused = cast(Any, None)
    sockets = Sockets(admission, unused, unused, settings, metrics, clock, 1, unused, unused)
    routes = {LIVE: Route(handler, subprotocols=subprotocols), SPEECH: Route(handler, token_first=True)}
    shell = SocketShell(_nowhere, routes, sockets, allowed_origins=origins)
    watching = asyncio.create_task(admission.live.run())
    try:
        async with listening(TrustedProxies(shell, parse_networks(proxies)), tls=tls) as url:
            server = Served(url.replace("http", "ws"), keys, metrics, sockets)
            yield server
    finally:
        for client in server.clients:
            client.leave()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


class Bare:
    """A client that does what it is told, and nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.head = b""
        """The server's answer to the handshake."""

    @classmethod
    async def connect(cls, url: str, *, buffer: int = 2**16, headers: Mapping[str, str] | None = None) -> "Bare":
        """Connect and shake hands. `buffer`: bytes the client's own reader keeps before it stops reading."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=buffer)
        client = cls(reader, writer)
        lines = {
            "Host": "localhost",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        } | dict(headers or {})
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        head = "".join([f"GET {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in lines.items())])
        writer.write(head.encode("latin-1") + b"\r\n")
        client.head = await reader.readuntil(b"\r\n\r\n")
        return client

    def send(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        """One frame."""
        self.writer.write(Frame(Opcode(opcode), payload, fin).serialize(mask=True))

    async def read(self) -> tuple[Opcode, bytes]:
        """The next frame of the server. Raises IncompleteReadError where there is none."""
        first, length = await self._reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await self._reader.readexactly(2))
        elif length == 127:
            length = int.from_bytes(await self._reader.readexactly(8))
        return Opcode(first & 0x0F), await self._reader.readexactly(length)

    async def rest(self) -> list[tuple[Opcode, bytes]]:
        """Every frame until the server closes the connection."""
        frames = []
        while True:
            try:
                frames.append(await self.read())
            except (asyncio.IncompleteReadError, ConnectionError):
                return frames

    def leave(self) -> None:
        """Break the connection off, without a word."""
        self.writer.transport.abort()
