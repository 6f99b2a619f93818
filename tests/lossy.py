"""A bad line between a client and a server of rooms: signalling through a proxy, media through relays of UDP.

Each description of the server's is rewritten to name a relay as the one address of the server's, and the client's own
addresses are kept from the server, which so knows it as the address its checks come from. There is no other way than
through the line, for either of them. On the line, datagrams are lost and late by chance, and nothing passes while it
is down: what is sent of the signalling meanwhile is held back, as TCP does, and what is sent of media is gone.
"""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from livekit.protocol import rtc
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve

LATE_S = 0.03
"""How much later a late datagram comes: behind the next one or two of a microphone, which sends one in 20 ms."""
_DATAGRAM = 65_536
_Address = tuple[str, int]


class Line:
    """How bad the line is at the moment, both ways, and what became of what was put on it."""

    def __init__(self, seed: int) -> None:
        self.loss = 0.0
        """Share of datagrams that are lost."""
        self.late = 0.0
        """Share, of those that are not lost, that come LATE_S later, and so out of order."""
        self.carried = 0
        self.lost = 0
        """Datagrams, since the beginning."""
        self._chance = random.Random(seed)
        self._up = asyncio.Event()
        self._up.set()

    @property
    def down(self) -> bool:
        """Whether nothing passes."""
        return not self._up.is_set()

    @down.setter
    def down(self, down: bool) -> None:
        if down:
            self._up.clear()
        else:
            self._up.set()

    async def up(self) -> None:
        """Wait until it is not down."""
        await self._up.wait()

    def carry(self, send: Callable[[], object]) -> None:
        """Put a datagram on it: `send` is called at once, later, or never."""
        if self.down or self._chance.random() < self.loss:
            self.lost += 1
            return
        self.carried += 1
        if self._chance.random() < self.late:
            asyncio.get_running_loop().call_later(LATE_S, send)
        else:
            send()


class Relay:
    """Stands for one address of the server; each address that sends to it is given one of its own, as by a NAT."""

    def __init__(self, line: Line, server: _Address) -> None:
        self._line, self._server = line, server
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._ways: dict[_Address, socket.socket] = {}
        self._front = self._bound(self._from_client)
        self.port: int = self._front.getsockname()[1]
        """Where it is found, at the server's host."""

    def close(self) -> None:
        """Close its sockets."""
        for each in self._sockets:
            self._loop.remove_reader(each)
            each.close()

    def _bound(self, read: Callable[[socket.socket], None]) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in self._server[0] else socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind((self._server[0], 0))
        self._sockets.append(made)
        self._loop.add_reader(made, read, made)
        return made

    def _from_client(self, front: socket.socket) -> None:
        data, client = front.recvfrom(_DATAGRAM)
        if client not in self._ways:
            self._ways[client] = self._bound(lambda back: self._from_server(back, client))
        way = self._ways[client]
        self._line.carry(lambda: self._send(way, data, self._server))

    def _from_server(self, back: socket.socket, client: _Address) -> None:
        data = back.recv(_DATAGRAM)
        self._line.carry(lambda: self._send(self._front, data, client))

    def _send(self, over: socket.socket, data: bytes, to: _Address) -> None:
        if over.fileno() >= 0:  # a late one may come when all is over
            over.sendto(data, to)


class Proxy:
    """The server, as it is reached over a line."""

    def __init__(self, line: Line, server: str) -> None:
        """`server`: `http://…`, without a path."""
        self._line, self._server = line, urlsplit(server)
        self._relays: dict[_Address, Relay] = {}

    def close(self) -> None:
        """Close the relays."""
        for relay in self._relays.values():
            relay.close()

    async def serve(self, client: ServerConnection) -> None:
        """One connection of a client."""
        assert client.request is not None
        address = f"ws://{self._server.netloc}{client.request.path}"
        token = {"Authorization": client.request.headers["Authorization"]}
        async with connect(address, additional_headers=token, max_size=None, proxy=None) as server:
            ways = (
                asyncio.create_task(self._pass(client, server, self._asked)),
                asyncio.create_task(self._pass(server, client, self._told)),
            )
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, from_: Connection, to: Connection, changed: Callable[[bytes], bytes | None]) -> None:
        async for message in from_:
            assert isinstance(message, bytes)
            passed = changed(message)
            await self._line.up()
            if passed is not None:
                await to.send(passed)

    def _asked(self, message: bytes) -> bytes | None:
        """What a client sends, without its addresses."""
        request = rtc.SignalRequest.FromString(message)
        kind = request.WhichOneof("message")
        if kind == "trickle":
            return None
        if kind in ("offer", "answer"):
            description = getattr(request, kind)
            description.sdp = _described(description.sdp, lambda _line: None)
        return request.SerializeToString()

    def _told(self, message: bytes) -> bytes:
        """What the server sends, with a relay's address for its own."""
        response = rtc.SignalResponse.FromString(message)
        kind = response.WhichOneof("message")
        if kind in ("offer", "answer"):
            description = getattr(response, kind)
            first = next(line for line in description.sdp.splitlines() if line.startswith("a=candidate:"))
            description.sdp = _described(description.sdp, lambda line: self._relayed(line) if line == first else None)
        return response.SerializeToString()

    def _relayed(self, candidate: str) -> str:
        fields = candidate.split()
        at = (fields[4], int(fields[5]))
        if at not in self._relays:
            self._relays[at] = Relay(self._line, at)
        fields[5] = str(self._relays[at].port)
        return " ".join(fields)


def _described(sdp: str, changed: Callable[[str], str | None]) -> str:
    """A description whose candidates are others, or None: none."""
    lines = []
    for line in sdp.splitlines():
        kept = changed(line) if line.startswith("a=candidate:") else line
        if kept is not None:
            lines.append(kept)
    return "\r\n".join(lines) + "\r\n"


@asynccontextmanager
async def over(line: Line, server: str) -> AsyncIterator[str]:
    """The address of a server (`http://…`) as it is reached over a line."""
    proxy = Proxy(line, server)
    try:
        async with serve(proxy.serve, "127.0.0.1", 0, max_size=None, compression=None) as listener:
            port = next(iter(listener.sockets)).getsockname()[1]
            yield f"http://127.0.0.1:{port}"
    finally:
        proxy.close()
