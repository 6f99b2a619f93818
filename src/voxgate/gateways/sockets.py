"""WebSockets as sessions see them: the other end, what a route is handed, and which credential it asks for.

    async def live(peer: Peer, principal: Principal) -> None:
        with peer.announcing(lambda: credits_left(meter, rate)):
            while (message := await peer.receive()) is not None:
                peer.post(answer)
                await peer.drained()

A handler returns when its session is over: the socket is closed with 1000. It raises a `VoxgateError` that ends
sessions (`protocols/status.py` has its close code): the client is told, and the socket closed with that code. What
ends a handler from outside (its key was revoked, the server stops) cancels it. Errors the session survives are told
with `Peer.error`.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from voxgate.clock import Clock
from voxgate.domain import Principal
from voxgate.errors import Code, PeerError, RefusedError, VoxgateError
from voxgate.gateways.admission import Admission
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.vigil import Act, Seen, Vigil
from voxgate.observe import Prometheus, SocketCounts
from voxgate.ports import Ledger, Vad
from voxgate.protocols.sockets import error_message, expiring_message
from voxgate.protocols.websocket import BROKEN, Failed, Oversized
from voxgate.services.billing import PriceSettings
from voxgate.services.expiring import Expiring
from voxgate.services.metering import Meter
from voxgate.services.switchboard import Switchboard

_log = structlog.get_logger(__name__)

Handler = Callable[["Peer", Principal], Awaitable[None]]
"""One session, from its credential to its end."""


@dataclass(frozen=True, slots=True)
class Route:
    """What answers at a path."""

    handler: Handler
    token_first: bool = False
    """Whether a client without a credential in its handshake may send `{"token": KEY}` as its first message."""
    subprotocols: tuple[str, ...] = ()
    """Those of a handshake that are answered. Browsers and Node's `ws` break off where they offered some and none was
    taken up, before they have read a message: also one that is only told why it cannot be served has to be here."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """Everything a socket's route may need. The engines come and go; they are asked for when they are needed."""

    admission: Admission
    ledger: Ledger
    prices: PriceSettings
    limits: LimitSettings
    metrics: Prometheus
    clock: Clock
    cores: int
    switchboard: Callable[[], Switchboard]
    vad: Callable[[], Vad]
    """Raises EngineError where there is none."""


class Wire(Protocol):
    """One WebSocket as bytes: `gateways/websocket.py`. Moments are seconds of the event loop's clock."""

    inbox: deque[str | bytes | Oversized | Failed]
    """What has come and was not taken; see `take`."""
    lost: bool
    """There is no connection any more."""
    reading: bool
    heard: float
    told: float
    stuck_since: float | None
    code: int | None
    """The code it was closed with, by whoever was first; 1006 where the connection broke, None while it is open."""
    on_shutdown: Callable[[], None] | None
    """Called when the server stops."""

    @property
    def gone(self) -> bool:
        """Nothing more will come, beyond what is in the inbox."""
        ...

    def accept(self, limits: LimitSettings, subprotocol: str | None = None) -> None:
        """Answer the handshake, and begin to read. `subprotocol`: the one taken up, which the client offered."""

    def refuse(self, status: int, body: bytes) -> None:
        """Answer the handshake with an HTTP error and a JSON body instead."""

    def take(self) -> str | bytes | Oversized | Failed:
        """The oldest of the inbox, which is not empty."""
        ...

    def arrival(self) -> "asyncio.Future[None]":
        """Done when something has come, or nothing more will, or `wake` was called."""
        ...

    def wake(self) -> None:
        """Whoever waits for an arrival waits no more."""

    def post(self, message: str | bytes) -> None:
        """Send a message; nothing once it is closed."""

    def ping(self) -> None:
        """Ask for a sign of life."""

    async def drained(self) -> None:
        """Wait until the peer has taken most of what was sent, or is gone."""

    def linger(self) -> None:
        """The peer has closed its half; ours follows after `limits.socket_linger_s`, if nobody closes it before."""

    def close(self, code: int, reason: str) -> None:
        """Close our half; what was posted goes out first, what still comes is thrown away."""

    def abort(self) -> None:
        """Break the connection off."""


class Peer:
    """The other end of one accepted WebSocket. `receive` is for one task; everything else for any."""

    def __init__(
        self, wire: Wire, scope: Scope, limits: LimitSettings, *, authenticated: bool, counts: SocketCounts
    ) -> None:
        """`authenticated`: whether its handshake held a credential."""
        self.id = f"ws_{secrets.token_hex(12)}"
        """For logs and the ledger; never the key."""
        self.path: str = scope["path"].rstrip("/")
        self.headers = Headers(scope=scope)
        self.query: bytes = scope["query_string"]
        """What stands behind the question mark: it may hold a key, and goes into no log."""
        self.address: str = (scope.get("client") or ("", 0))[0]
        """Where it comes from, as trusted proxies say."""
        self.received = 0
        """Messages so far, those that were too large included."""
        self.sent = 0
        self._wire = wire
        self._limits = limits
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._vigil = Vigil(limits, self._began, authenticated=authenticated)
        self._expiring = Expiring(lead_s=limits.session_expiring_s)
        self._announced: Callable[[], Mapping[str, float]] | None = None
        self._waiting_since: float | None = None
        self._failure: RefusedError | None = None
        self._released = False
        self._look_again = self._loop.call_soon(self._look)

    async def receive(self) -> str | bytes | None:
        """The next message: text, or bytes. None: the client has closed, or vanished.

        After None nothing more comes, but a client that only closed its half still gets what is posted, for
        `limits.socket_linger_s`. While nobody calls this, little is read ahead: the client's sending is held up.
        Raises PeerError `too_large` (the message was dropped; call again), RefusedError `session_timeout` (no message
        for `limits.socket_idle_s`, no sign of life for `limits.socket_silent_s`, `limits.session_s` over).
        """
        wire = self._wire
        while self._failure is None:
            if wire.inbox:
                message = wire.take()
                if isinstance(message, Failed):
                    self.error(PeerError(message.reason, code=Code.TOO_LARGE if message.code == 1009 else None))
                    wire.close(message.code, message.reason)
                    return None
                self.received += 1
                if isinstance(message, Oversized):
                    raise PeerError(
                        f"the message has {message.size:,} bytes; "
                        f"{self._limits.socket_message_bytes:,} are allowed (limits.socket_message_bytes)",
                        code=Code.TOO_LARGE,
                    )
                return message
            if wire.gone:
                wire.linger()
                return None
            self._waiting_since = self._loop.time()
            try:
                await wire.arrival()
            finally:
                self._waiting_since = None
        raise self._failure

    def post(self, message: str | bytes) -> None:
        """Send a message, text or binary, after those posted before. Never waits: see `drained`."""
        self.sent += 1
        self._wire.post(message)

    async def drained(self) -> None:
        """Wait until the client has taken what was posted, but for what fits a socket's buffers.

        Returns too when it is gone. One that stays behind for `limits.slow_reader_s` is broken off.
        """
        await self._wire.drained()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket, after everything posted. Again, or where it is closed already, this does nothing.

        `reason`: at most 123 bytes of UTF-8.
        """
        await self._wire.drained()
        self._wire.close(code, reason)

    def error(self, error: VoxgateError) -> None:
        """Tell the client of an error: `{"type": "error", "code", "message", "param"?}`."""
        self.post(error_message(error))

    @contextmanager
    def announcing(self, limits: Callable[[], Mapping[str, float]]) -> Iterator[None]:
        """Send `session.expiring` where a limit is about to end the session, while the block runs.

        `limits`: asked once a second and after `look_again`, answers with the seconds that are left of the session's
        own limits, by reason (`credits`, see `credits_left`); the socket's (`session`, `idle`, `key`) are added, and
        looked at when they fall due. Announced once each, at `limits.session_expiring_s`, and again only after it has
        moved away.
        """
        self._announced = limits
        self.look_again()
        try:
            yield
        finally:
            self._announced = None

    def stir(self) -> None:
        """The session is at work although the client says nothing: `limits.socket_idle_s` begins anew."""
        if self._waiting_since is not None:
            self._waiting_since = self._loop.time()

    def authenticated(self, key_s: float | None) -> None:
        """Its credential is right: it may stay. `key_s`: seconds until the key ends; None: it does not."""
        self._vigil.authenticated = True
        if key_s is not None:
            self._vigil.key_until = self._loop.time() + key_s

    def look_again(self) -> None:
        """The session's own limits have changed: what is to be announced of them is, in a moment."""
        if not self._released:
            self._look_again.cancel()
            self._look_again = self._loop.call_soon(self._look)

    def release(self, **of: str | None) -> None:
        """The socket is closed, or to be broken off: watch it no more, count it, and leave one line in the log.

        `of`: what else stands there, such as whose it was.
        """
        self._released = True
        self._look_again.cancel()
        self._counts.messages(self.received, self.sent)
        code = self._wire.code or BROKEN
        self._counts.closed(code)
        _log.info(
            "socket",
            path=self.path,
            socket_id=self.id,
            close=code,
            seconds=round(self._loop.time() - self._began, 3),
            received=self.received,
            sent=self.sent,
            **of,
        )

    def _look(self) -> None:
        """What time has brought; then again, when it is time."""
        wire, now = self._wire, self._loop.time()
        if wire.lost:
            return
        seen = Seen(wire.heard, wire.told, wire.reading, self._waiting_since, wire.stuck_since, wire.gone)
        act = self._vigil.look(now, seen)
        if act is Act.PING:
            wire.ping()
        elif act is Act.STUCK:
            wire.abort()
        elif act is not Act.WAIT and self._failure is None:
            self._failure = _failure(act, self._limits)
            wire.wake()
        self._counts.messages(self.received, self.sent)
        self._look_again = self._loop.call_later(self._vigil.next_s(now, seen), self._look)
        if self._announced is not None and self._failure is None and not wire.gone:
            left = {**self._vigil.left_s(now, seen), **self._announced()}
            for notice in self._expiring.look(left):
                self.post(expiring_message(notice.reason, notice.seconds_left))


def credits_left(meter: Meter, rate: int, lead_s: float) -> Mapping[str, float]:
    """What `Peer.announcing` wants to know of a running meter: seconds of audio until credits end it.

    `rate`: samples per second of the meter's quantities; `lead_s`: `limits.session_expiring_s`, beyond which it does
    not matter how much more there is.
    """
    return {"credits": meter.left(round((lead_s + 1) * rate)) / rate}


def _failure(act: Act, limits: LimitSettings) -> RefusedError:
    if act is Act.UNAUTHENTICATED:
        return RefusedError(
            f"no credential came within {limits.socket_unauthenticated_s:g} s (limits.socket_unauthenticated_s)",
            code=Code.INVALID_API_KEY,
        )
    why = {
        Act.OVER: f"a session lasts {limits.session_s:g} s at most (limits.session_s)",
        Act.IDLE: f"no message came for {limits.socket_idle_s:g} s (limits.socket_idle_s)",
        Act.SILENT: f"nothing came for {limits.socket_silent_s:g} s, no answer to a ping either "
        "(limits.socket_silent_s)",
    }[act]
    return RefusedError(why, code=Code.SESSION_TIMEOUT)
