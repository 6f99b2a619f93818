"""Requests with an Idempotency-Key: each begun once, its answer or what it cost remembered."""

from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.books import Earlier, KeptAnswer, State
from voxgate.clock import Clock
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.schema import holds, idempotency, usage

_row = idempotency.c
_MINE = (_row.org_id == bindparam("org"), _row.key == bindparam("key_digest"))
_LOCK = select(idempotency).where(*_MINE).with_for_update()
_PAID = select(func.coalesce(func.sum(usage.c.amount), 0)).where(
    usage.c.org_id == bindparam("org"), usage.c.request_id == bindparam("billed")
)
_OPEN_HOLD = (
    select(holds.c.id)
    .where(holds.c.settled_at.is_(None), holds.c.org_id == bindparam("org"), holds.c.request_id == bindparam("billed"))
    .limit(1)
)
_RUN = update(idempotency).where(*_MINE).values(state=State.RUNNING, attempt=bindparam("by"), owner=bindparam("server"))
# Only by the attempt that runs: one that was taken for dead must not end its successor.
_ENDING = (*_MINE, _row.attempt == bindparam("by"), _row.state == State.RUNNING)
_FINISH = (
    update(idempotency)
    .where(*_ENDING)
    .values(
        state=State.DONE,
        status=bindparam("answer_status"),
        headers=bindparam("answer_headers", type_=_row.headers.type),
        body=bindparam("answer_body", type_=_row.body.type),
    )
)
_INTERRUPT = update(idempotency).where(*_ENDING).values(state=State.INTERRUPTED)
_FORGET = delete(idempotency).where(*_ENDING)


class SqlIdempotency:
    """`books.IdempotencyStore` on the database. What runs belongs to the server that the ledger speaks for."""

    def __init__(self, database: Database, clock: Clock, ledger: SqlLedger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        insert_new: Any = (sqlite if database.dialect == "sqlite" else postgresql).insert
        self._insert = insert_new(idempotency).on_conflict_do_nothing().returning(_row.key)

    async def begin(self, org_id: str, key: str, fingerprint: str, attempt: str) -> Earlier | None:
        async def step(connection: AsyncConnection) -> Earlier | None:
            new = {
                "org_id": org_id,
                "key": key,
                "fingerprint": fingerprint,
                "request_id": attempt,
                "state": State.RUNNING,
                "attempt": attempt,
                "owner": self._ledger.owner,
                "created_at": self._clock.now(),
            }
            if await connection.scalar(self._insert, new) is not None:
                return None
            row = (await connection.execute(_LOCK, {"org": org_id, "key_digest": key})).one()
            billed = {"org": org_id, "billed": row.request_id}
            state = State(row.state)
            if state is State.INTERRUPTED and await connection.scalar(_OPEN_HOLD, billed) is not None:
                state = State.RUNNING  # what it is to be charged is not posted yet
            paid = int(await connection.scalar(_PAID, billed) or 0)
            if state is State.INTERRUPTED and row.fingerprint == fingerprint:
                await connection.execute(
                    _RUN, {"org": org_id, "key_digest": key, "by": attempt, "server": self._ledger.owner}
                )
            return Earlier(state, row.fingerprint, row.request_id, paid, _kept(row))

        return await self._database.write(step)

    async def finish(self, org_id: str, key: str, attempt: str, answer: KeptAnswer | None) -> None:
        kept: dict[str, object] = {
            "answer_status": answer.status if answer else None,
            "answer_headers": dict(answer.headers) if answer else {},
            "answer_body": answer.body if answer else None,
        }
        await self._end(_FINISH, org_id, key, attempt, kept)

    async def interrupt(self, org_id: str, key: str, attempt: str) -> None:
        await self._end(_INTERRUPT, org_id, key, attempt, {})

    async def forget(self, org_id: str, key: str, attempt: str) -> None:
        await self._end(_FORGET, org_id, key, attempt, {})

    async def _end(self, statement: Any, org_id: str, key: str, attempt: str, values: dict[str, object]) -> None:
        async def step(connection: AsyncConnection) -> None:
            await connection.execute(statement, {"org": org_id, "key_digest": key, "by": attempt, **values})

        await self._database.write(step)


def _kept(row: Row[Any]) -> KeptAnswer | None:
    return None if row.body is None else KeptAnswer(row.status, row.headers, row.body)
