"""One WebSocket as bytes: what uvicorn makes of a connection that is upgraded. It decides nothing: `vigil.py` does.

What uvicorn asks of such a class is small: a constructor, `connection_made`, `data_received` with the request it has
read, `shutdown`, and that it keeps `connections` and `tasks` true (decision 11 tells why this is not uvicorn's own).
The application is called as ASGI has it, and finds this object in its scope, under `WIRE`.

Messages are not compressed. Measured on two recordings at 16 kHz, zlib with the 4 KiB window that uvicorn offers:
binary frames shrink by 6 to 12 %, base64 by 30 %, which is what it had added and a binary frame saves for nothing. It
would cost a client 30 us a frame, us 5 us and 40 KiB a connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import structlog
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from voxgate.errors import MisuseError
from voxgate.gateways.limits import LimitSettings
from voxgate.protocols.status import NORMAL
from voxgate.protocols.websocket import (
    BINARY,
    BROKEN,
    CLOSE,
    PING,
    PONG,
    TEXT,
    BadHandshake,
    Closed,
    Failed,
    Handshake,
    Oversized,
    Ping,
    Quiet,
    Reader,
    close_payload,
    read_handshake,
    write_frame,
)

_log = structlog.get_logger(__name__)

WIRE = "voxgate.wire"
"""The name of this object in the scope of the application it calls."""

_BATCH = 16
"""Frames that are read at once, and messages that are kept unread: what one socket may take of the loop at a time."""

_UNTAKEN = 1 << 20
"""Bytes of messages that are kept unread; and bytes a peer may leave unread before we read nothing more of it, since it
would not have its errors and pongs either."""

_PHRASES = {400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed"}
_PHRASES |= {426: b"Upgrade Required", 500: b"Internal Server Error", 503: b"Service Unavailable"}


class SocketProtocol(asyncio.Protocol):
    """Carries out `sockets.Wire`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn calls it."""
        self.inbox: deque[str | bytes | Oversized | Failed] = deque()
        self.lost = False
        self.reading = True
        self.heard = 0.0
        self.told = 0.0
        self.stuck_since: float | None = None
        self.code: int | None = None
        self.on_shutdown: Callable[[], None] | None = None
        self._app: ASGIApp = config.loaded_app
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._handshake: Handshake | None = None
        self._reader: Reader | None = None
        self._linger_s = 0.0
        self._kept = 0  # bytes of the inbox's messages
        self._goodbye: Closed | None = None  # the peer's close frame
        self._over = False  # whether the peer sends no more
        self._closed = False  # whether we do not
        self._discarding = False  # whether what still comes is of no interest
        self._pumping = False  # whether more frames will be read in the loop's next round
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closing: asyncio.TimerHandle | None = None

    # what uvicorn and the event loop call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection is handed over; its request follows."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no instance of it
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own classes
        self.heard = self.told = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """The request, as uvicorn writes it down again; then frames."""
        self.heard = self._loop.time()
        if self._reader is None:
            if self._handshake is None:
                self._open(data)
            return
        self._reader.feed(data)
        if self.reading:
            self._pump()

    def eof_received(self) -> bool:
        """The peer sends no more; over plain TCP it may still read."""
        self._over = True
        self.wake()
        if self._closed:
            self._transport.close()
        return not is_ssl(self._transport) and not self._closed

    def pause_writing(self) -> None:
        """The peer leaves more unread than the transport likes to keep."""
        self._writable.clear()
        self.stuck_since = self._loop.time()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()
        self.stuck_since = None
        if not self.reading:
            self._pump_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        self._state.connections.discard(self)
        self.lost = self._over = self._closed = True
        self.code = self.code or BROKEN
        self.stuck_since = None
        self._writable.set()
        self.wake()
        if self._closing is not None:
            self._closing.cancel()

    def shutdown(self) -> None:
        """The server stops."""
        if self.on_shutdown is not None:
            self.on_shutdown()
        elif not self._closed:
            self.abort()

    # sockets.Wire

    @property
    def gone(self) -> bool:
        """Nothing more will come, beyond what is in the inbox."""
        return self._discarding or (self._over and self.reading)

    def accept(self, limits: LimitSettings, subprotocol: str | None = None) -> None:
        """Answer the handshake, and begin to read."""
        if self._handshake is None or self._reader is not None:
            raise MisuseError("a handshake is answered once")
        self._reader = Reader(message_bytes=limits.socket_message_bytes, frame_bytes=limits.socket_frame_bytes)
        self._linger_s = limits.socket_linger_s
        fields = (
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", self._handshake.accept),
            *(((b"sec-websocket-protocol", subprotocol.encode("latin-1")),) if subprotocol else ()),
            *self._state.default_headers,
        )
        self._write(_head(b"101 Switching Protocols", fields))
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def refuse(self, status: int, body: bytes) -> None:
        """Answer the handshake with an HTTP error and a JSON body instead."""
        self._refuse(status, body, ((b"content-type", b"application/json"),))

    def take(self) -> str | bytes | Oversized | Failed:
        """The oldest of the inbox, which is not empty."""
        message = self.inbox.popleft()
        if isinstance(message, str | bytes):
            self._kept -= len(message)
        if not self.reading and not self.inbox:
            self._pump_soon()
        return message

    def arrival(self) -> asyncio.Future[None]:
        """Done when something has come, or nothing more will, or `wake` was called."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def wake(self) -> None:
        """Whoever waits for an arrival waits no more."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def post(self, message: str | bytes) -> None:
        """Send a message; nothing once it is closed."""
        if isinstance(message, str):
            self._write(write_frame(TEXT, message.encode()))
        else:
            self._write(write_frame(BINARY, message))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._write(write_frame(PING, b""))

    async def drained(self) -> None:
        """Wait until the peer has taken most of what was sent, or is gone."""
        await self._writable.wait()
        if self.lost:
            await asyncio.sleep(0)  # who sends in a loop learns of it from somebody else, who needs a turn

    def linger(self) -> None:
        """The peer has closed its half; ours follows after `limits.socket_linger_s`, if nobody closes it before."""
        if self._closing is None and not self._closed:
            self._closing = self._loop.call_later(self._linger_s, self.close, NORMAL, "")

    def close(self, code: int, reason: str) -> None:
        """Close our half; what was posted goes out first, what still comes is thrown away."""
        if self._closed:
            return
        theirs = self._goodbye
        # A peer that closed is told its own code (5.5.1), unless it has to hear of an error.
        payload = theirs.payload if theirs is not None and code == NORMAL else close_payload(code, reason)
        self._write(write_frame(CLOSE, payload))
        self.code = self.code or code
        self._closed = self._discarding = True
        self.inbox.clear()
        self._kept = 0
        self.wake()
        if self._over:
            self._transport.close()
        else:
            # Its close frame is waited for, and what comes before it thrown away: a connection that is closed on
            # unread bytes is reset, and the peer may lose what was sent last, the reason of all this.
            self._pump_soon()
        if self._closing is not None:
            self._closing.cancel()
        self._closing = self._loop.call_later(self._linger_s, self.abort)

    def abort(self) -> None:
        """Break the connection off."""
        self._closed = True
        self._transport.abort()

    # inside

    def _open(self, head: bytes) -> None:
        request = read_handshake(head)
        if isinstance(request, BadHandshake):
            self._refuse(request.status, request.reason.encode(), request.headers)
            return
        self._handshake = request
        self._transport.pause_reading()  # whatever comes before the answer is none of a client that keeps to the rules
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": "",
            "path": request.path,
            "query_string": request.query,
            "headers": request.headers,
            "subprotocols": list(request.subprotocols),
            "state": {},
            WIRE: self,
        }
        task = self._loop.create_task(self._run(scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, _no_receive, _no_send)
        except Exception:
            _log.exception("socket failed")
        finally:
            if not self._closed:
                self.abort()

    def _pump(self) -> None:
        """Read what has come, a batch at a time; no more comes in while some of it is left."""
        self._pumping = False
        assert self._reader is not None
        for _ in range(_BATCH):
            if len(self.inbox) >= _BATCH or self._kept >= _UNTAKEN or self._flooded():
                self._hold(True)
                return
            event = self._reader.next()
            if event is None:
                self._hold(False)
                return
            if isinstance(event, str | bytes):
                self._arrived(event)
            elif event is not Quiet.QUIET:
                self._handle(event)
        self._hold(True)
        self._pump_soon()

    def _handle(self, event: Oversized | Ping | Closed | Failed) -> None:
        if isinstance(event, Ping):
            self._write(write_frame(PONG, event.payload))
        elif isinstance(event, Closed):
            self._goodbye = event
            self.code = self.code or event.code
            self._over = True
            self.wake()
            if self._closed:
                self._transport.close()
        elif not self._discarding:
            self.inbox.append(event)
            self.wake()

    def _arrived(self, message: str | bytes) -> None:
        if not self._discarding:
            self.inbox.append(message)
            self._kept += len(message)
            self.wake()

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _flooded(self) -> bool:
        return not self._writable.is_set() and self._transport.get_write_buffer_size() > _UNTAKEN

    def _hold(self, hold: bool) -> None:
        if hold != self.reading:
            return
        self.reading = not hold
        if not hold:
            self.heard = self._loop.time()  # its silence was our doing
            self.wake()
        if self._transport.is_closing():
            return
        if hold:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        # A transport that is closing says so before `connection_lost` does, and complains of every further write.
        if not self._closed and not self._transport.is_closing():
            self.told = self._loop.time()
            self._transport.write(data)

    def _refuse(self, status: int, body: bytes, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        length = (b"content-length", str(len(body)).encode())
        line = str(status).encode() + b" " + _PHRASES[status]
        self._write(_head(line, (*fields, length, (b"connection", b"close"), *self._state.default_headers)) + body)
        self._closed = True
        self._transport.close()


def _head(line: bytes, fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join((b"HTTP/1.1 ", line, b"\r\n", *(b"%b: %b\r\n" % field for field in fields), b"\r\n"))


async def _no_receive() -> Any:
    raise MisuseError("a socket's messages are received from the object in its scope")


async def _no_send(_message: Any) -> None:
    raise MisuseError("a socket's messages are sent through the object in its scope")
