"""The shell around every session on a socket: origin, credential, door, and how it ends.

Each socket is one task. What a session raises is told to the client and closes the socket with its code; a bug of ours
becomes 1011 with a traceback in the log and nothing of it on the wire, and no other session notices.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import orjson
import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voxgate.domain import Principal
from voxgate.errors import Code, EngineError, MisuseError, PeerError, RefusedError, StoreError, VoxgateError
from voxgate.gateways.auth import socket_credential
from voxgate.gateways.sockets import Peer, Route, Sockets, Wire
from voxgate.gateways.websocket import WIRE
from voxgate.protocols.rest.errors import envelope
from voxgate.protocols.sockets import AUTHENTICATED, token_of
from voxgate.protocols.status import NORMAL, STATUS

_log = structlog.get_logger(__name__)


class SocketShell:
    """ASGI application: WebSockets to their routes, everything else to the application behind it."""

    def __init__(
        self, behind: ASGIApp, routes: Mapping[str, Route], sockets: Sockets, *, allowed_origins: Sequence[str] = ("*",)
    ) -> None:
        """`allowed_origins`: of web pages that may open sockets; who sends no Origin is no page."""
        self._behind = behind
        self._routes = routes
        self._sockets = sockets
        self._origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection (ASGI)."""
        if scope["type"] != "websocket":
            await self._behind(scope, receive, send)
            return
        wire: Wire = scope[WIRE]
        route = self._routes.get(scope["path"])
        origin = Headers(scope=scope).get("origin")
        if route is None:
            refused: VoxgateError = PeerError(f"there is no socket at {scope['path']}", code=Code.NOT_FOUND)
        elif origin is not None and not self._origins & {"*", origin}:
            refused = RefusedError("pages of this origin may not open sockets here (server.allowed_origins)")
        else:
            taken = (name for name in scope["subprotocols"] if name in route.subprotocols)
            wire.accept(self._sockets.limits, next(taken, None))
            await self._serve(wire, scope, route)
            return
        wire.refuse(STATUS[refused.code].http, orjson.dumps(envelope(refused)))
        _log.info("socket refused", path=scope["path"], code=refused.code)

    async def _serve(self, wire: Wire, scope: Scope, route: Route) -> None:
        """One socket, from its handshake to its close."""
        counts = self._sockets.metrics.socket_opened(scope["path"])
        key = socket_credential(Headers(scope=scope), scope["query_string"])
        awaited = key is None and route.token_first
        peer = Peer(wire, scope, self._sockets.limits, authenticated=not awaited, counts=counts)
        session = _Session(self._sockets, route, peer, wire)
        with structlog.contextvars.bound_contextvars(socket_id=peer.id):
            try:
                error = await session.run(key)
                if error is None:
                    await peer.close(NORMAL)
                else:
                    status = STATUS[error.code]
                    assert status.close is not None  # an error without one became MisuseError
                    peer.error(error)
                    await peer.close(status.close, status.socket)
            finally:
                # Also where the server's patience ended: then the protocol breaks the connection off.
                peer.release(key_id=session.key_id)


class _Session:
    """One handler at work, and what became of it."""

    def __init__(self, sockets: Sockets, route: Route, peer: Peer, wire: Wire) -> None:
        self.key_id: str | None = None
        """Whose session it is, once that is known."""
        self._admission = sockets.admission
        self._clock = sockets.clock
        self._route = route
        self._peer = peer
        self._wire = wire

    async def run(self, key: str | None) -> VoxgateError | None:
        """Carry it out. `key`: of the handshake. The error that ended it, fit for the client and with a close code."""
        try:
            async with asyncio.timeout(None) as life:
                self._wire.on_shutdown = partial(self._stop, life)
                async with self._admitted(key) as principal:
                    if principal is not None:
                        self.key_id = principal.key_id
                        await self._route.handler(self._peer, principal)
        except TimeoutError as error:
            if life.expired():
                return RefusedError("the server is shutting down; connect again", code=Code.SHUTTING_DOWN)
            return self._hidden(error)
        except Exception as error:
            return self._told(error)
        finally:
            self._wire.on_shutdown = _nothing
        return None

    def _stop(self, life: asyncio.Timeout) -> None:
        self._wire.on_shutdown = _nothing
        life.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def _admitted(self, key: str | None) -> AsyncIterator[Principal | None]:
        """Who is at the other end, once it is known; None where the client left before it said."""
        peer = self._peer
        by_token = key is None and self._route.token_first
        if by_token:
            async with self._admission.wait(peer.address):
                message = await self._first()
            if message is None:
                yield None
                return
            key = token_of(message)
            if key is None:
                raise RefusedError(
                    'a credential is required: in the handshake, or as a first message {"token": KEY}',
                    code=Code.INVALID_API_KEY,
                )
        async with AsyncExitStack() as stack:
            principal = await stack.enter_async_context(self._admission.let_in(key, peer.address, peer.path))
            ends = principal.expires_at
            peer.authenticated(None if ends is None else (ends - self._clock.now()).total_seconds())
            if by_token:
                peer.post(AUTHENTICATED)
            yield principal

    async def _first(self) -> str | bytes | None:
        """The first message; an empty one in place of what is too large to be read."""
        try:
            return await self._peer.receive()
        except PeerError:
            return b""

    def _told(self, error: Exception) -> VoxgateError:
        """What the client is told of what a session raised."""
        cause = _cause(error)
        if not isinstance(cause, VoxgateError) or isinstance(cause, MisuseError):
            return self._hidden(error)
        if STATUS[cause.code].close is None:  # of those that sessions survive: whoever raised it should have told it
            return self._hidden(error)
        if isinstance(cause, EngineError | StoreError):
            _log.warning("session failed", code=cause.code, error=cause.message)
        return cause

    def _hidden(self, error: Exception) -> MisuseError:
        """In place of an error nobody expected: nothing but that it happened."""
        _log.error("session failed", exc_info=error)
        return MisuseError(f"something went wrong on our side; the session is {self._peer.id} in our log")


def _cause(error: BaseException) -> BaseException:
    """Of errors that a task group put together, the one to tell: one that nobody expected, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_cause(one) for one in error.exceptions]
    unexpected = (one for one in causes if not isinstance(one, VoxgateError) or isinstance(one, MisuseError))
    return next(unexpected, causes[0])


def _nothing() -> None:
    """The session is closing already."""
