from datetime import UTC, datetime

import pytest

from voxgate.books import UsageQuery
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier, Usage
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.usage import SqlUsage


@pytest.fixture
def usage(database: Database) -> SqlUsage:
    return SqlUsage(database)


async def _work(ledger: SqlLedger, who: Principal, request_id: str, charge: int = 1) -> None:
    hold = await ledger.hold(who, 10, request_id=request_id, surface="speech")
    await hold.settle(charge, Usage(request_id, "speech", {"audio_ms": 5}))


async def _page(usage: SqlUsage, query: UsageQuery, limit: int = 100, after: str | None = None) -> list[str]:
    rows = await usage.page(query, limit=limit, after=after)
    assert rows is not None
    return [row.request_id for row in rows]


async def test_a_row_says_what_was_delivered_and_what_it_cost(
    usage: SqlUsage, ledger: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    await _work(ledger, who, "req_1", charge=7)
    await ledger.record(who, Usage("req_2", "chat", {"prompt_tokens": 3}))
    rows = await usage.page(UsageQuery(org_id=who.org_id), limit=9)
    assert rows is not None
    assert [(r.org_name, r.key_id, r.request_id, r.surface, r.units, r.amount, r.at) for r in rows] == [
        ("acme", who.key_id, "req_2", "chat", {"prompt_tokens": 3}, 0, clock.now()),
        ("acme", who.key_id, "req_1", "speech", {"audio_ms": 5}, 7, clock.now()),
    ]
    assert all(row.id.startswith("use_") for row in rows)


async def test_pages_join_without_gaps_though_work_goes_on(
    usage: SqlUsage, ledger: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    for number in range(7):
        await _work(ledger, who, f"req_{number}")
        clock.advance(number % 2)  # two at the same moment, now and then
    query, seen, after = UsageQuery(org_id=who.org_id), [], None
    while rows := await usage.page(query, limit=3, after=after):
        seen += [row.request_id for row in rows]
        after = rows[-1].id
        await _work(ledger, who, "req_new")
    assert seen == [f"req_{number}" for number in reversed(range(7))]


async def test_a_request_names_the_last_of_its_rows(usage: SqlUsage, ledger: SqlLedger, who: Principal) -> None:
    for request in ("a", "b", "b", "c"):
        await _work(ledger, who, request)
    query = UsageQuery(org_id=who.org_id)
    assert await _page(usage, query) == ["c", "b", "b", "a"]
    assert await _page(usage, query, after="b") == ["a"]
    assert await usage.page(query, limit=1, after="nowhere") is None


async def test_rows_are_chosen_by_request_and_by_time(
    usage: SqlUsage, ledger: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    times = []
    for request in ("a", "b", "c"):
        await _work(ledger, who, request)
        times.append(clock.now())
        clock.advance(10)
    org = who.org_id
    assert await _page(usage, UsageQuery(org_id=org, request_id="b")) == ["b"]
    assert await _page(usage, UsageQuery(org_id=org, since=times[1])) == ["c", "b"]
    assert await _page(usage, UsageQuery(org_id=org, until=times[1])) == ["a"]
    assert await _page(usage, UsageQuery(org_id=org, since=times[1], until=times[2])) == ["b"]
    assert await _page(usage, UsageQuery(org_id=org, since=datetime(2030, 1, 1, tzinfo=UTC))) == []


async def test_nobody_sees_the_work_of_others(
    usage: SqlUsage, ledger: SqlLedger, accounts: SqlAccounts, who: Principal
) -> None:
    added = await accounts.add_key("vg_" + "o" * 40, org="other", tier=Tier.FREE, grant=100, label="", expires_at=None)
    assert added is not None
    stranger = Principal(added[1].id, added[0].id, "other", Tier.FREE)
    await _work(ledger, who, "mine")
    await _work(ledger, stranger, "theirs")
    assert await _page(usage, UsageQuery(org_id=who.org_id)) == ["mine"]
    assert await usage.page(UsageQuery(org_id=who.org_id), limit=1, after="theirs") is None
    assert await _page(usage, UsageQuery()) == ["theirs", "mine"]


async def test_the_oldest_come_first_for_exports(usage: SqlUsage, ledger: SqlLedger, who: Principal) -> None:
    for request in ("a", "b", "c"):
        await _work(ledger, who, request)
    first = await usage.page(UsageQuery(), limit=2, oldest_first=True)
    assert first is not None
    rest = await usage.page(UsageQuery(), limit=2, after=first[-1].id, oldest_first=True)
    assert rest is not None
    assert [row.request_id for row in (*first, *rest)] == ["a", "b", "c"]
