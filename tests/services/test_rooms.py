"""Sessions and their bills over a real ledger; the clock moves when it is told to."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.services.room_desk import PRICE, Desk, begun, bot, somebody, stay
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.errors import Code, EngineError, PeerError, RefusedError, StoreError
from voxgate.rooms import Grant, RoomEnd
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database


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


async def test_a_call_that_nobody_can_carry_is_no_session(desk: Desk, who: Principal) -> None:
    desk.house.fails = True
    with pytest.raises(EngineError):
        await begun(desk, who)
    assert await desk.left(who) == (1000, 0)
    assert await desk.store.page(limit=9) == []
    room = await desk.rooms.create(who, bot(desk.clock, who), "", request_id="req")
    ended = await room.end(RoomEnd.LEFT)
    await room.void()
    assert await desk.rooms.get(who, room.plan.room) == ended, "what has ended stays as it is"


async def test_without_credits_there_is_no_session(desk: Desk, database: Database) -> None:
    poor = await somebody(database, "poor", grant=PRICE - 1)
    with pytest.raises(RefusedError) as refused:
        await begun(desk, poor)
    assert refused.value.code is Code.INSUFFICIENT_CREDITS
    assert await desk.left(poor) == (PRICE - 1, 0)
    assert await desk.store.page(limit=9) == []


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
