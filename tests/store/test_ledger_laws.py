"""The ledger against a model of a few integers: random steps, repeated and raced, with the books audited after each."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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

from tests.postgres import Postgres
from voxgate.clock import FakeClock
from voxgate.domain import Balance, Principal, Tier, Usage
from voxgate.errors import MisuseError, RefusedError, StoreError
from voxgate.store.accounts import SqlAccounts
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.ledger import SqlHold, SqlLedger
from voxgate.store.schema import Kind, organizations, postings, usage

pytestmark = pytest.mark.slow

AMOUNTS = st.integers(min_value=1, max_value=50)


@dataclass
class Open:
    """The model of a hold."""

    hold: SqlHold
    amount: int
    charged: int | None = None
    known: int | None = None
    """What the next beat will say was earned."""
    written: int | None = None
    """What the last beat said."""
    swept: bool = False


class LedgerMachine(RuleBasedStateMachine):
    """One organization, any number of holds, and a server that is killed now and then."""

    fresh: Callable[[], AbstractContextManager[str]]
    """Makes the URL of a database with tables and nothing in them."""
    opened = Bundle[Open]("opened")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.available = self.held = self.charged = self.grants = self.uses = self.keys = 0
        self.all: list[Open] = []

    @initialize()
    def open(self) -> None:
        url = self.stack.enter_context(type(self).fresh())

        async def start() -> Principal:
            self.database = await Database.open(url)
            self.ledger = SqlLedger(self.database, FakeClock())
            self.accounts = SqlAccounts(self.database, FakeClock())
            added = await self.accounts.add_key(
                "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=0, label="", expires_at=None
            )
            assert added is not None
            return Principal(added[1].id, added[0].id, "acme", Tier.FREE)

        self.who = self.runner.run(start())

    @rule()
    def revoke(self) -> None:
        """Work under a key that is revoked meanwhile is settled like any other; the next is done under another key."""
        self.keys += 1

        async def change() -> Principal:
            await self.accounts.revoke_key(self.who.key_id)
            added = await self.accounts.add_key(
                f"vg_{self.keys:040d}", org="acme", tier=Tier.FREE, grant=9, label="", expires_at=None
            )
            assert added is not None
            return Principal(added[1].id, added[0].id, "acme", Tier.FREE)

        self.who = self.runner.run(change())

    @rule(it=opened, share=st.floats(0, 1))
    def deliver(self, it: Open, share: float) -> None:
        if it.charged is None:
            it.known = round(it.amount * share)
            it.hold.progress(it.known, {"audio_ms": 1})

    @rule(beaten=st.booleans())
    def kill(self, beaten: bool) -> None:
        """The server is no more, and another settles what it left: what the last beat or extension said."""

        async def die() -> None:
            if beaten:
                await self.ledger.beat()
            books = SqlBooks(self.database, FakeClock())
            for owner in await books.owners():
                assert await books.end(owner)
            await books.settle_orphans()
            self.ledger = SqlLedger(self.database, FakeClock())

        self.runner.run(die())
        for it in self.all:
            if it.charged is None:
                if beaten and it.known is not None:
                    it.written = it.known
                it.charged = it.written or 0
                it.swept = True
                self.held -= it.amount
                self.available += it.amount - it.charged
                self.charged += it.charged
                self.uses += it.written is not None

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
                self.all.append(made[-1])
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
        known = {} if it.known is None else {"earned": it.known, "units": {"audio_ms": 1}}
        if it.charged is not None:
            with pytest.raises(StoreError if it.swept else MisuseError):
                self.runner.run(it.hold.extend(total))
        elif more > self.available:
            with pytest.raises(RefusedError):
                self.runner.run(it.hold.extend(total))
        else:
            self.runner.run(it.hold.extend(total, **known))  # type: ignore[arg-type]
            it.written = it.known
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
        expected = Balance if it.charged == charge or it.swept else MisuseError
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
        self.stack.close()


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_the_ledger_obeys_its_laws(dialect: str, request: pytest.FixtureRequest) -> None:
    @contextmanager
    def sqlite() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(request.getfixturevalue("sqlite_template"), Path(folder) / "laws.db")
            yield f"sqlite:///{folder}/laws.db"

    @contextmanager
    def postgres() -> Iterator[str]:
        server: Postgres = request.getfixturevalue("postgres")
        name = server.create(template=request.getfixturevalue("postgres_template"))
        yield server.url(name)
        server.drop(name)

    class Machine(LedgerMachine):
        fresh = staticmethod(sqlite if dialect == "sqlite" else postgres)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30 if dialect == "sqlite" else 12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
