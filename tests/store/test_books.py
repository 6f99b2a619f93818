"""Servers that stop, stall and come back, and what others do in their place."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from voxgate.books import Owner, UsageQuery
from voxgate.clock import FakeClock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import StoreError
from voxgate.store.audit import SqlAudit
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.idempotency import SqlIdempotency
from voxgate.store.ledger import SqlLedger
from voxgate.store.schema import servers
from voxgate.store.usage import SqlUsage


@pytest.fixture
def books(database: Database, clock: FakeClock) -> SqlBooks:
    return SqlBooks(database, clock)


@pytest.fixture
def other(database: Database, clock: FakeClock) -> SqlLedger:
    """The ledger of another server on the same database."""
    return SqlLedger(database, clock)


async def _end(books: SqlBooks, ledger: SqlLedger) -> bool:
    [owner] = [each for each in await books.owners() if each.id == ledger.owner]
    return await books.end(owner)


async def test_owners_are_the_servers_with_work_open(books: SqlBooks, ledger: SqlLedger, who: Principal) -> None:
    assert await books.owners() == []
    hold = await ledger.hold(who, 10, request_id="r", surface="speech")
    assert await books.owners() == [Owner(ledger.owner, beats=0, ended=False)]
    await ledger.beat()
    await ledger.beat()
    assert await books.owners() == [Owner(ledger.owner, beats=2, ended=False)]
    await hold.settle(1, None)
    assert await books.owners() == []


async def test_what_a_dead_server_left_is_settled_to_its_last_beat(
    database: Database, books: SqlBooks, ledger: SqlLedger, who: Principal
) -> None:
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    await ledger.hold(who, 50, request_id="req_2", surface="chat")
    hold.progress(30, {"audio_ms": 700})
    await ledger.beat()
    hold.progress(60, {"audio_ms": 900})  # never written down
    assert await books.settle_orphans() == []
    assert await _end(books, ledger)
    assert sorted(await books.settle_orphans()) == [("req_1", 30), ("req_2", 0)]
    assert await books.settle_orphans() == []
    assert await ledger.balance(who.org_id) == Balance(available=970, held=0)
    rows = await SqlUsage(database).page(UsageQuery(org_id=who.org_id), limit=9)
    assert rows is not None
    assert [(row.request_id, row.units, row.amount) for row in rows] == [("req_1", {"audio_ms": 700}, 30)]
    assert (await SqlAudit(database).audit()).differences == ()


async def test_live_work_of_another_server_is_left_alone(
    books: SqlBooks, ledger: SqlLedger, other: SqlLedger, who: Principal
) -> None:
    await ledger.hold(who, 100, request_id="req_1", surface="speech")
    await other.hold(who, 100, request_id="req_2", surface="speech")
    await ledger.end()
    assert [request for request, _ in await books.settle_orphans()] == ["req_1"]
    assert (await ledger.balance(who.org_id)).held == 100


async def test_a_server_that_beats_meanwhile_is_not_ended(books: SqlBooks, ledger: SqlLedger, who: Principal) -> None:
    await ledger.hold(who, 100, request_id="req_1", surface="speech")
    await ledger.beat()
    [owner] = await books.owners()
    await ledger.beat()
    assert not await books.end(owner)
    assert await books.settle_orphans() == []


async def test_a_server_that_was_taken_for_dead_too_early_goes_on_with_what_is_left(
    books: SqlBooks, ledger: SqlLedger, who: Principal
) -> None:
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    former = ledger.owner
    assert await _end(books, ledger)
    with capture_logs() as logs:
        await ledger.beat()
    assert [log["event"] for log in logs] == ["server_was_taken_for_dead"]
    assert ledger.owner != former
    assert await books.owners() == [Owner(ledger.owner, beats=1, ended=False)]
    assert await books.settle_orphans() == []
    await hold.extend(200)
    assert (await hold.settle(150, None)).available == 850


async def test_a_server_that_comes_back_too_late_cannot_charge_once_more(
    books: SqlBooks, ledger: SqlLedger, who: Principal
) -> None:
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    hold.progress(30, {"audio_ms": 700})
    await ledger.beat()
    assert await _end(books, ledger)
    await books.settle_orphans()
    with pytest.raises(StoreError, match="taken for dead"):
        await hold.extend(200)
    with capture_logs() as logs:
        balance = await hold.settle(90, Usage("req_1", "speech", {"audio_ms": 2000}))
    assert balance == Balance(available=970, held=0)
    assert [(log["event"], log["charge"], log["due"]) for log in logs] == [("hold_was_swept", 30, 90)]


async def test_interrupted_requests_are_free_to_be_made_again_once_their_holds_are_settled(
    database: Database, books: SqlBooks, ledger: SqlLedger, other: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    requests = SqlIdempotency(database, clock, ledger)
    assert await requests.begin(who.org_id, "k" * 64, "f" * 64, "req_1") is None
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    hold.progress(30, {"audio_ms": 700})
    await ledger.end()
    await books.settle_orphans()
    again = SqlIdempotency(database, clock, other)
    earlier = await again.begin(who.org_id, "k" * 64, "f" * 64, "req_2")
    assert earlier is not None
    assert (earlier.state, earlier.request_id, earlier.paid) == ("interrupted", "req_1", 30)
    assert await books.owners() == [Owner(other.owner, beats=0, ended=False)]


async def test_old_requests_and_servers_are_forgotten_and_running_ones_are_not(
    database: Database, books: SqlBooks, ledger: SqlLedger, other: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    requests = SqlIdempotency(database, clock, ledger)
    await requests.begin(who.org_id, "1" * 64, "f" * 64, "req_1")
    await requests.finish(who.org_id, "1" * 64, "req_1", None)
    await SqlIdempotency(database, clock, other).begin(who.org_id, "2" * 64, "f" * 64, "req_2")
    await ledger.end()
    await other.beat()
    clock.advance(60)
    assert await books.forget(clock.now()) == 1
    assert await requests.begin(who.org_id, "1" * 64, "e" * 64, "req_3") is None

    async def known(connection: AsyncConnection) -> Sequence[str]:
        return (await connection.scalars(select(servers.c.id))).all()

    assert await database.read(known) == [other.owner]
