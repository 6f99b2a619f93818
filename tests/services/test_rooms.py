"""Sessions and their bills over a real ledger; the clock moves when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.services.test_room_time import Rules
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier
from voxgate.errors import Code, EngineError, MisuseError, PeerError, RefusedError, StoreError
from voxgate.rooms import Grant, RoomEnd, Voicebot
from voxgate.services.billing import PerMinute, Prepaid
from voxgate.services.room_time import Notice
from voxgate.services.rooms import OpenRoom, Rooms, Tick
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms
from voxgate.store.spending import SqlSpending

PRICE = 100
TARIFF = PerMinute("rooms", PRICE, 1000)
RULES = Rules()


class Carrier:
    """A house that carries nothing, and settles what it is told to end."""

    def __init__(self) -> None:
        self.carried: dict[str, OpenRoom] = {}
        self.ended: list[tuple[str, RoomEnd]] = []
        self.fails = False

    async def opened(self, room: OpenRoom, bot: Voicebot, base_url: str) -> Grant:
        if self.fails:
            raise EngineError("nobody carries rooms", engine="embedded")
        self.carried[room.plan.room] = room
        return Grant(base_url.replace("http", "ws"), "token")

    async def end(self, room: str, reason: RoomEnd) -> None:
        self.ended.append((room, reason))
        if room in self.carried:
            await self.carried[room].end(reason)


class Desk:
    """One server's sessions."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        self.ledger = SqlLedger(database, clock)
        self.store = SqlRooms(database, clock, self.ledger)
        self.gone: set[str] = set()
        self.house = Carrier()
        self.flushed = 0
        self.rooms = Rooms(
            self.store,
            SqlSpending(database),
            clock,
            RULES,
            tariff=TARIFF,
            flush=self._flush,
            ended_keys=self._ended,
            others_s=0.4,
        )
        self.rooms.house = self.house

    async def _flush(self) -> None:
        self.flushed += 1

    async def _ended(self, keys: Collection[str]) -> frozenset[str]:
        return frozenset(keys) & self.gone

    async def left(self, who: Principal) -> tuple[int, int]:
        balance = await self.ledger.balance(who.org_id)
        return balance.available, balance.held


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}")
    await database.upgrade()
    yield database
    assert (await SqlAudit(database).audit()).differences == ()
    await database.aclose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(database, clock)


async def somebody(database: Database, org: str = "acme", *, grant: int = 1000) -> Principal:
    added = await SqlAccounts(database, FakeClock()).add_key(
        f"vg_{org:k<40}", org=org, tier=Tier.FREE, grant=grant, label="", expires_at=None
    )
    assert added is not None
    return Principal(added[1].id, added[0].id, org, Tier.FREE)


@pytest.fixture
async def who(database: Database) -> Principal:
    return await somebody(database)


def bot(clock: FakeClock, who: Principal) -> Voicebot:
    return Voicebot(
        id="665f5aa613e4fe2f12ab34cd",
        org_id=who.org_id,
        name="Guide",
        avatar_url=None,
        instructions="",
        language=None,
        voice="alloy",
        greeting="Hello!",
        model="valsea-fast",
        images=(),
        created_at=clock.now(),
        updated_at=clock.now(),
    )


async def begun(desk: Desk, who: Principal) -> OpenRoom:
    room, _ = await desk.rooms.begin(who, bot(desk.clock, who), "Ada", request_id="req", base_url="http://here")
    return room


async def stay(desk: Desk, room: OpenRoom, seconds: int) -> list[Tick]:
    """Somebody is there for so long, and it is ticked every second; until it is to end."""
    ticks = []
    for _ in range(seconds):
        desk.clock.advance(1)
        ticks.append(await room.tick())
        if ticks[-1].ending:
            break
    return ticks


async def test_a_session_begins_with_its_first_minute_paid(desk: Desk, who: Principal) -> None:
    room, grant = await desk.rooms.begin(who, bot(desk.clock, who), "Ada", request_id="req", base_url="http://here")
    assert grant == Grant("ws://here", "token")
    plan = room.plan
    assert plan.room.startswith("ext-vb-665f5aa613e4fe2f12ab34cd-")
    assert (plan.name, plan.bot, plan.expires_at) == ("Ada", "Guide", desk.clock.now() + timedelta(seconds=900))
    assert plan.room != plan.session != plan.identity
    assert await desk.left(who) == (1000 - PRICE, PRICE)
    assert room.remaining == 1000 - PRICE
    assert desk.house.carried == {plan.room: room}
    other = await begun(desk, who)
    assert other.plan.identity != plan.identity
    assert other.plan.room != plan.room


async def test_what_nobody_joins_costs_its_first_minute_and_ends_with_its_token(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    ticks = await stay(desk, room, 1000)
    assert len(ticks) == 900
    assert ticks[-1].ending is RoomEnd.EXPIRED
    session = await room.end(RoomEnd.EXPIRED)
    assert (session.duration_s, session.billed_minutes, session.charged) == (0, 1, PRICE)
    assert await desk.left(who) == (1000 - PRICE, 0)


async def test_each_minute_is_held_before_it_begins(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    desk.clock.advance(300)
    room.joined()
    await stay(desk, room, 39)
    assert await desk.left(who) == (900, 100)
    await stay(desk, room, 1)
    assert await desk.left(who) == (800, 200)
    await stay(desk, room, 85)  # 125 s
    assert await desk.left(who) == (700, 300)
    assert (room.session.duration_s, room.session.billed_minutes, room.session.charged) == (125, 3, 300)
    room.left()
    await stay(desk, room, 30)
    room.joined()
    await stay(desk, room, 2)
    session = await room.end(RoomEnd.REQUESTED)
    assert (session.duration_s, session.billed_minutes, session.charged) == (127, 3, 300)
    assert session.ended_at == desk.clock.now()
    assert await desk.left(who) == (700, 0)


async def test_a_minute_that_was_held_and_did_not_begin_is_given_back(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    room.joined()
    await stay(desk, room, 59)
    assert await desk.left(who) == (800, 200)
    session = await room.end(RoomEnd.LEFT)
    assert (session.duration_s, session.billed_minutes, session.charged) == (59, 1, 100)
    assert await desk.left(who) == (900, 0)


async def test_where_credits_end_it_is_announced_and_ends_with_the_minute(desk: Desk, database: Database) -> None:
    poor = await somebody(database, "poor", grant=2 * PRICE + 50)
    room = await begun(desk, poor)
    room.joined()
    ticks = await stay(desk, room, 500)
    assert len(ticks) == 120
    told = [tick.notice for tick in ticks if tick.notice]
    assert told[0] == Notice(RoomEnd.CREDITS, 20)
    assert all(notice.reason is RoomEnd.CREDITS for notice in told)
    assert ticks[-1].ending is RoomEnd.CREDITS
    session = await room.end(RoomEnd.CREDITS)
    assert (session.duration_s, session.billed_minutes, session.charged) == (120, 2, 200)
    assert await desk.left(poor) == (50, 0)


async def test_credits_that_are_added_in_time_let_it_go_on(desk: Desk, database: Database) -> None:
    poor = await somebody(database, "poor", grant=PRICE)
    room = await begun(desk, poor)
    room.joined()
    assert (await stay(desk, room, 45))[-1].notice is not None
    await SqlAccounts(database, desk.clock).grant("poor", PRICE, grant_id="g")
    ticks = await stay(desk, room, 20)
    assert ticks[4].notice is None
    assert ticks[-1].ending is None
    await room.end(RoomEnd.LEFT)


async def test_a_tick_is_asked_for_when_the_minute_ends(desk: Desk, database: Database) -> None:
    poor = await somebody(database, "poor", grant=PRICE)
    room = await begun(desk, poor)
    room.joined()
    desk.clock.advance(59.75)
    assert (await room.tick()).wait_s == 0.25
    desk.clock.advance(5)
    late = await room.tick()
    assert (late.ending, late.wait_s) == (RoomEnd.CREDITS, 0.01)
    session = await room.end(RoomEnd.CREDITS)
    assert (session.duration_s, session.charged) == (60, PRICE), "a tick that came late costs nobody anything"


async def test_a_database_that_is_away_ends_it_only_where_a_minute_ends(
    desk: Desk, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreError("away")

    room = await begun(desk, who)
    room.joined()
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(desk.database, "write", away)
        ticks = await stay(desk, room, 55)
        assert ticks[-1] == Tick(None, None, 1.0)
    assert {line["event"] for line in logs} == {"minute_not_held"}
    await stay(desk, room, 3)
    assert (await desk.left(who))[1] == 200
    with monkeypatch.context() as patch:
        patch.setattr(desk.database, "write", away)
        ticks = await stay(desk, room, 100)
        assert ticks[-1].ending is RoomEnd.FAILED
        assert len(ticks) == 62
        session = await room.end(RoomEnd.FAILED)
    assert (session.ended_at, session.reason, session.charged) == (desk.clock.now(), RoomEnd.FAILED, 200)
    await desk.ledger.beat()
    assert await desk.rooms.get(who, room.plan.room) == replace(session, plan=replace(session.plan, name=""))
    assert await desk.left(who) == (800, 0)


async def test_whoever_ends_it_first_gives_the_reason_and_all_get_the_same_answer(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    room.joined()
    desk.clock.advance(5)
    ends = await asyncio.gather(room.end(RoomEnd.LEFT), desk.rooms.end(who, room.plan.room), room.end(RoomEnd.SHUTDOWN))
    again = await desk.rooms.end(who, room.plan.room)
    assert set(ends) == {again}
    assert (again.reason, again.duration_s) == (RoomEnd.LEFT, 5)
    assert await room.tick() == Tick(None, None, 1.0)
    assert await desk.left(who) == (900, 0)


async def test_a_caller_who_is_cancelled_leaves_it_being_settled(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    ending = asyncio.create_task(room.end(RoomEnd.LEFT))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert (await room.end(RoomEnd.SHUTDOWN)).reason is RoomEnd.LEFT


async def test_a_call_that_nobody_can_carry_is_no_session(desk: Desk, who: Principal) -> None:
    desk.house.fails = True
    with pytest.raises(EngineError):
        await begun(desk, who)
    assert await desk.left(who) == (1000, 0)
    assert await desk.store.page(limit=9) == []
    room = await desk.rooms.create(who, bot(desk.clock, who), "", request_id="req")
    await room.end(RoomEnd.LEFT)
    with pytest.raises(MisuseError):
        await room.void()


async def test_without_credits_there_is_no_session(desk: Desk, database: Database) -> None:
    poor = await somebody(database, "poor", grant=PRICE - 1)
    with pytest.raises(RefusedError) as refused:
        await begun(desk, poor)
    assert refused.value.code is Code.INSUFFICIENT_CREDITS
    assert await desk.left(poor) == (PRICE - 1, 0)
    assert await desk.store.page(limit=9) == []


async def test_the_daily_limit_of_a_key_holds_for_sessions(desk: Desk, who: Principal) -> None:
    limited = replace(who, daily_limit=2 * PRICE)
    room = await begun(desk, limited)
    room.joined()
    assert (await stay(desk, room, 61))[-1].ending is None
    with pytest.raises(RefusedError):
        await begun(desk, limited)
    ticks = await stay(desk, room, 100)
    assert ticks[-1].ending is RoomEnd.CREDITS
    await room.end(RoomEnd.CREDITS)
    assert await desk.left(who) == (800, 0)


async def test_what_an_earlier_attempt_paid_is_not_paid_again(desk: Desk, who: Principal) -> None:
    room = await desk.rooms.create(who, bot(desk.clock, who), "", request_id="req", tariff=Prepaid(TARIFF, PRICE))
    assert await desk.left(who) == (1000, 0)
    room.joined()
    await stay(desk, room, 90)
    session = await room.end(RoomEnd.LEFT)
    assert (session.billed_minutes, session.charged) == (2, PRICE)
    assert await desk.left(who) == (900, 0)


async def test_who_may_see_and_end_a_session(desk: Desk, database: Database, who: Principal) -> None:
    room = await begun(desk, who)
    stranger = await somebody(database, "stranger")
    name = room.plan.room
    for asked, code in (
        (desk.rooms.get(stranger, name), Code.PERMISSION_DENIED),
        (desk.rooms.end(stranger, name), Code.PERMISSION_DENIED),
        (desk.rooms.messages(stranger, name, limit=1, offset=0), Code.PERMISSION_DENIED),
        (desk.rooms.erase_messages(stranger, name), Code.PERMISSION_DENIED),
        (desk.rooms.get(who, "ext-vb-665f5aa613e4fe2f12ab34cd-000000000000"), Code.NOT_FOUND),
        (desk.rooms.get(who, "ext-vb-665F5AA613E4FE2F12AB34CD-000000000000"), Code.INVALID_VALUE),
        (desk.rooms.get(who, "lobby"), Code.INVALID_VALUE),
    ):
        with pytest.raises((PeerError, RefusedError)) as refused:
            await asked
        assert (refused.value.code, refused.value.param) == (code, "roomName")
    assert await desk.rooms.messages(who, name, limit=5, offset=0) == ([], 0)
    assert await desk.rooms.erase_messages(who, name) == 0
    assert desk.flushed == 2, "what was said just now is read too"
    room.joined()
    desk.clock.advance(3.5)
    assert (await desk.rooms.get(who, name)).duration_s == 4
    await room.end(RoomEnd.LEFT)


async def test_a_session_of_another_server_is_ended_by_that_server(
    desk: Desk, database: Database, who: Principal, clock: FakeClock
) -> None:
    room = await begun(desk, who)
    room.joined()
    clock.advance(7)
    other = Desk(database, clock)
    ending = asyncio.create_task(other.rooms.end(who, room.plan.room))
    while not await desk.store.over([room.plan.room]):
        await asyncio.sleep(0.01)
    await desk.rooms.look()
    session = await ending
    assert (session.reason, session.duration_s, session.charged) == (RoomEnd.REQUESTED, 7, PRICE)
    assert desk.house.ended == [(room.plan.room, RoomEnd.REQUESTED)]
    await desk.rooms.look()
    assert len(desk.house.ended) == 1


async def test_a_server_that_does_not_answer_has_its_session_ended_for_it(
    desk: Desk, database: Database, who: Principal, clock: FakeClock
) -> None:
    room = await begun(desk, who)
    room.joined()
    await stay(desk, room, 70)
    await desk.ledger.beat()
    await stay(desk, room, 20)
    other = Desk(database, clock)
    session = await other.rooms.end(who, room.plan.room)
    assert (session.reason, session.duration_s, session.charged) == (RoomEnd.REQUESTED, 70, 2 * PRICE)
    assert await desk.left(who) == (800, 0)
    # it was only slow
    await desk.rooms.look()
    assert desk.house.ended == [(room.plan.room, RoomEnd.REQUESTED)]
    assert await room.end(RoomEnd.LEFT) == session


async def test_the_sessions_of_a_dead_server_are_billed_to_its_last_heartbeat(
    desk: Desk, database: Database, who: Principal, clock: FakeClock
) -> None:
    room = await begun(desk, who)
    room.joined()
    await stay(desk, room, 100)
    await desk.ledger.beat()
    await stay(desk, room, 15)
    books = SqlBooks(database, clock)
    for owner in await books.owners():
        assert await books.end(owner)
    await books.settle_orphans()
    other = Desk(database, clock)
    session = await other.rooms.end(who, room.plan.room)
    assert (session.reason, session.duration_s, session.billed_minutes) == (RoomEnd.CRASHED, 100, 2)
    assert await desk.left(who) == (800, 0)
    await begun(other, who)


async def test_sessions_of_a_key_that_is_no_more_end(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    await desk.rooms.look()
    assert desk.house.ended == []
    desk.gone.add(who.key_id)
    looking = asyncio.create_task(desk.rooms.run())
    await asyncio.sleep(0)
    await desk.rooms.look()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert (await desk.rooms.get(who, room.plan.room)).reason is RoomEnd.REVOKED


async def test_a_database_that_is_away_is_looked_at_again(
    desk: Desk, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> frozenset[str]:
        raise StoreError("away")

    room = await begun(desk, who)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(desk.store, "over", away)
        await desk.rooms.look()
    assert [line["event"] for line in logs] == ["rooms_not_looked_after"]
    await room.end(RoomEnd.LEFT)
