from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from voxgate.clock import FakeClock
from voxgate.domain import MICRO, Principal, Tier, Usage
from voxgate.errors import Code, RefusedError, StoreError
from voxgate.services.accounts import Accounts, KeyLimits
from voxgate.services.spending import DailyLimits
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys
from voxgate.store.ledger import SqlLedger


class Counter:
    """`books.Spending` in memory."""

    def __init__(self) -> None:
        self.days: dict[tuple[str, date], int] = {}
        self.gone = False

    async def reserve(self, principal: Principal, day: date, amount: int) -> bool:
        spent = self.days.get((principal.key_id, day), 0)
        assert principal.daily_limit is not None
        if spent + amount > principal.daily_limit:
            return False
        self.days[principal.key_id, day] = spent + amount
        return True

    async def give_back(self, key_id: str, day: date, amount: int) -> None:
        if self.gone:
            raise StoreError("the database does not answer")
        self.days[key_id, day] -= amount

    def spent(self, day: int) -> int:
        return sum(amount for (_, at), amount in self.days.items() if at.day == day)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}")
    await database.upgrade()
    yield database
    await database.aclose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 3, 1, 23, 0, tzinfo=UTC))


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def ledger(database: Database, clock: FakeClock, counter: Counter) -> DailyLimits:
    return DailyLimits(SqlLedger(database, clock), counter, clock)


async def _who(database: Database, clock: FakeClock, daily: str | None) -> Principal:
    accounts = Accounts(SqlAccounts(database, clock))
    limits = KeyLimits(daily_credits=None if daily is None else Decimal(daily))
    made = await accounts.create_key("acme", tier=Tier.PRO, credits=Decimal(5), limits=limits)
    keys = SqlKeys(database, clock)
    found = await keys.find(made.key)
    await keys.aclose()
    assert found is not None
    return found


async def test_a_key_without_a_limit_is_not_counted(
    database: Database, clock: FakeClock, ledger: DailyLimits, counter: Counter
) -> None:
    who = await _who(database, clock, None)
    hold = await ledger.hold(who, 5 * MICRO, request_id="r", surface="speech")
    await hold.settle(5 * MICRO, None)
    assert counter.days == {}


async def test_a_limit_is_reached_exactly(
    database: Database, clock: FakeClock, ledger: DailyLimits, counter: Counter
) -> None:
    who = await _who(database, clock, "2")
    hold = await ledger.hold(who, MICRO, request_id="r", surface="speech")
    await hold.extend(2 * MICRO)
    assert (hold.amount, hold.balance.held, counter.spent(1)) == (2 * MICRO, 2 * MICRO, 2 * MICRO)
    for refused in (hold.extend(2 * MICRO + 1), ledger.hold(who, 1, request_id="r2", surface="speech")):
        with pytest.raises(RefusedError, match="may spend 2 credits a day") as caught:
            await refused
        assert caught.value.code is Code.INSUFFICIENT_CREDITS
        assert caught.value.retry_after_s == 3601, "the day ends in an hour"
    assert (await ledger.balance(who.org_id)).available == 3 * MICRO, "nothing was held for what was refused"


async def test_what_was_not_used_can_be_spent_again(
    database: Database, clock: FakeClock, ledger: DailyLimits, counter: Counter
) -> None:
    who = await _who(database, clock, "2")
    hold = await ledger.hold(who, 2 * MICRO, request_id="r", surface="speech")
    for _ in range(2):  # settled again, nothing changes
        await hold.settle(500_000, Usage("r", "speech", {"audio_ms": 1}))
    assert counter.spent(1) == 500_000
    await (await ledger.hold(who, 1_500_000, request_id="r2", surface="speech")).settle(0, None)
    assert counter.spent(1) == 500_000


async def test_credits_that_are_not_there_are_not_counted(
    database: Database, clock: FakeClock, ledger: DailyLimits, counter: Counter
) -> None:
    who = await _who(database, clock, "100")
    with pytest.raises(RefusedError, match="organization"):
        await ledger.hold(who, 6 * MICRO, request_id="r", surface="speech")
    hold = await ledger.hold(who, MICRO, request_id="r", surface="speech")
    with pytest.raises(RefusedError, match="organization"):
        await hold.extend(6 * MICRO)
    assert counter.spent(1) == MICRO


async def test_work_over_midnight_counts_each_step_to_its_day(
    database: Database, clock: FakeClock, ledger: DailyLimits, counter: Counter
) -> None:
    who = await _who(database, clock, "2")
    hold = await ledger.hold(who, 2 * MICRO, request_id="r", surface="speech")
    clock.advance(2 * 3600)
    await hold.extend(3 * MICRO)
    assert (counter.spent(1), counter.spent(2)) == (2 * MICRO, MICRO)
    await hold.settle(1_500_000, None)  # the last that was held is the first that is given back
    assert (counter.spent(1), counter.spent(2)) == (1_500_000, 0)


async def test_a_counter_that_cannot_be_moved_back_counts_too_much_and_says_so(
    database: Database, clock: FakeClock, ledger: DailyLimits, counter: Counter
) -> None:
    who = await _who(database, clock, "2")
    hold = await ledger.hold(who, MICRO, request_id="r", surface="speech")
    counter.gone = True
    with capture_logs() as logs:
        assert (await hold.settle(0, None)).available == 5 * MICRO
    assert [log["event"] for log in logs] == ["spending_not_given_back"]
    assert counter.spent(1) == MICRO


async def test_progress_and_free_work_pass_through(database: Database, clock: FakeClock, ledger: DailyLimits) -> None:
    who = await _who(database, clock, "2")
    hold = await ledger.hold(who, MICRO, request_id="r", surface="speech")
    hold.progress(1, {"audio_ms": 5})
    await hold.settle(0, None)
    assert (await ledger.record(who, Usage("r", "chat", {"tokens": 1}))).available == 5 * MICRO
