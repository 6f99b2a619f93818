"""The conversations of the voice agent: each is held, paid for and remembered, whoever is connected to it.

A conversation is a task of its own, not of a connection: it begins with one, and ends by its client's wish, when its
client does not come back, or when its credits do.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from voxgate.calls import CallEnded, CallProblem, CallRequest, EndIn, EndReason
from voxgate.domain import Principal
from voxgate.errors import MisuseError, RefusedError, StoreError, VoxgateError
from voxgate.gateways.agent_call import AgentCall
from voxgate.gateways.sockets import Sockets
from voxgate.ports import CallTransport
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


class AgentCalls:
    """All of them, by the ids of their sessions."""

    def __init__(self, sockets: Sockets, converse: Converse, record: Record) -> None:
        self.converse = converse
        self._sockets = sockets
        self._record = record
        self._held: dict[str, AgentCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def get(self, session_id: str, org_id: str) -> AgentCall | None:
        """The conversation with this id, if it goes on and is this organization's."""
        call = self._held.get(session_id)
        return call if call is not None and call.org_id == org_id and call.ended is None else None

    async def begin(
        self, call: AgentCall, conversation: Conversation, principal: Principal, voice: str, language: str | None
    ) -> None:
        """Hold a conversation, once it is paid for. Raises RefusedError `insufficient_credits`, StoreError.

        `language`: BCP-47 tag of its replies, if one was asked for.
        """
        meter = Meter(self._sockets.ledger, principal, self._sockets.prices.agent(), request_id=call.id)
        await meter.__aenter__()  # left by `_hold`, which outlives the client
        now = self._sockets.clock.now()
        self._record.open(SessionOpened(call.id, principal.org_id, principal.key_id, "agent", voice, language, now))
        task = asyncio.create_task(self._hold(call, conversation, principal, meter))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """End all of them, and settle what they cost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold(self, call: AgentCall, conversation: Conversation, principal: Principal, meter: Meter) -> None:
        lead_s = self._sockets.limits.session_expiring_s
        self._held[call.id] = call
        self._count()
        call.left_s = lambda: _left_s(meter, lead_s)
        try:
            await self._run(call, conversation, meter)
        finally:
            self._record.close(call.id, call.ended or EndReason.SERVER)
            call.left_s = dict
            del self._held[call.id]
            self._count()
            call.is_over()
            await meter.settle()
            _log.info(
                "agent session",
                session_id=call.id,
                key_id=principal.key_id,
                seconds=round(self._sockets.clock.monotonic() - call.began, 3),
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
            passed_ms = round((self._sockets.clock.monotonic() - call.began) * 1000) - billed_ms
            billed_ms += passed_ms
            meter.delivered(passed_ms)
            if not running.done():
                await meter.ahead(step_ms)

    def _count(self) -> None:
        self._sockets.metrics.gauge("conversations", len(self._held), engine="agent")


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
