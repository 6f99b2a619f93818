"""What the operator's webhook is still to be told of sessions in rooms: noted with the change, told afterwards."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.rooms import Due, Happened
from voxgate.store.database import Database
from voxgate.store.room_rows import session_of
from voxgate.store.schema import organizations, outbox, room_sessions

_out = outbox.c

_NOTE = insert(outbox)
_earlier = outbox.alias("earlier")
_FIRST = ~select(_earlier.c.id).where(_earlier.c.session_id == _out.session_id, _earlier.c.id < _out.id).exists()
_READY = (
    select(_out.id)
    .where(_out.due_at <= bindparam("now"), _FIRST)
    .order_by(_out.due_at, _out.id)
    .limit(bindparam("most"))
)
# A second server that chose the same row waits for its lock, and then finds it put off.
_CLAIM = (
    update(outbox)
    .where(_out.id.in_(bindparam("ids", expanding=True)), _out.due_at <= bindparam("now"))
    .values(due_at=bindparam("until"), attempts=_out.attempts + 1)
    .returning(_out.id)
)
_CLAIMED = (
    select(
        _out.id.label("event"),
        _out.kind,
        _out.created_at,
        _out.attempts,
        organizations.c.name.label("org_name"),
        room_sessions,
    )
    .select_from(outbox.join(room_sessions).join(organizations))
    .where(_out.id.in_(bindparam("ids", expanding=True)))
    .order_by(_out.id)
)
_TOLD = delete(outbox).where(_out.id == bindparam("event"))
_PUT_OFF = update(outbox).where(_out.id == bindparam("event")).values(due_at=bindparam("until"))
_OLD = delete(outbox).where(_out.created_at < bindparam("before")).returning(_out.session_id)
_WAITING = select(func.count()).select_from(outbox)


async def note(connection: AsyncConnection, session: str, what: Happened, at: datetime) -> None:
    """Note that something is to be told, in the transaction in which it happens."""
    row = {"session_id": session, "kind": what, "created_at": at, "due_at": at, "attempts": 0}
    await connection.execute(_NOTE, row)


class SqlOutbox:
    """`rooms.Outbox` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now: datetime, *, until: datetime, limit: int) -> Sequence[Due]:
        async def look(connection: AsyncConnection) -> bool:
            return await connection.scalar(_READY, {"now": now, "most": 1}) is not None

        if not await self._database.read(look):  # asked every second: it must not queue with those who write
            return []

        async def step(connection: AsyncConnection) -> list[Due]:
            ids = list(await connection.scalars(_READY, {"now": now, "most": limit}))
            if ids:
                ids = list(await connection.scalars(_CLAIM, {"ids": ids, "now": now, "until": until}))
            return [_due(row) for row in await connection.execute(_CLAIMED, {"ids": ids})] if ids else []

        return await self._database.write(step, durable=False)  # what a power cut forgets is told once more

    async def told(self, event: int) -> None:
        async def step(connection: AsyncConnection) -> None:
            await connection.execute(_TOLD, {"event": event})

        await self._database.write(step, durable=False)

    async def put_off(self, event: int, until: datetime) -> None:
        async def step(connection: AsyncConnection) -> None:
            await connection.execute(_PUT_OFF, {"event": event, "until": until})

        await self._database.write(step, durable=False)

    async def give_up(self, now: datetime, *, after: timedelta) -> Sequence[str]:
        async def step(connection: AsyncConnection) -> list[str]:
            return list(await connection.scalars(_OLD, {"before": now - after}))

        return await self._database.write(step)

    async def waiting(self) -> int:
        async def look(connection: AsyncConnection) -> int:
            return int(await connection.scalar(_WAITING) or 0)

        return await self._database.read(look)


def _due(row: Any) -> Due:
    return Due(
        id=row.event,
        what=Happened(row.kind),
        at=row.created_at,
        attempts=row.attempts,
        org_name=row.org_name,
        session=session_of(row),
    )
