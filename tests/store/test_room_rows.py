from datetime import timedelta

import pytest

from tests.store.kept_rooms import PRICE, count, found, opened
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.errors import StoreError
from voxgate.rooms import Lived, RoomEnd
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms
from voxgate.store.schema import outbox


async def test_a_dead_server_is_billed_what_its_last_heartbeat_said_and_its_sessions_are_closed_there(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    paid, free = await opened(rooms, who, clock), await opened(rooms, who, clock, 2, price=0)
    late = await opened(rooms, who, clock, 3)
    await paid.extend(3 * PRICE)
    paid.lived(Lived(70_000, 2, 2 * PRICE))
    free.lived(Lived(70_500, 2, 0))
    clock.advance(70)
    await ledger.beat()
    beaten_at = clock.now()
    paid.lived(Lived(130_000, 3, 3 * PRICE))
    free.lived(Lived(130_000, 3, 0))
    late.lived(Lived(59_000, 1, PRICE))
    clock.advance(100)
    books = SqlBooks(database, clock, notify=True)
    for owner in await books.owners():
        assert await books.end(owner)
    await books.settle_orphans()
    assert await books.owners() == []
    for number, expected in ((1, (70, 2, 2 * PRICE)), (2, (71, 2, 0)), (3, (0, 1, PRICE))):
        session = await found(rooms, number)
        assert (session.duration_s, session.billed_minutes, session.charged) == expected
        assert session.reason is RoomEnd.CRASHED
        assert session.ended_at == (beaten_at if number < 3 else session.started_at)
    assert await count(database, outbox) == 6
    balance = await ledger.balance(who.org_id)
    assert (balance.available, balance.held) == (1000 - 3 * PRICE, 0)
    # the server was only slow: it finds its work settled
    with pytest.raises(StoreError, match="taken for dead"):
        await paid.extend(4 * PRICE)
    await paid.close(RoomEnd.LEFT, clock.now(), Lived(170_000, 3, 3 * PRICE))
    await free.close(RoomEnd.LEFT, clock.now(), Lived(170_000, 3, 0))
    assert (await found(rooms)).charged == 2 * PRICE
    assert (await found(rooms, 2)).reason is RoomEnd.CRASHED
    assert await count(database, outbox) == 6, "an end is told once"


async def test_others_may_ask_for_an_end_or_make_one(
    rooms: SqlRooms, who: Principal, clock: FakeClock, ledger: SqlLedger
) -> None:
    mine, free = await opened(rooms, who, clock), await opened(rooms, who, clock, 2, price=0)
    names = [mine.new.plan.room, free.new.plan.room]
    assert await rooms.over(names) == frozenset()
    await rooms.ask_end(names[0], clock.now())
    await rooms.ask_end(names[0], clock.now() + timedelta(seconds=1))
    assert await rooms.over(names) == {names[0]}
    mine.lived(Lived(2000, 1, PRICE))
    await ledger.beat()
    for name in names:
        for _ in range(2):
            await rooms.end_in_place(name, RoomEnd.REQUESTED)
    await rooms.end_in_place("ext-vb-unknown", RoomEnd.REQUESTED)
    assert await rooms.over(names) == set(names)
    ended = await found(rooms)
    assert (ended.reason, ended.duration_s, ended.charged) == (RoomEnd.REQUESTED, 2, PRICE)
    assert (await found(rooms, 2)).reason is RoomEnd.REQUESTED
    assert (await ledger.balance(who.org_id)).available == 1000 - PRICE
    await mine.close(RoomEnd.LEFT, clock.now(), Lived(9000, 1, PRICE))
    await free.close(RoomEnd.LEFT, clock.now(), Lived(9000, 1, 0))
    assert await found(rooms) == ended
