"""Credits: holds, charges and grants as named transactions over an append-only ledger (see docs/decisions/0004).

Every step changes the organization's row with one UPDATE that asks for enough in its WHERE, and adds its postings in
the same transaction. The row's lock orders whatever runs at once; READ COMMITTED is enough on PostgreSQL. Steps on a
hold change the hold's row first and the organization's second, always, so two of them cannot wait for each other.
"""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime

import structlog
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import Code, MisuseError, RefusedError, StoreError
from voxgate.store.database import Database
from voxgate.store.schema import Kind, holds, organizations, postings, usage

_log = structlog.get_logger(__name__)

# Statements are built once: building one anew costs about as much as carrying it out.
_org = organizations.c
_hold = holds.c

_TAKE = (
    update(organizations)
    .where(_org.id == bindparam("org"), _org.available >= bindparam("taken"))
    .values(available=_org.available - bindparam("taken"), held=_org.held + bindparam("taken"))
    .returning(_org.available, _org.held)
)
_PUT_BACK = (
    update(organizations)
    .where(_org.id == bindparam("org"))
    .values(available=_org.available + bindparam("released"), held=_org.held - bindparam("closed"))
    .returning(_org.available, _org.held)
)
_BALANCE = select(_org.available, _org.held).where(_org.id == bindparam("org"))

# Locks the hold's row on PostgreSQL; SQLite has one writer, and no such words.
_LOCK_HOLD = select(_hold.amount, _hold.charged).where(_hold.id == bindparam("hold")).with_for_update()
_HOLD_EXISTS = select(_hold.id).where(_hold.id == bindparam("hold"))
_BEAT = (
    update(holds)
    .where(_hold.id == bindparam("hold"))
    .values(
        amount=bindparam("total"),
        earned=bindparam("so_far"),
        units=bindparam("done", type_=_hold.units.type),
        heartbeat_at=bindparam("now"),
    )
)
_CLOSE = (
    update(holds)
    .where(_hold.id == bindparam("hold"))
    .values(charged=bindparam("charge"), settled_at=bindparam("now"), heartbeat_at=bindparam("now"))
)
_NEW_HOLD = insert(holds)
_NEW_POSTING = insert(postings)
_NEW_USAGE = insert(usage)


class SqlLedger:
    """`ports.Ledger` on the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def hold(self, principal: Principal, amount: int, *, request_id: str, surface: str) -> "SqlHold":
        if amount <= 0:
            raise MisuseError("a hold needs an amount; free work is written down with `record`")
        hold_id = f"hold_{secrets.token_hex(12)}"
        at = self._clock.now()
        hold = SqlHold(self._database, self._clock, hold_id, principal, request_id)

        async def open_hold(connection: AsyncConnection) -> Balance:
            balance = await _take(connection, principal.org_id, amount)
            await connection.execute(
                _NEW_HOLD,
                {
                    "id": hold_id,
                    "org_id": principal.org_id,
                    "key_id": principal.key_id,
                    "request_id": request_id,
                    "surface": surface,
                    "amount": amount,
                    "earned": 0,
                    "units": {},
                    "opened_at": at,
                    "heartbeat_at": at,
                },
            )
            await connection.execute(_NEW_POSTING, hold.posting(Kind.HOLD, amount, at, step=f"hold:{amount}"))
            return balance

        try:
            hold.balance = await self._database.write(open_hold, durable=False)
        except asyncio.CancelledError:
            await hold.give_back()
            raise
        hold.amount = amount
        return hold

    async def record(self, principal: Principal, usage: Usage) -> Balance:
        async def write(connection: AsyncConnection) -> Balance:
            await _add_usage(connection, principal, usage, amount=0, hold_id=None, at=self._clock.now())
            return await _balance(connection, principal.org_id)

        return await self._database.write(write)

    async def balance(self, org_id: str) -> Balance:
        async def look(connection: AsyncConnection) -> Balance:
            return await _balance(connection, org_id)

        return await self._database.read(look)


class SqlHold:
    """`ports.Hold` on the database. One piece of work owns it; its steps follow one another."""

    def __init__(self, database: Database, clock: Clock, hold_id: str, principal: Principal, request_id: str) -> None:
        self.id = hold_id
        self.amount = 0
        self.balance = Balance(available=0, held=0)
        self._database = database
        self._clock = clock
        self._principal = principal
        self._request_id = request_id

    async def extend(self, total: int, *, earned: int = 0, units: Mapping[str, int] | None = None) -> None:
        org_id = self._principal.org_id
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> tuple[int, Balance]:
            row = (await connection.execute(_LOCK_HOLD, {"hold": self.id})).one()
            if row.charged is not None:
                raise MisuseError("a settled hold cannot be extended")
            amount = max(row.amount, total)
            await connection.execute(
                _BEAT, {"hold": self.id, "total": amount, "so_far": earned, "done": dict(units or {}), "now": at}
            )
            more = amount - row.amount
            if not more:
                return amount, await _balance(connection, org_id)
            balance = await _take(connection, org_id, more)
            # Totals only grow, so hold and total name the step: tried again after a lost answer, it is found done.
            await connection.execute(_NEW_POSTING, self.posting(Kind.HOLD, more, at, step=f"hold:{amount}"))
            return amount, balance

        self.amount, self.balance = await self._database.write(step, durable=False)

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        org_id = self._principal.org_id
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> Balance:
            row = (await connection.execute(_LOCK_HOLD, {"hold": self.id})).one()
            if row.charged == charge:
                return await _balance(connection, org_id)
            if row.charged is not None:
                raise MisuseError(f"hold {self.id} was settled at {row.charged} and cannot be settled at {charge}")
            if not 0 <= charge <= row.amount:
                raise MisuseError(f"hold {self.id} of {row.amount} micro-credits cannot be charged {charge}")
            released = row.amount - charge
            await connection.execute(_CLOSE, {"hold": self.id, "charge": charge, "now": at})
            parts = {Kind.CHARGE: charge, Kind.RELEASE: released}
            await connection.execute(
                _NEW_POSTING, [self.posting(kind, amount, at, step=kind) for kind, amount in parts.items() if amount]
            )
            if usage is not None:
                await _add_usage(connection, self._principal, usage, amount=charge, hold_id=self.id, at=at)
            left = (
                await connection.execute(_PUT_BACK, {"org": org_id, "released": released, "closed": row.amount})
            ).one()
            return Balance(available=left.available, held=left.held)

        self.balance = await self._database.write(step)
        return self.balance

    async def give_back(self) -> None:
        """Release everything, if the hold was opened at all; what the store cannot do now is left to the sweeper."""

        async def exists(connection: AsyncConnection) -> bool:
            return await connection.scalar(_HOLD_EXISTS, {"hold": self.id}) is not None

        try:
            if await self._database.read(exists):
                await self.settle(0, None)
        except StoreError as error:
            _log.warning("hold_left_open", hold_id=self.id, request_id=self._request_id, error=error.message)

    def posting(self, kind: Kind, amount: int, at: datetime, *, step: str) -> dict[str, object]:
        """A row of the ledger; its idempotency key is the hold and the `step` of its life."""
        return {
            "org_id": self._principal.org_id,
            "hold_id": self.id,
            "request_id": self._request_id,
            "kind": kind,
            "amount": amount,
            "key": f"{self.id}:{step}",
            "at": at,
        }


async def _take(connection: AsyncConnection, org_id: str, amount: int) -> Balance:
    """Move `amount` from available to held. Raises RefusedError where that would leave less than nothing."""
    row = (await connection.execute(_TAKE, {"org": org_id, "taken": amount})).one_or_none()
    if row is None:
        raise RefusedError("the organization has not enough credits for this request", code=Code.INSUFFICIENT_CREDITS)
    return Balance(available=row.available, held=row.held)


async def _balance(connection: AsyncConnection, org_id: str) -> Balance:
    row = (await connection.execute(_BALANCE, {"org": org_id})).one_or_none()
    if row is None:
        raise MisuseError(f"there is no organization {org_id}")
    return Balance(available=row.available, held=row.held)


async def _add_usage(
    connection: AsyncConnection, principal: Principal, done: Usage, *, amount: int, hold_id: str | None, at: datetime
) -> None:
    await connection.execute(
        _NEW_USAGE,
        {
            "org_id": principal.org_id,
            "key_id": principal.key_id,
            "hold_id": hold_id,
            "request_id": done.request_id,
            "surface": done.surface,
            "units": dict(done.units),
            "amount": amount,
            "at": at,
        },
    )
