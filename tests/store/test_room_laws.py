"""Sessions of one organization that run, end and die side by side: nobody is billed too much, no balance is negative.

Random steps of several servers on one database, with the whole books recomputed after each of them.
"""

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

from tests.postgres import Postgres
from tests.store.kept_rooms import found, opened
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier
from voxgate.errors import RefusedError, StoreError
from voxgate.rooms import Lived, RoomEnd
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRoom, SqlRooms

pytestmark = pytest.mark.slow

PRICE = 10


@dataclass
class Call:
    """The model of a session."""

    number: int
    server: int
    room: SqlRoom
    held: int = 1
    """Minutes."""
    minutes: int = 1
    written: int = 1
    """Minutes that the books know of."""
    billed: int | None = None


class RoomMachine(RuleBasedStateMachine):
    """One organization, two servers that are killed now and then, any number of sessions."""

    fresh: Callable[[], AbstractContextManager[str]]
    """Makes the URL of a database with tables and nothing in them."""
    calls = Bundle[Call]("calls")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.clock = FakeClock()
        self.all: list[Call] = []
        self.number = self.grants = self.granted = 0

    @initialize()
    def begin(self) -> None:
        url = self.stack.enter_context(type(self).fresh())

        async def start() -> Principal:
            self.database = await Database.open(url)
            self.servers = [self.server(), self.server()]
            added = await SqlAccounts(self.database, self.clock).add_key(
                "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=0, label="", expires_at=None
            )
            assert added is not None
            return Principal(added[1].id, added[0].id, "acme", Tier.FREE)

        self.who = self.runner.run(start())

    def server(self) -> SqlRooms:
        return SqlRooms(self.database, self.clock, SqlLedger(self.database, self.clock), notify=True)

    @property
    def available(self) -> int:
        spent = sum(PRICE * (call.held if call.billed is None else call.billed) for call in self.all)
        return self.granted - spent

    @rule(amount=st.integers(1, 5 * PRICE))
    def grant(self, amount: int) -> None:
        self.grants += 1
        self.granted += amount
        self.runner.run(SqlAccounts(self.database, self.clock).grant("acme", amount, grant_id=str(self.grants)))

    @rule(target=calls, servers=st.lists(st.integers(0, 1), min_size=1, max_size=4))
    def create(self, servers: list[int]) -> MultipleResults[Call]:
        numbers = list(range(self.number + 1, self.number + 1 + len(servers)))
        self.number += len(servers)
        room_for = self.available // PRICE

        async def race() -> list[SqlRoom | BaseException]:
            return await asyncio.gather(
                *(
                    opened(self.servers[server], self.who, self.clock, number, price=PRICE)
                    for server, number in zip(servers, numbers, strict=True)
                ),
                return_exceptions=True,
            )

        made = []
        for server, number, room in zip(servers, numbers, self.runner.run(race()), strict=True):
            if isinstance(room, SqlRoom):
                made.append(Call(number, server, room))
            else:
                assert isinstance(room, RefusedError)
        assert len(made) == min(len(servers), room_for)
        self.all += made
        return multiple(*made)

    @rule(some=st.lists(calls, min_size=1, max_size=4, unique_by=lambda call: call.number))
    def next_minutes(self, some: list[Call]) -> None:
        """All of them want another minute at once."""
        room_for = self.available // PRICE
        live = [call for call in some if call.billed is None]

        async def race() -> list[BaseException | None]:
            return await asyncio.gather(
                *(call.room.extend(PRICE * (call.held + 1)) for call in some), return_exceptions=True
            )

        refused = 0
        for call, result in zip(some, self.runner.run(race()), strict=True):
            if call.billed is not None:
                assert isinstance(result, Exception), "what has ended holds nothing any more"
            elif isinstance(result, RefusedError):
                refused += 1
            else:
                assert result is None
                call.held += 1
                call.written = call.minutes
        assert refused == max(0, len(live) - room_for)

    @rule(call=calls)
    def minute_begins(self, call: Call) -> None:
        if call.billed is None and call.minutes < call.held:
            call.minutes += 1
            call.room.lived(self.lived(call))

    @rule(server=st.integers(0, 1))
    def beat(self, server: int) -> None:
        self.runner.run(self.servers[server].ledger.beat())
        self.known(server)

    @rule(call=calls, by_other=st.booleans(), times=st.integers(1, 2))
    def end(self, call: Call, by_other: bool, times: int) -> None:
        """By its own server, or in its place; several times at once."""

        async def race() -> None:
            for _ in range(times):
                if by_other:
                    await self.servers[1 - call.server].end_in_place(call.room.new.plan.room, RoomEnd.REQUESTED)
                elif call.billed is None:
                    await call.room.close(RoomEnd.LEFT, self.clock.now(), self.lived(call))

        self.runner.run(race())
        if call.billed is None:
            call.billed = call.written if by_other else call.minutes

    @rule(server=st.integers(0, 1), beaten=st.booleans())
    def kill(self, server: int, beaten: bool) -> None:
        """A server is no more, and what it left is settled to its last heartbeat."""

        async def die() -> None:
            ledger = self.servers[server].ledger
            if beaten:
                await ledger.beat()
            books = SqlBooks(self.database, self.clock, notify=True)
            for owner in await books.owners():
                if owner.id == ledger.owner:
                    assert await books.end(owner)
            await books.settle_orphans()
            self.servers[server] = self.server()

        if beaten:
            self.known(server)
        self.runner.run(die())
        for call in self.all:
            if call.server == server and call.billed is None:
                call.billed = call.written
                with pytest.raises(StoreError):
                    self.runner.run(call.room.extend(1000 * PRICE))

    @invariant()
    def the_books_are_right(self) -> None:
        async def look() -> None:
            assert (await SqlAudit(self.database).audit()).differences == ()
            balance = await self.servers[0].ledger.balance(self.who.org_id)
            assert balance.available == self.available >= 0
            assert balance.held == sum(PRICE * call.held for call in self.all if call.billed is None)
            for call in self.all:
                session = await found(self.servers[0], call.number)
                assert (session.ended_at is None) == (call.billed is None)
                if call.billed is not None:
                    assert (session.billed_minutes, session.charged) == (call.billed, PRICE * call.billed)

        self.runner.run(look())

    def teardown(self) -> None:
        self.runner.run(self.database.aclose())
        self.stack.close()

    def lived(self, call: Call) -> Lived:
        return Lived(60_000 * (call.minutes - 1) + 1, call.minutes, PRICE * call.minutes)

    def known(self, server: int) -> None:
        for call in self.all:
            if call.server == server and call.billed is None:
                call.written = call.minutes


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_sessions_obey_their_laws(dialect: str, request: pytest.FixtureRequest) -> None:
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

    class Machine(RoomMachine):
        fresh = staticmethod(sqlite if dialect == "sqlite" else postgres)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25 if dialect == "sqlite" else 12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
