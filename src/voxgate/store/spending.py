"""What keys with a daily limit spend on a day: one counter a key and day, moved by one UPDATE that asks for room."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.domain import Principal
from voxgate.store.database import Database
from voxgate.store.schema import holds, key_spending, usage

_KEEP = timedelta(days=2)
"""How long a day's counter stays: work that began before midnight gives back after it."""

_row = key_spending.c
_COUNT = (
    update(key_spending)
    .where(
        _row.key_id == bindparam("key"),
        _row.day == bindparam("on"),
        _row.spent + bindparam("amount") <= bindparam("most"),
    )
    .values(spent=_row.spent + bindparam("amount"))
    .returning(_row.spent)
)
_GIVE_BACK = (
    update(key_spending)
    .where(_row.key_id == bindparam("key"), _row.day == bindparam("on"), _row.spent >= bindparam("amount"))
    .values(spent=_row.spent - bindparam("amount"))
)
_FORGET = delete(key_spending).where(_row.key_id == bindparam("key"), _row.day < bindparam("before"))
# The organization is named because usage is indexed by it and the time.
_SOLD = select(func.coalesce(func.sum(usage.c.amount), 0)).where(
    usage.c.org_id == bindparam("org"), usage.c.key_id == bindparam("key"), usage.c.at >= bindparam("since")
)
_HELD = select(func.coalesce(func.sum(holds.c.amount), 0)).where(
    holds.c.settled_at.is_(None), holds.c.key_id == bindparam("key"), holds.c.opened_at >= bindparam("since")
)


class SqlSpending:
    """`books.Spending` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, principal: Principal, day: date, amount: int) -> bool:
        assert principal.daily_limit is not None, "asked only for keys that have a limit"
        step = {"key": principal.key_id, "on": day, "amount": amount, "most": principal.daily_limit}
        reserved = False

        async def count(connection: AsyncConnection) -> bool:
            nonlocal reserved
            counted = await connection.scalar(_COUNT, step)
            if counted is None:  # no room, or no counter yet
                await self._begin(connection, principal, day)
                counted = await connection.scalar(_COUNT, step)
            reserved = counted is not None
            return reserved

        try:
            return await self._database.write(count, durable=False)
        except asyncio.CancelledError:
            if reserved:
                await self.give_back(principal.key_id, day, amount)
            raise

    async def give_back(self, key_id: str, day: date, amount: int) -> None:
        async def take_off(connection: AsyncConnection) -> None:
            await connection.execute(_GIVE_BACK, {"key": key_id, "on": day, "amount": amount})

        await self._database.write(take_off, durable=False)

    async def _begin(self, connection: AsyncConnection, principal: Principal, day: date) -> None:
        """Make the counter of a day where there is none, beginning with what was spent before the key had a limit."""
        since = datetime(day.year, day.month, day.day, tzinfo=UTC)
        work = {"org": principal.org_id, "key": principal.key_id, "since": since}
        before = int(await connection.scalar(_SOLD, work) or 0) + int(await connection.scalar(_HELD, work) or 0)
        new = self._insert_new(key_spending).values(key_id=principal.key_id, day=day, spent=before)
        await connection.execute(new.on_conflict_do_nothing())
        await connection.execute(_FORGET, {"key": principal.key_id, "before": day - _KEEP})

    def _insert_new(self, table: Any) -> Any:
        """INSERT with ON CONFLICT, which both databases have, and SQLAlchemy in a dialect each."""
        return (sqlite if self._database.dialect == "sqlite" else postgresql).insert(table)
