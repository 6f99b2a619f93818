"""What is done in the place of servers that are no more: their holds settled, their requests set free."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row, bindparam, delete, exists, or_, select, union, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.books import Owner
from voxgate.clock import Clock
from voxgate.domain import Usage
from voxgate.rooms import Happened, RoomEnd
from voxgate.store.database import Database
from voxgate.store.outbox import note
from voxgate.store.room_rows import close_by_hold, close_free_orphans
from voxgate.store.schema import holds, idempotency, room_sessions, servers
from voxgate.store.steps import LOCK_HOLD, HoldRef, settle

_log = structlog.get_logger(__name__)

_AT_WORK = union(
    select(holds.c.owner).where(holds.c.settled_at.is_(None)),
    select(idempotency.c.owner).where(idempotency.c.state == "running"),
    select(room_sessions.c.owner).where(room_sessions.c.ended_at.is_(None)),
).subquery()
_OWNERS = select(_AT_WORK.c.owner, servers.c.beats, servers.c.ended_at).select_from(
    _AT_WORK.outerjoin(servers, servers.c.id == _AT_WORK.c.owner)
)
_ENDED = select(servers.c.id).where(servers.c.ended_at.is_not(None))
_ORPHANS = (
    select(holds.c.id, holds.c.org_id, holds.c.key_id, holds.c.request_id, holds.c.surface, holds.c.owner)
    .where(holds.c.settled_at.is_(None), or_(holds.c.owner.is_(None), holds.c.owner.in_(_ENDED)))
    .order_by(holds.c.id)
)
_INTERRUPT = (
    update(idempotency)
    .where(idempotency.c.state == "running", idempotency.c.owner.in_(_ENDED))
    .values(state="interrupted")
)
_FORGET_REQUESTS = delete(idempotency).where(
    idempotency.c.created_at < bindparam("before"), idempotency.c.state != "running"
)
_FORGET_SERVERS = delete(servers).where(
    servers.c.ended_at < bindparam("before"),
    ~exists().where(holds.c.owner == servers.c.id, holds.c.settled_at.is_(None)),
    ~exists().where(idempotency.c.owner == servers.c.id, idempotency.c.state == "running"),
    ~exists().where(room_sessions.c.owner == servers.c.id, room_sessions.c.ended_at.is_(None)),
)


class SqlBooks:
    """`books.Books` on the database."""

    def __init__(self, database: Database, clock: Clock, *, notify: bool = False) -> None:
        """`notify`: whether ends of sessions in rooms are noted for the operator's webhook."""
        self._database = database
        self._clock = clock
        self._notify = notify

    async def owners(self) -> Sequence[Owner]:
        async def look(connection: AsyncConnection) -> list[Owner]:
            return [
                Owner(row.owner, beats=row.beats or 0, ended=row.owner is None or row.ended_at is not None)
                for row in await connection.execute(_OWNERS)
            ]

        return await self._database.read(look)

    async def end(self, owner: Owner) -> bool:
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> bool:
            # A server whose first beat never came has no row yet.
            row: Any = (sqlite if self._database.dialect == "sqlite" else postgresql).insert(servers)
            ending = (
                row.values(id=owner.id, beats=0, beat_at=at, ended_at=at)
                .on_conflict_do_update(
                    index_elements=[servers.c.id], set_={"ended_at": at}, where=servers.c.beats == owner.beats
                )
                .returning(servers.c.id)
            )
            return await connection.scalar(ending) is not None

        return await self._database.write(step)

    async def settle_orphans(self) -> Sequence[tuple[str, int]]:
        async def look(connection: AsyncConnection) -> list[Row[Any]]:
            return list(await connection.execute(_ORPHANS))

        async def interrupt(connection: AsyncConnection) -> None:
            await connection.execute(_INTERRUPT)
            await self._crashed(connection, await close_free_orphans(connection))

        settled = []
        for orphan in await self._database.read(look):
            charge = await self._settle(orphan)
            if charge is not None:
                settled.append((str(orphan.request_id), charge))
        # Last: a request that may be made again must find everything charged that its first attempt was to be.
        await self._database.write(interrupt)
        return settled

    async def forget(self, before: datetime) -> int:
        async def drop(connection: AsyncConnection) -> int:
            await connection.execute(_FORGET_SERVERS, {"before": before})
            return (await connection.execute(_FORGET_REQUESTS, {"before": before})).rowcount

        return await self._database.write(drop)

    async def _settle(self, orphan: Row[Any]) -> int | None:
        """The micro-credits charged; None where somebody else was first, or its server came back."""
        ref = HoldRef(orphan.id, orphan.org_id, orphan.key_id, orphan.request_id)
        at = self._clock.now()

        async def step(connection: AsyncConnection) -> int | None:
            row = (await connection.execute(LOCK_HOLD, {"hold": orphan.id})).one()
            if row.charged is not None or row.owner != orphan.owner:
                return None
            charge = min(row.earned, row.amount)
            done = Usage(orphan.request_id, orphan.surface, row.units) if row.units else None
            await self._crashed(connection, await close_by_hold(connection, orphan.id, charge, RoomEnd.CRASHED))
            await settle(connection, ref, row.amount, charge, done, at, swept=True)
            return int(charge)

        charge = await self._database.write(step)
        if charge is not None:
            _log.warning("orphaned_hold_settled", hold_id=ref.id, request_id=ref.request_id, charge=charge)
        return charge

    async def _crashed(self, connection: AsyncConnection, sessions: Sequence[str]) -> None:
        for session in sessions if self._notify else ():
            await note(connection, session, Happened.ENDED, self._clock.now())
