"""Where LiveKit's clients knock: `/rtc` and `/rtc/v1`, and the `validate` beside each, which says what was wrong.

A WebSocket that is refused tells a browser nothing, so clients ask `validate` with the same token, and show its text.
It never answers 404: clients take that for a server that knows no v1.
"""

from collections.abc import Sequence

import orjson
import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voxgate.errors import PeerError, RefusedError, VoxgateError
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.rooms.embedded import EmbeddedRooms
from voxgate.gateways.sockets import Peer, Wire
from voxgate.gateways.websocket import WIRE
from voxgate.observe import Prometheus
from voxgate.protocols.rest.errors import envelope
from voxgate.protocols.status import STATUS

_log = structlog.get_logger(__name__)

PATHS = ("/rtc", "/rtc/v1")
_VALIDATE = "/validate"
_PING_S, _SILENT_S = 5, 15
"""A client that is cut off is given up as soon as it gives us up (protocols/livekit/signalling.py)."""
_FOREVER_S = 1e9
"""How long a call lasts is the session's to say, not the socket's."""


class EmbeddedDoor:
    """ASGI application: those paths here, everything else to the application behind it."""

    def __init__(
        self,
        behind: ASGIApp,
        rooms: EmbeddedRooms,
        *,
        limits: LimitSettings,
        metrics: Prometheus,
        allowed_origins: Sequence[str] = ("*",),
    ) -> None:
        """`allowed_origins`: of pages that may join."""
        self._behind = behind
        self._rooms = rooms
        self._metrics = metrics
        self._origins = frozenset(allowed_origins)
        self._limits = limits.model_copy(
            update={
                "session_s": _FOREVER_S,
                "socket_idle_s": _FOREVER_S,
                "socket_ping_s": _PING_S,
                "socket_silent_s": _SILENT_S,
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, or one request (ASGI)."""
        path = scope["path"].rstrip("/") if scope["type"] in ("http", "websocket") else ""
        if scope["type"] == "websocket" and path in PATHS:
            await self._socket(scope, path)
        elif scope["type"] == "http" and path.removesuffix(_VALIDATE) in PATHS and path.endswith(_VALIDATE):
            await self._validate(scope, path.removesuffix(_VALIDATE), send)
        else:
            await self._behind(scope, receive, send)

    async def _socket(self, scope: Scope, path: str) -> None:
        from voxgate.protocols.livekit.joining import read_joining, token_of
        from voxgate.protocols.livekit.signalling import Goodbye, leave

        wire: Wire = scope[WIRE]
        headers = Headers(scope=scope)
        try:
            self._check_origin(headers)
            room, claims = self._rooms.find(token_of(scope["query_string"], headers.get("authorization", "")))
            joining = read_joining(path, scope["query_string"])
            room.admit()
        except (PeerError, RefusedError) as error:
            wire.refuse(_handshake_status(error), orjson.dumps(envelope(error)))
            _log.info("socket refused", path=path, code=error.code, reason=error.message)
            return
        wire.accept(self._limits)
        counts = self._metrics.socket_opened(path)
        peer = Peer(wire, scope, self._limits, authenticated=True, counts=counts)
        with structlog.contextvars.bound_contextvars(socket_id=peer.id, session_id=room.plan.session):
            try:
                if joining.resumes:
                    peer.post(leave(Goodbye.AGAIN))
                else:
                    await room.serve(peer, wire, joining, claims)
                await peer.close()
            finally:
                peer.release()

    async def _validate(self, scope: Scope, path: str, send: Send) -> None:
        from voxgate.protocols.livekit.joining import read_joining, token_of

        headers = Headers(scope=scope)
        status, text = 200, "success"
        try:
            self._check_origin(headers)
            if scope["method"] != "OPTIONS":
                self._rooms.find(token_of(scope["query_string"], headers.get("authorization", "")))
                if b"join_request=" in scope["query_string"]:
                    read_joining(path, scope["query_string"])
        except (PeerError, RefusedError) as error:
            status, text = _handshake_status(error), error.message
        fields = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text.encode())).encode()),
            (b"cache-control", b"no-store"),
        ]
        if "*" in self._origins:
            fields.append((b"access-control-allow-origin", b"*"))
        elif (origin := headers.get("origin")) in self._origins and origin is not None:
            fields += [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
        fields.append((b"access-control-allow-headers", b"authorization"))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": text.encode()})

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None and not self._origins & {"*", origin}:
            raise RefusedError("pages of this origin may not join here (server.allowed_origins)")


def _handshake_status(error: VoxgateError) -> int:
    """One that our sockets answer a handshake with."""
    status = STATUS[error.code].http
    if status == 429:
        return 503
    return status if status in (401, 403) else 400
