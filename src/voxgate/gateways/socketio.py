"""Engine.IO below Socket.IO, on the sockets of this house: python-engineio speaks ASGI, our sockets do not.

A WebSocket is served through a `Peer`, so that size, liveness, slow readers, backpressure and the stop of the server
are what they are on every other socket; the library is handed whole messages, and only ones it can take. Long polling
goes to it as it comes, and so holds up to `limits.socket_frame_bytes` of a request.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate.errors import Code, PeerError, RefusedError, VoxgateError
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.sockets import Peer, Sockets, Wire
from voxgate.gateways.websocket import WIRE
from voxgate.protocols.rest.errors import envelope
from voxgate.protocols.socketio import Screen
from voxgate.protocols.status import GOING_AWAY, NORMAL, POLICY, STATUS
from voxgate.protocols.websocket import BROKEN

_log = structlog.get_logger(__name__)

PATH: Final = "/socket.io"
LINK: Final = "voxgate.link"
"""The name of a `Link` in the scope of its WebSocket."""

PING_S: Final = 20
"""How often Engine.IO asks for a sign of life; its pings are also what keeps proxies from closing."""
PONG_S: Final = 300
"""How long it waits for one. Long, because a pong stands behind all the audio that was sent before it and is not read
yet: on a WebSocket it is the `Peer` that finds out who is gone."""
_SWEEP_S = 2


@dataclass(eq=False)
class Link:
    """One Engine.IO connection, below its namespaces. It polls, until it has a peer."""

    address: str
    seen: float
    """When it last asked or sent something, on the monotonic clock; of what polls."""
    peer: Peer | None = None
    admitted: bool = False
    """Whether its credential was good."""
    code: int = NORMAL
    """What its WebSocket is closed with."""
    complain: Callable[[PeerError], Awaitable[None]] | None = None
    """Who tells the client that a message was refused."""
    on_shutdown: Callable[[], None] | None = None
    """Called when the server stops."""
    waiting: AsyncExitStack = field(default_factory=AsyncExitStack)
    """The place of who has not shown a credential yet."""

    async def admit(self) -> None:
        """Its credential is good: it may stay."""
        self.admitted = True
        if self.peer is not None:
            self.peer.authenticated(None)  # when its key ends is told by whoever it is a client of
        await self.waiting.aclose()

    async def drained(self) -> None:
        """Wait until the client has taken most of what it was sent; who polls, takes what it asks for."""
        if self.peer is not None:
            await self.peer.drained()


class SocketIo:
    """ASGI application: Engine.IO at its path, everything else to the application behind it."""

    def __init__(
        self, behind: ASGIApp, engine: Any, sockets: Sockets, *, allowed_origins: Sequence[str] = ("*",)
    ) -> None:
        """`engine`: a `socketio.AsyncServer` for ASGI. `allowed_origins`: as of every socket."""
        self._behind = behind
        self._engine = engine
        self._sockets = sockets
        self._origins = frozenset(allowed_origins)
        # How long a session lasts, and may say nothing, is told to the client before it happens: by who knows it.
        self._limits = sockets.limits.model_copy(update={"session_s": 1e9, "socket_idle_s": 1e9})
        self._links: dict[str, Link] = {}  # by Engine.IO's id; those that have one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, or one request of polling (ASGI)."""
        if scope["type"] not in ("http", "websocket") or scope["path"].rstrip("/") != PATH:
            await self._behind(scope, receive, send)
            return
        refused: VoxgateError | None = None
        origin = Headers(scope=scope).get("origin")
        if origin is not None and not self._origins & {"*", origin}:
            refused = RefusedError("pages of this origin may not connect here (server.allowed_origins)")
        if scope["type"] == "websocket":
            await self._socket(scope, refused)
        else:
            await self._polling(scope, receive, send, refused)

    def link(self, eio_sid: str, scope: Scope) -> Link:
        """The connection a namespace was opened on. `scope`: of the request it began with."""
        link = self._links.get(eio_sid)
        if link is None:
            link = scope.get(LINK) or Link(_address(scope), time.monotonic())
            self._links[eio_sid] = link
        return link

    async def close(self, eio_sid: str, link: Link, code: int) -> None:
        """Close a connection, after everything that was sent."""
        link.code = code
        below = self._engine.eio
        socket = below.sockets.get(eio_sid)
        try:
            async with asyncio.timeout(self._limits.socket_linger_s):
                if socket is not None:
                    await socket.queue.join()  # what is left there when it closes is never fetched by who polls
                    await below.disconnect(eio_sid)
        except TimeoutError:
            _log.info("what was sent last was not fetched", address=link.address)
            below.sockets.pop(eio_sid, None)
        if socket is not None:
            socket.queue.put_nowait(None)  # a poll that waits is answered now
        self._links.pop(eio_sid, None)
        if link.peer is not None:
            await link.peer.close(code)

    async def sweep(self) -> None:
        """Until cancelled, close connections that poll and have shown no credential in time, or ask no more."""
        limits = self._limits
        first_seen: dict[str, float] = {}
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.monotonic()
            first_seen = {sid: first_seen.get(sid, now) for sid in self._engine.eio.sockets}
            self._links = {sid: link for sid, link in self._links.items() if sid in first_seen}
            for sid, since in first_seen.items():
                link = self._links.get(sid)
                if link is not None and link.peer is not None:
                    continue
                is_late = (link is None or not link.admitted) and now - since > limits.socket_unauthenticated_s
                is_gone = link is not None and now - link.seen > PING_S + limits.socket_silent_s
                if (is_late or is_gone) and not self._is_open(sid):
                    socket = self._engine.eio.sockets.pop(sid)
                    await socket.close(wait=False, abort=True)
                    socket.queue.put_nowait(None)

    # WebSockets

    async def _socket(self, scope: Scope, refused: VoxgateError | None) -> None:
        wire: Wire = scope[WIRE]
        eio_sid = next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("sid", [])), None)
        link = Link(_address(scope), time.monotonic()) if eio_sid is None else self._links.get(eio_sid)
        if link is None and eio_sid in self._engine.eio.sockets:
            assert eio_sid is not None  # it is a key there
            link = self._links[eio_sid] = Link(_address(scope), time.monotonic())
        if refused is None and link is not None and not link.admitted:
            try:
                await link.waiting.enter_async_context(self._sockets.admission.wait(link.address))
            except RefusedError as error:
                refused = error
        if link is None:
            refused = refused or PeerError("'sid': there is no such connection", param="sid")
        if refused is not None or link is None:
            assert refused is not None
            wire.refuse(_handshake_status(refused), orjson.dumps(envelope(refused)))
            _log.info("socket refused", path=PATH, code=refused.code)
            return
        try:
            await self._bridged(scope, wire, link)
        finally:
            await link.waiting.aclose()

    async def _bridged(self, scope: Scope, wire: Wire, link: Link) -> None:
        bridge = _Bridge(wire, link, scope, self._sockets, self._limits)
        inner = {**scope, LINK: link}
        del inner[WIRE]
        wire.on_shutdown = bridge.stop
        try:
            await self._engine.handle_request(inner, bridge.receive, bridge.send)
        finally:
            wire.on_shutdown = _nothing
            if (peer := link.peer) is not None:
                await peer.close(link.code)
                peer.release()

    def _is_open(self, eio_sid: str) -> bool:
        """Whether it is, or becomes, a WebSocket."""
        socket = self._engine.eio.sockets[eio_sid]
        return bool(socket.upgraded or socket.upgrading)

    # polling

    async def _polling(self, scope: Scope, receive: Receive, send: Send, refused: VoxgateError | None) -> None:
        eio_sid = next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("sid", [])), None)
        if eio_sid is None and refused is None:
            try:
                async with self._sockets.admission.wait(_address(scope)):
                    pass
            except RefusedError as error:
                refused = error
        if refused is not None:
            await _answer(send, STATUS[refused.code].http, orjson.dumps(envelope(refused)))
            return
        link = self._links.get(eio_sid or "")
        if link is not None:
            link.seen = time.monotonic()
        await self._engine.handle_request(scope, receive, send)
        if link is not None:
            link.seen = time.monotonic()


class _Bridge:
    """A WebSocket as ASGI has it."""

    def __init__(self, wire: Wire, link: Link, scope: Scope, sockets: Sockets, limits: LimitSettings) -> None:
        self._wire = wire
        self._link = link
        self._scope = scope
        self._sockets = sockets
        self._limits = limits
        self._greeted = False
        self._screen = Screen()

    async def receive(self) -> Message:
        """The next message that Engine.IO can take."""
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        peer = self._link.peer
        assert peer is not None  # the library accepts before it receives
        while True:
            try:
                message = await peer.receive()
                if message is None:
                    return {"type": "websocket.disconnect", "code": BROKEN}
                self._screen.look(message)
            except PeerError as error:
                if self._link.complain is not None:
                    await self._link.complain(error)
                if error.code is not Code.TOO_LARGE or not self._screen.missing():
                    continue
                message = b""  # in place of the bytes an event waits for
            except RefusedError as error:
                _log.info("socket given up", socket_id=peer.id, reason=error.message)
                self._link.code = POLICY
                return {"type": "websocket.disconnect", "code": BROKEN}
            kind = "text" if isinstance(message, str) else "bytes"
            return {"type": "websocket.receive", kind: message}

    async def send(self, message: Message) -> None:
        """What Engine.IO sends."""
        peer = self._link.peer
        match message["type"]:
            case "websocket.accept":
                if peer is None:
                    self._accept()
            case "websocket.send":
                assert peer is not None
                text = message.get("text")
                peer.post(message["bytes"] if text is None else text)
                await peer.drained()
            case "websocket.close":
                if peer is None:
                    refused = PeerError(f"no Engine.IO 4 handshake: {message.get('reason', 'bad request')}")
                    self._wire.refuse(400, orjson.dumps(envelope(refused)))
                else:
                    await peer.close(self._link.code)

    def stop(self) -> None:
        """The server stops."""
        self._wire.on_shutdown = _nothing
        if self._link.on_shutdown is not None:
            self._link.on_shutdown()
        else:
            self._link.code = GOING_AWAY
            self._wire.close(GOING_AWAY, "")

    def _accept(self) -> None:
        self._wire.accept(self._limits)
        counts = self._sockets.metrics.socket_opened(PATH)
        scope = {**self._scope, "path": PATH}
        link = self._link
        link.peer = Peer(self._wire, scope, self._limits, authenticated=link.admitted, counts=counts)


def _address(scope: Scope) -> str:
    return (scope.get("client") or ("", 0))[0]


def _handshake_status(error: VoxgateError) -> int:
    """An HTTP status that our sockets answer a handshake with: of those that are busy, the one they know."""
    status = STATUS[error.code].http
    return 503 if status == 429 else status


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers: Mapping[bytes, bytes] = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": body})


def _nothing() -> None:
    """The socket is closing already."""
