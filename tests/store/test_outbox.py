"""What the webhook is to be told, on both databases."""

from datetime import timedelta

import pytest

from tests.store.kept_rooms import FIRST, found, opened
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.rooms import Due, Happened, RoomEnd
from voxgate.store.database import Database
from voxgate.store.outbox import SqlOutbox
from voxgate.store.rooms import SqlRooms

LEASE = timedelta(seconds=60)


@pytest.fixture
def box(database: Database) -> SqlOutbox:
    return SqlOutbox(database)


async def claim(box: SqlOutbox, clock: FakeClock, limit: int = 9) -> list[Due]:
    return list(await box.claim(clock.now(), until=clock.now() + LEASE, limit=limit))


async def test_of_each_session_the_earliest_is_told_first(
    rooms: SqlRooms, who: Principal, clock: FakeClock, box: SqlOutbox
) -> None:
    one, _two = await opened(rooms, who, clock), await opened(rooms, who, clock, 2)
    await one.close(RoomEnd.LEFT, clock.now(), FIRST)
    assert await box.waiting() == 3
    first, other = await claim(box, clock)
    assert (first.what, first.attempts, first.org_name, first.at) == (Happened.STARTED, 1, "acme", clock.now())
    assert (first.session, other.session) == (await found(rooms), await found(rooms, 2))
    assert await claim(box, clock) == [], "they are being told"
    await box.put_off(first.id, clock.now() + timedelta(seconds=5))
    await box.told(other.id)
    assert await claim(box, clock) == [], "an end is not told before its beginning"
    clock.advance(5)
    (again,) = await claim(box, clock)
    assert (again.id, again.attempts) == (first.id, 2)
    await box.told(again.id)
    (end,) = await claim(box, clock)
    assert (end.what, end.session.reason) == (Happened.ENDED, RoomEnd.LEFT)
    await box.told(end.id)
    assert await box.waiting() == 0


async def test_what_a_server_was_killed_over_is_told_by_another(
    rooms: SqlRooms, who: Principal, clock: FakeClock, box: SqlOutbox
) -> None:
    for number in (1, 2, 3):
        await opened(rooms, who, clock, number)
    assert len(await claim(box, clock, limit=2)) == 2
    assert len(await claim(box, clock)) == 1
    clock.advance(LEASE.total_seconds())
    assert [each.attempts for each in await claim(box, clock)] == [2, 2, 2]


async def test_what_is_too_old_is_given_up(rooms: SqlRooms, who: Principal, clock: FakeClock, box: SqlOutbox) -> None:
    await opened(rooms, who, clock)
    clock.advance(10)
    await opened(rooms, who, clock, 2)
    assert await box.give_up(clock.now(), after=timedelta(seconds=10)) == []
    assert await box.give_up(clock.now(), after=timedelta(seconds=9)) == ["sess_1"]
    assert await box.waiting() == 1


async def test_nothing_is_noted_where_nobody_is_to_be_told(
    database: Database, rooms: SqlRooms, who: Principal, clock: FakeClock, box: SqlOutbox
) -> None:
    rooms.notify = False
    for price in (100, 0):
        room = await opened(rooms, who, clock, 1 + price, price=price)
        await room.close(RoomEnd.LEFT, clock.now(), FIRST)
    assert await box.waiting() == 0


async def test_a_number_is_never_used_again(rooms: SqlRooms, who: Principal, clock: FakeClock, box: SqlOutbox) -> None:
    await opened(rooms, who, clock)
    (first,) = await claim(box, clock)
    await box.told(first.id)
    await opened(rooms, who, clock, 2)
    (second,) = await claim(box, clock)
    assert second.id > first.id
