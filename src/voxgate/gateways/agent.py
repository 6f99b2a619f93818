"""`/v1/audio/agent`, a Socket.IO namespace: who is connected, which conversations are held, and what they cost.

Events reach the client they belong to one after the other (`async_handlers=False`: handlers only queue), and a client
that sends faster than it is heard is read no further. A conversation is a task of this namespace, not of a connection.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import structlog
from starlette.types import ASGIApp

from voxgate.calls import CallEnded, CallProblem, CallRequest, EndIn, EndReason
from voxgate.domain import Principal
from voxgate.errors import MisuseError, RefusedError, StoreError, VoxgateError
from voxgate.gateways.agent_call import AgentCall
from voxgate.gateways.agent_client import AgentClient
from voxgate.gateways.agent_settings import AgentSettings
from voxgate.gateways.socketio import PING_S, PONG_S, SocketIo
from voxgate.gateways.sockets import Sockets
from voxgate.ports import CallTransport
from voxgate.protocols.agent.messages import NAMESPACE
from voxgate.records import SessionOpened
from voxgate.services.metering import Meter

_log = structlog.get_logger(__name__)

_BILL_S = 1.0
"""How often the length of a conversation is written on its meter, and how far ahead it is held for."""
_END_S = 2.0
"""How long a conversation that was told to end may take, before it is cancelled."""


class Conversation(Protocol):
    """A call that can begin: `conversation.conversation.Conversation`."""

    async def run(self, transport: CallTransport) -> EndReason:
        """Hold it until it is over, by whatever; the last thing it sends is CallEnded."""
        ...


class Record(Protocol):
    """Where conversations are remembered: `services.transcripts.Transcripts`."""

    def open(self, session: SessionOpened) -> None:
        """One began."""

    def close(self, session: str, reason: EndReason) -> None:
        """It is over."""


Converse = Callable[[CallRequest, str], Conversation]
"""Who holds a call with a voice. Raises PeerError (voice, language), RefusedError, EngineError `engine_unavailable`."""


class Agent:
    """The namespace."""

    def __init__(
        self,
        sockets: Sockets,
        settings: AgentSettings,
        converse: Converse,
        record: Record,
        *,
        allowed_origins: Sequence[str] = ("*",),
    ) -> None:
        """`allowed_origins`: of pages that may connect."""
        import socketio  # not before a server is made: it takes a tenth of a second

        self.sockets = sockets
        self.settings = settings
        self.converse = converse
        self.calls: dict[str, AgentCall] = {}
        """Session id -> its conversation."""
        quiet = logging.Logger("socketio", logging.CRITICAL)  # its lines repeat what clients send
        quiet.addHandler(logging.NullHandler())
        self.engine = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,
            always_connect=True,  # who is refused is told why by an event, and events need a connection
            namespaces=[NAMESPACE],
            cors_allowed_origins="*" if "*" in allowed_origins else list(allowed_origins),
            cors_credentials=False,
            max_http_buffer_size=sockets.limits.socket_frame_bytes,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            logger=quiet,
            engineio_logger=quiet,
        )
        self.engine.on("connect", self._connect, namespace=NAMESPACE)
        self.engine.on("disconnect", self._disconnect, namespace=NAMESPACE)
        self.engine.on("*", self._event, namespace=NAMESPACE)
        self._record = record
        self._origins = tuple(allowed_origins)
        self._below: SocketIo
        self._clients: dict[str, AgentClient] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application with this namespace before it. Once, with a running event loop."""
        self._below = SocketIo(app, self.engine, self.sockets, allowed_origins=self._origins)
        self._spawn(self._below.sweep())
        return self._below

    async def aclose(self) -> None:
        """End every conversation and every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.engine.shutdown()

    async def begin(
        self, call: AgentCall, conversation: Conversation, principal: Principal, voice: str, language: str | None
    ) -> None:
        """Hold a conversation, once it is paid for. Raises RefusedError `insufficient_credits`, StoreError.

        `language`: BCP-47 tag of its replies, if one was asked for.
        """
        meter = Meter(self.sockets.ledger, principal, self.sockets.prices.agent(), request_id=call.id)
        await meter.__aenter__()  # left by `_held`, which outlives the client
        now = self.sockets.clock.now()
        opened = SessionOpened(call.id, principal.org_id, principal.key_id, "agent", voice, language, now)
        self._record.open(opened)
        self._spawn(self._held(call, conversation, principal, meter))

    async def drop(self, client: AgentClient, code: int) -> None:
        """Close the connection of a client, after everything that was sent to it."""
        self._clients.pop(client.sid, None)
        await self._below.close(client.eio_sid, client.link, code)

    # what python-socketio calls

    async def _connect(self, sid: str, _environ: Any, auth: Any = None) -> None:
        eio_sid = self.engine.manager.eio_sid_from_sid(sid, NAMESPACE)
        if sid in self._clients or eio_sid is None:  # an event of a client's that is called "connect"
            return
        scope = self.engine.environ[eio_sid]["asgi.scope"]
        client = AgentClient(self, sid, eio_sid, self._below.link(eio_sid, scope), scope, auth)
        self._clients[sid] = client
        self._spawn(client.run())

    async def _disconnect(self, sid: str, *_reason: Any) -> None:
        if self.engine.manager.is_connected(sid, NAMESPACE):  # an event of a client's that is called "disconnect"
            return
        client = self._clients.pop(sid, None)
        if client is not None:
            client.gone()

    async def _event(self, event: str, sid: str, *arguments: Any) -> None:
        client = self._clients.get(sid)
        if client is not None:
            await client.put((event, arguments))

    # conversations

    async def _held(self, call: AgentCall, conversation: Conversation, principal: Principal, meter: Meter) -> None:
        lead_s = self.sockets.limits.session_expiring_s
        self.calls[call.id] = call
        self._count()
        call.left_s = lambda: _left_s(meter, lead_s)
        try:
            await self._run(call, conversation, meter)
        finally:
            self._record.close(call.id, call.ended or EndReason.SERVER)
            call.left_s = dict
            del self.calls[call.id]
            self._count()
            call.is_over()
            await meter.settle()
            _log.info(
                "agent session",
                session_id=call.id,
                key_id=principal.key_id,
                seconds=round(self.sockets.clock.monotonic() - call.began, 3),
                credits=meter.used,
            )

    async def _run(self, call: AgentCall, conversation: Conversation, meter: Meter) -> None:
        running = asyncio.create_task(conversation.run(call))
        speaking = asyncio.create_task(call.speak())
        try:
            await self._bill(call, meter, running)
        except (RefusedError, StoreError) as error:
            call.send(CallProblem(error))
            call.tell(EndIn(EndReason.SERVER))
            await asyncio.wait({running}, timeout=_END_S)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if not running.cancelled() and (failure := running.exception()) is not None:
                call.send(CallProblem(_told(failure, call.id)))
            if call.ended is None:
                call.send(CallEnded(EndReason.FAILED))
            await asyncio.wait({speaking}, timeout=_END_S)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _bill(self, call: AgentCall, meter: Meter, running: "asyncio.Task[EndReason]") -> None:
        """Write its length on the meter until it is over. Raises RefusedError `insufficient_credits`, StoreError."""
        step_ms = round(_BILL_S * 1000)
        billed_ms = 0
        while not running.done():
            await asyncio.wait({running}, timeout=_BILL_S)
            passed_ms = round((self.sockets.clock.monotonic() - call.began) * 1000) - billed_ms
            billed_ms += passed_ms
            meter.delivered(passed_ms)
            if not running.done():
                await meter.ahead(step_ms)

    def _count(self) -> None:
        self.sockets.metrics.gauge("conversations", len(self.calls), engine="agent")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _left_s(meter: Meter, lead_s: float) -> Mapping[str, float]:
    """Seconds until credits end it; where there is more than is asked for, so much."""
    return {"credits": meter.left(round((lead_s + 1) * 1000)) / 1000}


def _told(failure: BaseException, session_id: str) -> VoxgateError:
    """What a client is told of what ended its conversation."""
    if isinstance(failure, VoxgateError) and not isinstance(failure, MisuseError):
        _log.warning("agent session failed", session_id=session_id, code=failure.code, error=failure.message)
        return failure
    _log.error("agent session failed", session_id=session_id, exc_info=failure)
    return MisuseError(f"something went wrong on our side; the session is {session_id} in our log")
