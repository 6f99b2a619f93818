"""Sessions and their bills over a real ledger; the clock moves when it is told to."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.services.room_desk import PRICE, TARIFF, Desk, begun, bot, somebody, stay
from voxgate.domain import Principal
from voxgate.errors import RefusedError, StoreError
from voxgate.rooms import RoomEnd
from voxgate.services.billing import Prepaid
from voxgate.services.room_time import Notice
from voxgate.services.rooms import Tick
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database


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
    assert await room.tick() == Tick(RoomEnd.LEFT, None, 1.0), "whoever carries the call still is to end it"
    assert await desk.left(who) == (900, 0)


async def test_a_caller_who_is_cancelled_leaves_it_being_settled(desk: Desk, who: Principal) -> None:
    room = await begun(desk, who)
    ending = asyncio.create_task(room.end(RoomEnd.LEFT))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert (await room.end(RoomEnd.SHUTDOWN)).reason is RoomEnd.LEFT


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
