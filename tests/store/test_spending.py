import asyncio
import secrets
from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import FakeClock
from voxgate.domain import MICRO, Principal, Tier, Usage
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.schema import key_spending
from voxgate.store.spending import SqlSpending


@pytest.fixture
def spending(database: Database) -> SqlSpending:
    return SqlSpending(database)


@pytest.fixture
async def who(accounts: SqlAccounts) -> Principal:
    added = await accounts.add_key(
        f"vg_{secrets.token_urlsafe(32)}", org="acme", tier=Tier.PRO, grant=9 * MICRO, label="", expires_at=None
    )
    assert added is not None
    return Principal(added[1].id, added[0].id, "acme", Tier.PRO, daily_limit=100)


async def _counters(database: Database) -> dict[date, int]:
    async def look(connection: AsyncConnection) -> dict[date, int]:
        rows = await connection.execute(select(key_spending.c.day, key_spending.c.spent))
        return {row.day: row.spent for row in rows}

    return await database.read(look)


async def test_a_limit_is_met_exactly(
    spending: SqlSpending, who: Principal, database: Database, clock: FakeClock
) -> None:
    today = clock.now().date()
    assert await spending.reserve(who, today, 99)
    assert not await spending.reserve(who, today, 2)
    assert await spending.reserve(who, today, 1)
    assert not await spending.reserve(who, today, 1)
    await spending.give_back(who.key_id, today, 30)
    assert await spending.reserve(who, today, 30)
    assert await _counters(database) == {today: 100}


async def test_two_hundred_at_once_spend_no_more_than_there_is(
    url: str, spending: SqlSpending, who: Principal, database: Database, clock: FakeClock
) -> None:
    other = await Database.open(url)
    servers = (spending, SqlSpending(other))
    today = clock.now().date()
    allowed = await asyncio.gather(*(servers[n % 2].reserve(who, today, 3) for n in range(200)))
    await other.aclose()
    assert sum(allowed) == 33
    assert await _counters(database) == {today: 99}


async def test_a_day_begins_with_what_was_spent_before_there_was_a_limit(
    spending: SqlSpending, who: Principal, ledger: SqlLedger, database: Database, clock: FakeClock
) -> None:
    yesterday = await ledger.hold(who, 1_000, request_id="r0", surface="speech")
    await yesterday.settle(1_000, Usage("r0", "speech", {}))
    clock.advance(24 * 3600)
    sold = await ledger.hold(who, 50, request_id="r1", surface="speech")
    await sold.settle(40, Usage("r1", "speech", {}))
    running = await ledger.hold(who, 35, request_id="r2", surface="speech")
    assert running.amount == 35
    today = clock.now().date()
    assert not await spending.reserve(who, today, 26)
    assert await spending.reserve(who, today, 25)
    assert await _counters(database) == {today: 100}


async def test_other_keys_of_the_organization_count_for_themselves(
    spending: SqlSpending, who: Principal, accounts: SqlAccounts, clock: FakeClock, ledger: SqlLedger
) -> None:
    added = await accounts.add_key(
        f"vg_{secrets.token_urlsafe(32)}", org="acme", tier=Tier.PRO, grant=0, label="", expires_at=None
    )
    assert added is not None
    other = Principal(added[1].id, who.org_id, "acme", Tier.PRO, daily_limit=100)
    await (await ledger.hold(other, 80, request_id="r", surface="speech")).settle(80, Usage("r", "speech", {}))
    today = clock.now().date()
    assert await spending.reserve(who, today, 100)
    assert not await spending.reserve(other, today, 21)
    assert await spending.reserve(other, today, 20)


async def test_a_new_day_begins_empty_and_old_ones_are_forgotten(
    spending: SqlSpending, who: Principal, database: Database, clock: FakeClock
) -> None:
    first = clock.now().date()
    for days in range(5):
        assert await spending.reserve(who, first + timedelta(days=days), 100)
    assert sorted(await _counters(database)) == [first + timedelta(days=days) for days in (2, 3, 4)]
    await spending.give_back(who.key_id, first, 100)  # work of a day nobody counts any more
    assert set((await _counters(database)).values()) == {100}


async def test_a_caller_that_is_cancelled_has_nothing_counted(
    url: str, spending: SqlSpending, who: Principal, database: Database, clock: FakeClock
) -> None:
    today = clock.now().date()
    for yields in range(12):
        task = asyncio.create_task(spending.reserve(who, today, 10))
        for _ in range(yields):
            await asyncio.sleep(0)
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        assert outcome is True or isinstance(outcome, asyncio.CancelledError)
        assert sum((await _counters(database)).values()) == (10 if outcome is True else 0)
        if outcome is True:
            await spending.give_back(who.key_id, today, 10)
