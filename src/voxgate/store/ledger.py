"""Credits: holds, charges and grants as named transactions over an append-only ledger (see docs/decisions/0004).

Every step changes the organization's row with one UPDATE that asks for enough in its WHERE, and adds its postings in
the same transaction. The row's lock orders whatever runs at once; READ COMMITTED is enough on PostgreSQL.

Every hold belongs to a server, this process, which says with each heartbeat that it lives and what was delivered under
its open holds. What a server that stopped beating left open is settled by another (store/books.py).
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import MisuseError, StoreError
from voxgate.store.database import Database
from voxgate.store.schema import Kind, holds, idempotency, servers
from voxgate.store.steps import LOCK_HOLD, NEW_POSTING, HoldRef, add_usage, balance_of, settle, take

_log = structlog.get_logger(__name__)

_hold = holds.c

_HOLD_EXISTS = select(_hold.id).where(_hold.id == bindparam("hold"))
_EXTEND = (
    update(holds)
    .where(_hold.id == bindparam("hold"))
    .values(
        amount=bindparam("total"),
        earned=bindparam("so_far"),
        units=bindparam("done", type_=_hold.units.type),
        heartbeat_at=bindparam("now"),
    )
)
_PROGRESS = (
    update(holds)
    .where(_hold.id == bindparam("hold"), _hold.settled_at.is_(None))
    .values(earned=bindparam("so_far"), units=bindparam("done", type_=_hold.units.type), heartbeat_at=bindparam("now"))
)
_NEW_HOLD = insert(holds)


def _beat(insert_new: Any) -> Any:
    """Count one more beat of a server, or its first; no row comes back where it has been ended."""
    row = insert_new(servers).values(id=bindparam("owner"), beats=1, beat_at=bindparam("now"), ended_at=None)
    return row.on_conflict_do_update(
        index_elements=[servers.c.id],
        set_={"beats": servers.c.beats + 1, "beat_at": row.excluded.beat_at},
        where=servers.c.ended_at.is_(None),
    ).returning(servers.c.id)


_BEAT = {"sqlite": _beat(sqlite.insert), "postgresql": _beat(postgresql.insert)}
_ADOPT_HOLDS = (
    update(holds)
    .where(_hold.owner == bindparam("former"), _hold.settled_at.is_(None))
    .values(owner=bindparam("now_by"))
)
_ADOPT_REQUESTS = (
    update(idempotency)
    .where(idempotency.c.owner == bindparam("former"), idempotency.c.state == "running")
    .values(owner=bindparam("now_by"))
)
_END = update(servers).where(servers.c.id == bindparam("owner")).values(ended_at=bindparam("now"))


class Rider(Protocol):
    """What else this server says of itself with each heartbeat: of the rooms whose calls it carries."""

    async def late(self) -> None:
        """Do what the store could not do before. Raises StoreError."""
        ...

    def begin_beat(self) -> None:
        """Choose what the heartbeat is to write: what is true at this moment, at which the holds' progress is taken."""
        ...

    async def beat(self, connection: AsyncConnection, former: Sequence[str], owner: str, now: datetime) -> None:
        """Write it in the transaction of the heartbeat; `owner` takes over what was `former` owners'."""
        ...

    def beaten(self) -> None:
        """The transaction is committed."""
        ...


class Bound(Protocol):
    """What changes in the transactions of a hold, so that the two never differ."""

    async def opened(self, connection: AsyncConnection, hold_id: str, owner: str, at: datetime) -> None:
        """The hold was opened."""
        ...

    async def extended(self, connection: AsyncConnection, at: datetime) -> None:
        """It was extended, and `earned` was written."""
        ...

    async def settled(self, connection: AsyncConnection, charge: int, at: datetime) -> None:
        """It was settled."""
        ...


def _new_owner() -> str:
    return f"srv_{secrets.token_hex(12)}"


class SqlLedger:
    """`ports.Ledger` on the database, and the heart of this server."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.owner = _new_owner()
        """Id of this server on its holds; another one after it was taken for dead."""
        self._database = database
        self._clock = clock
        self.riders: list[Rider] = []
        self._former: list[str] = []
        self._live: dict[str, SqlHold] = {}
        self._unsettled: dict[str, tuple[SqlHold, int, Usage | None]] = {}

    async def hold(
        self,
        principal: Principal,
        amount: int,
        *,
        request_id: str,
        surface: str,
        earned: int = 0,
        units: Mapping[str, int] | None = None,
        bound: Bound | None = None,
    ) -> "SqlHold":
        """`Ledger.hold`. `earned`, `units`: what a crash is billed from the first moment on, as in `Hold.extend`."""
        if amount <= 0:
            raise MisuseError("a hold needs an amount; free work is written down with `record`")
        at = self._clock.now()
        ref = HoldRef(f"hold_{secrets.token_hex(12)}", principal.org_id, principal.key_id, request_id)
        hold = SqlHold(self, ref, bound)

        async def open_hold(connection: AsyncConnection) -> Balance:
            balance = await take(connection, principal.org_id, amount)
            await connection.execute(
                _NEW_HOLD,
                {
                    "id": ref.id,
                    "org_id": ref.org_id,
                    "key_id": ref.key_id,
                    "request_id": request_id,
                    "surface": surface,
                    "amount": amount,
                    "earned": earned,
                    "units": dict(units or {}),
                    "opened_at": at,
                    "heartbeat_at": at,
                    "owner": self.owner,
                },
            )
            await connection.execute(NEW_POSTING, ref.posting(Kind.HOLD, amount, at, step=f"hold:{amount}"))
            if bound is not None:
                await bound.opened(connection, ref.id, self.owner, at)
            return balance

        try:
            hold.balance = await self._database.write(open_hold, durable=False)
        except asyncio.CancelledError:
            await self._give_back(hold)
            raise
        except StoreError:
            self._unsettled[ref.id] = (hold, 0, None)  # it may have been opened though nobody heard of it
            raise
        hold.amount = amount
        self._live[ref.id] = hold
        return hold

    async def record(self, principal: Principal, usage: Usage) -> Balance:
        async def write(connection: AsyncConnection) -> Balance:
            at = self._clock.now()
            await add_usage(connection, principal.org_id, principal.key_id, usage, amount=0, hold_id=None, at=at)
            return await balance_of(connection, principal.org_id)

        return await self._database.write(write)

    async def balance(self, org_id: str) -> Balance:
        async def look(connection: AsyncConnection) -> Balance:
            return await balance_of(connection, org_id)

        return await self._database.read(look)

    async def beat(self) -> None:
        """Say that this server lives, write what was delivered under its open holds, settle what could not be before.

        One transaction where nothing was left unsettled. Raises StoreError; the next beat does what this one did not.
        """
        for hold, charge, usage in tuple(self._unsettled.values()):
            await self._settle_late(hold, charge, usage)
        for rider in self.riders:
            await rider.late()
        progress = {hold.ref.id: hold.delivered for hold in self._live.values() if hold.delivered is not None}
        for rider in self.riders:
            rider.begin_beat()

        async def step(connection: AsyncConnection) -> bool:
            now = self._clock.now()
            if await connection.scalar(_BEAT[self._database.dialect], {"owner": self.owner, "now": now}) is None:
                return False
            for former in self._former:
                for adopt in (_ADOPT_HOLDS, _ADOPT_REQUESTS):
                    await connection.execute(adopt, {"former": former, "now_by": self.owner})
            if progress:
                # In the order of their ids, as whoever locks several holds must.
                rows = [
                    {"hold": hold_id, "so_far": earned, "done": dict(units), "now": now}
                    for hold_id, (earned, units) in sorted(progress.items())
                ]
                await connection.execute(_PROGRESS, rows)
            for rider in self.riders:
                await rider.beat(connection, self._former, self.owner, now)
            return True

        while not await self._database.write(step, durable=False):
            _log.warning("server_was_taken_for_dead", server=self.owner, open_holds=len(self._live))
            self._former.append(self.owner)
            self.owner = _new_owner()
        self._former.clear()
        for rider in self.riders:
            rider.beaten()
        for hold_id, written in progress.items():
            beaten = self._live.get(hold_id)
            if beaten is not None and beaten.delivered is written:
                beaten.delivered = None

    async def end(self) -> None:
        """Settle what is left, and say goodbye: others may take over at once. Raises StoreError."""
        await self.beat()

        async def leave(connection: AsyncConnection) -> None:
            await connection.execute(_END, {"owner": self.owner, "now": self._clock.now()})

        await self._database.write(leave, durable=False)

    async def extend(self, hold: "SqlHold", total: int, earned: int, units: Mapping[str, int]) -> None:
        """`Hold.extend`."""
        ref = hold.ref
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> tuple[int, Balance]:
            row = (await connection.execute(LOCK_HOLD, {"hold": ref.id})).one()
            if row.swept_at is not None:
                raise StoreError("this server was taken for dead, and its work for abandoned", retry_after_s=1)
            if row.charged is not None:
                raise MisuseError("a settled hold cannot be extended")
            amount = max(row.amount, total)
            await connection.execute(
                _EXTEND, {"hold": ref.id, "total": amount, "so_far": earned, "done": dict(units), "now": at}
            )
            if hold.bound is not None:
                await hold.bound.extended(connection, at)
            more = amount - row.amount
            if not more:
                return amount, await balance_of(connection, ref.org_id)
            balance = await take(connection, ref.org_id, more)
            # Totals only grow, so hold and total name the step: tried again after a lost answer, it is found done.
            await connection.execute(NEW_POSTING, ref.posting(Kind.HOLD, more, at, step=f"hold:{amount}"))
            return amount, balance

        hold.amount, hold.balance = await self._database.write(step, durable=False)

    async def settle(self, hold: "SqlHold", charge: int, usage: Usage | None) -> Balance:
        """`Hold.settle`; what the store cannot do now is done with one of the next beats."""
        ref = hold.ref
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> Balance:
            row = (await connection.execute(LOCK_HOLD, {"hold": ref.id})).one()
            if row.charged == charge:
                return await balance_of(connection, ref.org_id)
            if row.swept_at is not None:
                _log.warning(
                    "hold_was_swept", hold_id=ref.id, request_id=ref.request_id, charge=row.charged, due=charge
                )
                return await balance_of(connection, ref.org_id)
            if row.charged is not None:
                raise MisuseError(f"hold {ref.id} was settled at {row.charged} and cannot be settled at {charge}")
            if not 0 <= charge <= row.amount:
                raise MisuseError(f"hold {ref.id} of {row.amount} micro-credits cannot be charged {charge}")
            if hold.bound is not None:
                await hold.bound.settled(connection, charge, at)
            return await settle(connection, ref, row.amount, charge, usage, at, swept=False)

        try:
            hold.balance = await self._database.write(step)
        except (
            StoreError,
            asyncio.CancelledError,
        ):  # of one that was cancelled nobody knows: done again, it is found done
            self._unsettled[ref.id] = (hold, charge, usage)
            raise
        # Only now: until it is settled, each beat says what a crash is to be billed.
        self._live.pop(ref.id, None)
        self._unsettled.pop(ref.id, None)
        return hold.balance

    def owes(self, hold: "SqlHold") -> bool:
        """Whether the settlement of a hold is still to be written."""
        return hold.ref.id in self._unsettled

    async def _settle_late(self, hold: "SqlHold", charge: int, usage: Usage | None) -> None:
        """Settle a hold that may never have been opened."""

        async def exists(connection: AsyncConnection) -> bool:
            return await connection.scalar(_HOLD_EXISTS, {"hold": hold.ref.id}) is not None

        if await self._database.read(exists):
            await self.settle(hold, charge, usage)
        else:
            self._unsettled.pop(hold.ref.id, None)

    async def _give_back(self, hold: "SqlHold") -> None:
        """Release everything, if the hold was opened at all; what the store cannot do now, a later beat does.

        So it does where the caller is cancelled once more meanwhile.
        """
        self._unsettled[hold.ref.id] = (hold, 0, None)
        try:
            await self._settle_late(hold, 0, None)
        except StoreError as error:
            _log.warning("hold_left_open", hold_id=hold.ref.id, request_id=hold.ref.request_id, error=error.message)


class SqlHold:
    """`ports.Hold` on the database. One piece of work owns it; its steps follow one another."""

    def __init__(self, ledger: SqlLedger, ref: HoldRef, bound: Bound | None = None) -> None:
        self.ref = ref
        self.bound = bound
        self.amount = 0
        self.balance = Balance(available=0, held=0)
        self.delivered: tuple[int, Mapping[str, int]] | None = None
        """(micro-credits, units) that the next beat is to write; None where nothing is new."""
        self._ledger = ledger

    def progress(self, earned: int, units: Mapping[str, int]) -> None:
        self.delivered = (earned, units)

    async def extend(self, total: int, *, earned: int = 0, units: Mapping[str, int] | None = None) -> None:
        await self._ledger.extend(self, total, earned, units or {})

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        return await self._ledger.settle(self, charge, usage)
