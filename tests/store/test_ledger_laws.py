"""The ledger against a model of a few integers: random steps, repeated and raced, with the books audited after each."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import FakeClock
from voxgate.domain import Balance, Principal, Tier, Usage
from voxgate.errors import MisuseError, RefusedError
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlHold, SqlLedger
from voxgate.store.schema import Kind, organizations, postings, usage

AMOUNTS = st.integers(min_value=1, max_value=50)


@dataclass
class Open:
    """The model of a hold."""

    hold: SqlHold
    amount: int
    charged: int | None = None


class LedgerMachine(RuleBasedStateMachine):
    """One organization, any number of holds."""

    template: Path
    opened = Bundle[Open]("opened")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.available = self.held = self.charged = self.grants = self.uses = 0

    @initialize()
    def open(self) -> None:
        async def start() -> Principal:
            path = Path(self.folder.name) / "laws.db"
            shutil.copy(self.template, path)
            self.database = await Database.open(f"sqlite:///{path}")
            self.ledger = SqlLedger(self.database, FakeClock())
            self.accounts = SqlAccounts(self.database, FakeClock())
            added = await self.accounts.add_key(
                "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=0, label="", expires_at=None
            )
            assert added is not None
            return Principal(added[1].id, added[0].id, "acme", Tier.FREE)

        self.who = self.runner.run(start())

    @rule(amount=AMOUNTS, times=st.integers(1, 2))
    def grant(self, amount: int, times: int) -> None:
        self.grants += 1

        async def again() -> None:
            for _ in range(times):
                await self.accounts.grant("acme", amount, grant_id=str(self.grants))

        self.runner.run(again())
        self.available += amount

    @rule(target=opened, amounts=st.lists(AMOUNTS, min_size=1, max_size=5))
    def hold(self, amounts: list[int]) -> MultipleResults[Open]:
        async def race() -> list[SqlHold | BaseException]:
            return await asyncio.gather(
                *(self.ledger.hold(self.who, amount, request_id="r", surface="speech") for amount in amounts),
                return_exceptions=True,
            )

        made = []
        for amount, result in zip(amounts, self.runner.run(race()), strict=True):
            if isinstance(result, SqlHold):
                made.append(Open(result, amount))
                self.available -= amount
                self.held += amount
            else:
                assert isinstance(result, RefusedError)
        # In whatever order they ran: who was refused would not fit now either, for credits only went down.
        refused = [amount for amount in amounts if amount not in [each.amount for each in made]]
        assert all(amount > self.available for amount in refused)
        return multiple(*made)

    @rule(it=opened, total=st.integers(0, 100))
    def extend(self, it: Open, total: int) -> None:
        more = max(0, total - it.amount)
        if it.charged is not None:
            with pytest.raises(MisuseError):
                self.runner.run(it.hold.extend(total))
        elif more > self.available:
            with pytest.raises(RefusedError):
                self.runner.run(it.hold.extend(total))
        else:
            self.runner.run(it.hold.extend(total))
            it.amount += more
            self.available -= more
            self.held += more
        assert it.hold.amount == it.amount

    @rule(it=opened, share=st.floats(-0.1, 1.1), times=st.integers(1, 3), deliver=st.booleans())
    def settle(self, it: Open, share: float, times: int, deliver: bool) -> None:
        charge = round(it.amount * share)
        done = Usage("r", "speech", {}) if deliver else None

        async def race() -> list[Balance | BaseException]:
            return await asyncio.gather(*(it.hold.settle(charge, done) for _ in range(times)), return_exceptions=True)

        results = self.runner.run(race())
        if it.charged is None and 0 <= charge <= it.amount:
            it.charged = charge
            self.held -= it.amount
            self.available += it.amount - charge
            self.charged += charge
            self.uses += deliver
        expected = Balance if it.charged == charge else MisuseError
        assert all(isinstance(result, expected) for result in results)

    @rule()
    def record(self) -> None:
        self.runner.run(self.ledger.record(self.who, Usage("r", "chat", {"tokens": 1})))
        self.uses += 1

    @invariant()
    def the_books_balance(self) -> None:
        async def audit(connection: AsyncConnection) -> None:
            row = (await connection.execute(select(organizations.c.available, organizations.c.held))).one()
            assert (row.available, row.held) == (self.available, self.held)
            sums = dict.fromkeys(Kind, 0)
            for kind, total in await connection.execute(
                select(postings.c.kind, func.sum(postings.c.amount)).group_by(postings.c.kind)
            ):
                sums[Kind(kind)] = int(total)
            assert sums[Kind.GRANT] - sums[Kind.HOLD] + sums[Kind.RELEASE] == self.available >= 0
            assert sums[Kind.HOLD] - sums[Kind.RELEASE] - sums[Kind.CHARGE] == self.held >= 0
            assert sums[Kind.CHARGE] == self.charged
            assert await connection.scalar(select(func.count()).select_from(usage)) == self.uses

        self.runner.run(self.database.read(audit))

    def teardown(self) -> None:
        self.runner.run(self.database.aclose())
        self.runner.close()
        self.folder.cleanup()


def test_the_ledger_obeys_its_laws(tmp_path: Path) -> None:
    async def make() -> Path:
        database = await Database.open(f"sqlite:///{tmp_path / 'template.db'}")
        await database.upgrade()
        await database.aclose()  # the last connection folds the write-ahead log into the file
        return tmp_path / "template.db"

    LedgerMachine.template = asyncio.run(make())
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
