"""Credits: holds, charges and grants as named transactions over an append-only ledger (see docs/decisions/0004).

Every step changes the organization's row with one UPDATE that asks for enough in its WHERE, and adds its postings in
the same transaction. The row's lock orders whatever runs at once; READ COMMITTED is enough on PostgreSQL. Steps on a
hold change the hold's row first and the organization's second, always, so two of them cannot wait for each other.
"""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import Code, MisuseError, RefusedError, StoreError
from voxgate.store.database import Database
from voxgate.store.schema import Kind, holds, organizations, postings, usage

_log = structlog.get_logger(__name__)


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

        async def open_hold(connection: AsyncConnection) -> Balance:
            balance = await _move_to_held(connection, principal.org_id, amount)
            await connection.execute(
                insert(holds).values(
                    id=hold_id,
                    org_id=principal.org_id,
                    key_id=principal.key_id,
                    request_id=request_id,
                    surface=surface,
                    amount=amount,
                    earned=0,
                    units={},
                    opened_at=at,
                    heartbeat_at=at,
                )
            )
            await connection.execute(
                insert(postings).values(
                    org_id=principal.org_id,
                    hold_id=hold_id,
                    request_id=request_id,
                    kind=Kind.HOLD,
                    amount=amount,
                    key=f"{hold_id}:hold:{amount}",
                    at=at,
                )
            )
            return balance

        hold = SqlHold(self._database, self._clock, hold_id, principal, request_id)
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
            # Locks the hold on PostgreSQL; SQLite has one writer.
            held = await connection.scalar(
                select(holds.c.amount).where(holds.c.id == self.id, holds.c.settled_at.is_(None)).with_for_update()
            )
            if held is None:
                raise MisuseError("a settled hold cannot be extended")
            amount = max(held, total)
            await connection.execute(
                update(holds)
                .where(holds.c.id == self.id)
                .values(amount=amount, earned=earned, units=dict(units or {}), heartbeat_at=at)
            )
            if amount == held:
                return amount, await _balance(connection, org_id)
            balance = await _move_to_held(connection, org_id, amount - held)
            # Totals only grow, so hold and total name the step: tried again after a lost answer, it is found done.
            await connection.execute(
                insert(postings).values(
                    **self._posting(Kind.HOLD, amount - held, at), key=f"{self.id}:{Kind.HOLD}:{amount}"
                )
            )
            return amount, balance

        self.amount, self.balance = await self._database.write(step, durable=False)

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        org_id = self._principal.org_id
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> Balance:
            amount = await self._close(connection, charge, at)
            if amount is None:
                return await _balance(connection, org_id)
            released = amount - charge
            rows = [
                {**self._posting(kind, value, at), "key": f"{self.id}:{kind}"}
                for kind, value in ((Kind.CHARGE, charge), (Kind.RELEASE, released))
                if value
            ]
            await connection.execute(insert(postings), rows)
            if usage is not None:
                await _add_usage(connection, self._principal, usage, amount=charge, hold_id=self.id, at=at)
            row = (
                await connection.execute(
                    update(organizations)
                    .where(organizations.c.id == org_id)
                    .values(available=organizations.c.available + released, held=organizations.c.held - amount)
                    .returning(organizations.c.available, organizations.c.held)
                )
            ).one()
            return Balance(available=row.available, held=row.held)

        self.balance = await self._database.write(step)
        return self.balance

    async def give_back(self) -> None:
        """Release everything, if the hold was opened at all; what the store cannot do now is left to the sweeper."""

        async def exists(connection: AsyncConnection) -> bool:
            return await connection.scalar(select(holds.c.id).where(holds.c.id == self.id)) is not None

        try:
            if await self._database.read(exists):
                await self.settle(0, None)
        except StoreError as error:
            _log.warning("hold_left_open", hold_id=self.id, request_id=self._request_id, error=error.message)

    async def _close(self, connection: AsyncConnection, charge: int, at: datetime) -> int | None:
        """Mark the hold settled and answer its amount; None where the same settlement was made before."""
        row = (
            await connection.execute(
                select(holds.c.amount, holds.c.charged).where(holds.c.id == self.id).with_for_update()
            )
        ).one()
        if row.charged is not None:
            if row.charged != charge:
                raise MisuseError(f"hold {self.id} was settled at {row.charged} and cannot be settled at {charge}")
            return None
        if not 0 <= charge <= row.amount:
            raise MisuseError(f"hold {self.id} of {row.amount} micro-credits cannot be charged {charge}")
        await connection.execute(
            update(holds).where(holds.c.id == self.id).values(charged=charge, settled_at=at, heartbeat_at=at)
        )
        amount: int = row.amount
        return amount

    def _posting(self, kind: Kind, amount: int, at: datetime) -> dict[str, Any]:
        return {
            "org_id": self._principal.org_id,
            "hold_id": self.id,
            "request_id": self._request_id,
            "kind": kind,
            "amount": amount,
            "at": at,
        }


async def _move_to_held(connection: AsyncConnection, org_id: str, amount: int) -> Balance:
    """Take `amount` out of what is available. Raises RefusedError where that would leave less than nothing."""
    row = (
        await connection.execute(
            update(organizations)
            .where(organizations.c.id == org_id, organizations.c.available >= amount)
            .values(available=organizations.c.available - amount, held=organizations.c.held + amount)
            .returning(organizations.c.available, organizations.c.held)
        )
    ).one_or_none()
    if row is None:
        raise RefusedError("the organization has not enough credits for this request", code=Code.INSUFFICIENT_CREDITS)
    return Balance(available=row.available, held=row.held)


async def _balance(connection: AsyncConnection, org_id: str) -> Balance:
    row = (
        await connection.execute(
            select(organizations.c.available, organizations.c.held).where(organizations.c.id == org_id)
        )
    ).one_or_none()
    if row is None:
        raise MisuseError(f"there is no organization {org_id}")
    return Balance(available=row.available, held=row.held)


async def _add_usage(
    connection: AsyncConnection, principal: Principal, done: Usage, *, amount: int, hold_id: str | None, at: datetime
) -> None:
    await connection.execute(
        insert(usage).values(
            org_id=principal.org_id,
            key_id=principal.key_id,
            hold_id=hold_id,
            request_id=done.request_id,
            surface=done.surface,
            units=dict(done.units),
            amount=amount,
            at=at,
        )
    )
