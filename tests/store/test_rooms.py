import asyncio

import pytest

from tests.store.kept_rooms import BOT, FIRST, PRICE, count, found, new, opened
from voxgate.books import UsageQuery
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.errors import RefusedError, StoreError
from voxgate.rooms import Lived, RoomEnd
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms
from voxgate.store.schema import outbox, room_sessions
from voxgate.store.usage import SqlUsage


async def test_a_session_is_written_with_its_first_minute_and_closed_with_its_bill(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    room = await opened(rooms, who, clock)
    assert (room.held, room.balance.available) == (PRICE, 900)
    begun = await found(rooms)
    assert (begun.ended_at, begun.duration_s, begun.billed_minutes, begun.charged) == (None, 0, 1, PRICE)
    assert (begun.org_id, begun.key_id, begun.voicebot_id) == (who.org_id, who.key_id, BOT)
    assert begun.plan.name == "", "who calls is not kept"
    room.lived(Lived(55_000, 1, PRICE))
    await room.extend(2 * PRICE)
    clock.advance(61)
    await room.close(RoomEnd.LEFT, clock.now(), Lived(60_001, 2, 2 * PRICE))
    ended = await found(rooms)
    assert (ended.ended_at, ended.reason) == (clock.now(), RoomEnd.LEFT)
    assert (ended.duration_s, ended.billed_minutes, ended.charged) == (61, 2, 2 * PRICE)
    balance = await ledger.balance(who.org_id)
    assert (balance.available, balance.held) == (1000 - 2 * PRICE, 0)
    rows = await SqlUsage(database).page(UsageQuery(org_id=who.org_id), limit=9)
    assert rows is not None
    assert [(row.surface, row.request_id, dict(row.units), row.amount) for row in rows] == [
        ("rooms", "req_1", {"audio_ms": 60_001, "minutes": 2}, 2 * PRICE)
    ]
    assert await count(database, outbox) == 2, "it began, and it ended"


async def test_without_credits_nothing_is_written(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock
) -> None:
    with pytest.raises(RefusedError):
        await rooms.open(who, new(clock), hold=1001, lived=FIRST, at=clock.now())
    assert await count(database, room_sessions) == await count(database, outbox) == 0


async def test_a_void_session_leaves_nothing_behind(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    for price in (PRICE, 0):
        room = await opened(rooms, who, clock, price=price)
        await room.void()
        assert await count(database, room_sessions) == await count(database, outbox) == 0
        assert (await ledger.balance(who.org_id)).available == 1000


async def test_a_caller_that_is_cancelled_has_no_session(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    for price in (PRICE, 0):
        opening = asyncio.create_task(opened(rooms, who, clock, price=price))
        await asyncio.sleep(0)  # its transaction begins, and is finished
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await ledger.beat()
        assert await count(database, room_sessions) == 0
        balance = await ledger.balance(who.org_id)
        assert (balance.available, balance.held) == (1000, 0)


async def test_a_server_that_was_taken_for_dead_takes_its_sessions_along(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    free = await opened(rooms, who, clock, price=0)
    await ledger.beat()
    books = SqlBooks(database, clock)
    for owner in await books.owners():
        assert await books.end(owner)
    await ledger.beat()
    await books.settle_orphans()
    assert (await found(rooms)).ended_at is None
    await free.close(RoomEnd.LEFT, clock.now(), Lived(1, 1, 0))


async def test_what_the_database_could_not_take_is_done_with_a_heartbeat(
    rooms: SqlRooms,
    database: Database,
    who: Principal,
    clock: FakeClock,
    ledger: SqlLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paid, free = await opened(rooms, who, clock), await opened(rooms, who, clock, 2, price=0)

    async def away(*_: object, **__: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", away)
        for number in (3, 4):
            with pytest.raises(StoreError):
                await opened(rooms, who, clock, number, price=PRICE * (number == 3))
        for room, price in ((paid, PRICE), (free, 0)):
            with pytest.raises(StoreError):
                await room.close(RoomEnd.LEFT, clock.now(), Lived(5000, 1, price))
    await ledger.beat()
    await ledger.beat()
    for number in (1, 2):
        session = await found(rooms, number)
        assert (session.reason, session.duration_s) == (RoomEnd.LEFT, 5)
    assert await count(database, room_sessions) == 2
    assert (await ledger.balance(who.org_id)).held == 0


async def test_a_session_that_was_free_at_first_is_held_for_when_it_costs_something(
    rooms: SqlRooms, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    room = await opened(rooms, who, clock, price=0)
    with pytest.raises(RefusedError):
        await room.extend(2000)
    assert room.held == 0
    await room.extend(PRICE)
    assert (room.held, room.balance.available) == (PRICE, 900)
    await room.close(RoomEnd.LEFT, clock.now(), Lived(61_000, 2, PRICE))
    assert (await found(rooms)).charged == PRICE
    assert (await ledger.balance(who.org_id)).available == 900


async def test_sessions_are_listed_newest_first(rooms: SqlRooms, who: Principal, clock: FakeClock) -> None:
    first = await opened(rooms, who, clock)
    clock.advance(1)
    second = await opened(rooms, who, clock, 2)
    await first.close(RoomEnd.LEFT, clock.now(), FIRST)
    listed = await rooms.page(limit=9)
    assert [(name, session.plan.session) for name, session in listed] == [("acme", "sess_2"), ("acme", "sess_1")]
    assert len(await rooms.page(limit=1)) == 1
    assert [session.plan.session for _, session in await rooms.page(org_name="acme", live=True, limit=9)] == ["sess_2"]
    assert await rooms.page(org_name="another", limit=9) == []
    await second.close(RoomEnd.LEFT, clock.now(), FIRST)
