"""Conversations that are held: what they cost, how they end, who finds them again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.gateways.agent_client import Talk
from tests.inside import Inside, inside
from tests.serving import SCRIPTED
from voxgate.calls import CallRequest, EndIn, EndReason
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.errors import Code, EngineError, RefusedError
from voxgate.gateways import agent_calls
from voxgate.gateways.agent_call import AgentCall
from voxgate.gateways.agent_calls import AgentCalls
from voxgate.protocols.agent.messages import NAMESPACE, Start
from voxgate.protocols.agent.session import AgentSession, Event
from voxgate.records import SessionOpened

A_WHILE_S = 30


class Books:
    """`Record` that keeps."""

    def __init__(self) -> None:
        self.opened: list[SessionOpened] = []
        self.closed: list[tuple[str, EndReason]] = []

    def open(self, session: SessionOpened) -> None:
        self.opened.append(session)

    def close(self, session: str, reason: EndReason) -> None:
        self.closed.append((session, reason))


@dataclass
class Hall:
    """Conversations of the test's own on a real ledger, with a clock that is moved by hand."""

    server: Inside
    calls: AgentCalls
    books: Books
    clock: FakeClock
    events: list[Event] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def principal(self, credits_: str) -> Principal:
        key = await self.server.new_key(f"org with {credits_}", credits_)
        async with self.server.server.sockets.admission.let_in(key, "127.0.0.1", NAMESPACE) as principal:
            return principal

    async def begin(self, principal: Principal, *, failure: Exception | None = None) -> tuple[AgentCall, Talk]:
        """A conversation that is held; its client keeps what it is told."""
        session = AgentSession("alloy", instructions_characters=100)
        start = session.receive("start_session", [{}])
        assert isinstance(start, Start)
        call = AgentCall("agent_1", session, principal.org_id, self.clock.monotonic(), Holding(self))
        session.started(call.id, start, None, 24_000)
        talk = Talk(CallRequest(call.id), "alloy", failure=failure)
        await self.calls.begin(call, talk, principal, "alloy", None)
        call.attach(self.told)
        async with asyncio.timeout(A_WHILE_S):
            await talk.begun.wait()
        return call, talk

    async def told(self, event: Event) -> None:
        self.events.append(event)

    async def over(self) -> None:
        async with asyncio.timeout(A_WHILE_S):
            await self.released.wait()

    async def until(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the books say so: they are written once in a while."""
        async with asyncio.timeout(A_WHILE_S):
            while not await ready():
                await asyncio.sleep(0.01)

    async def until_left(self, call: AgentCall, seconds: float) -> None:
        """Wait until credits are known to end the call in so many seconds."""

        async def known() -> bool:
            return call.left_s()["credits"] == pytest.approx(seconds)

        await self.until(known)

    async def until_held(self, org_id: str, credits_: int) -> None:
        """Wait until so many credits are set aside."""

        async def held() -> bool:
            return (await self.server.server.sockets.ledger.balance(org_id)).held == credits_ * 1_000_000

        await self.until(held)

    async def balance(self, org_id: str) -> int:
        """What can be spent, in credits, once nothing is held any more."""
        await self.until_held(org_id, 0)
        return (await self.server.server.sockets.ledger.balance(org_id)).available // 1_000_000


@dataclass
class Holding:
    """`agent_call.Holder`."""

    hall: Hall

    def released(self) -> None:
        self.hall.released.set()

    def displaced(self) -> None:
        raise AssertionError("nobody comes back")


@pytest.fixture
async def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    monkeypatch.setattr(agent_calls, "_BILL_S", 0.01)
    prices = "[prices]\nagent_credits_per_minute = 1\n"
    async with inside(tmp_path, SCRIPTED + prices, ports=frozenset()) as server:
        clock, books = FakeClock(), Books()
        calls = AgentCalls(replace(server.server.sockets, clock=clock), Talk, books)
        try:
            yield Hall(server, calls, books, clock)
        finally:
            await calls.aclose()


async def test_a_conversation_is_billed_by_the_begun_minute_and_remembered(hall: Hall) -> None:
    principal = await hall.principal("10")
    call, _ = await hall.begin(principal)
    assert (len(hall.calls), hall.calls.get(call.id, principal.org_id)) == (1, call)
    hall.clock.advance(59.995)
    await hall.until_held(principal.org_id, 2)  # the next minute, before it begins
    hall.clock.advance(2)
    call.tell(EndIn())
    await hall.over()
    assert await hall.balance(principal.org_id) == 8
    assert (len(hall.calls), hall.calls.get(call.id, principal.org_id)) == (0, None)
    assert [(each.id, each.surface, each.voice) for each in hall.books.opened] == [(call.id, "agent", "alloy")]
    assert hall.books.closed == [(call.id, EndReason.CLIENT)]
    assert hall.events[-1] == ("session_ended", {"session_id": call.id, "status": "ended"})


async def test_who_cannot_pay_the_first_minute_does_not_begin(hall: Hall) -> None:
    with pytest.raises(RefusedError) as refused:
        await hall.begin(await hall.principal("0.5"))
    assert refused.value.code is Code.INSUFFICIENT_CREDITS
    assert len(hall.calls) == 0
    assert hall.books.opened == []


async def test_credits_that_end_are_told_and_end_the_conversation(hall: Hall) -> None:
    principal = await hall.principal("1")
    call, talk = await hall.begin(principal)
    hall.clock.advance(50)
    await hall.until_left(call, 10)
    hall.clock.advance(10)
    await hall.over()
    assert [name for name, _ in hall.events] == ["error", "session_ended"]
    assert hall.events[0][1]["code"] == "insufficient_credits"
    assert talk.heard == [EndIn(EndReason.SERVER)]
    assert await hall.balance(principal.org_id) == 0
    assert hall.books.closed == [(call.id, EndReason.SERVER)]


@pytest.mark.parametrize(
    ("failure", "code", "shown"),
    [
        (EngineError("it burns", engine="x"), "engine_error", "it burns"),
        (ValueError("a secret of ours"), "internal_error", "agent_1"),
    ],
)
async def test_a_conversation_that_raises_ends_alone_and_hides_what_is_ours(
    hall: Hall, failure: Exception, code: str, shown: str
) -> None:
    with capture_logs() as log:
        call, _ = await hall.begin(await hall.principal("10"), failure=failure)
        call.tell(EndIn())
        await hall.over()
    (_, told), (last, _) = hall.events
    assert (told["code"], last) == (code, "session_ended")
    assert shown in told["message"]
    assert "a secret of ours" not in told["message"]
    assert hall.books.closed == [(call.id, EndReason.FAILED)]
    assert [each["session_id"] for each in log if each["event"] == "agent session failed"] == [call.id]


async def test_nobody_finds_the_conversation_of_another_organization(hall: Hall) -> None:
    call, _ = await hall.begin(await hall.principal("10"))
    assert hall.calls.get(call.id, "org_other") is None
    assert hall.calls.get("agent_2", call.org_id) is None


async def test_a_server_that_stops_settles_what_is_held(hall: Hall) -> None:
    principal = await hall.principal("1")
    call, _ = await hall.begin(principal)
    hall.clock.advance(40)
    await hall.until_left(call, 20)
    await hall.calls.aclose()
    assert await hall.balance(principal.org_id) == 0
    assert len(hall.calls) == 0
