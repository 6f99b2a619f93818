"""What was delivered, page by page."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.books import UsageQuery, UsageRow
from voxgate.store.database import Database
from voxgate.store.schema import organizations, usage

_row = usage.c


class SqlUsage:
    """`books.UsageStore` on the database. Pages are cut by (at, id), which an index per organization keeps in order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, query: UsageQuery, *, limit: int, after: str | None = None, oldest_first: bool = False
    ) -> Sequence[UsageRow] | None:
        wanted: list[Any] = []
        if query.org_id is not None:
            wanted.append(_row.org_id == query.org_id)
        if query.request_id is not None:
            wanted.append(_row.request_id == query.request_id)
        if query.since is not None:
            wanted.append(_row.at >= query.since)
        if query.until is not None:
            wanted.append(_row.at < query.until)
        order = (_row.at, _row.id) if oldest_first else (_row.at.desc(), _row.id.desc())
        whose = [] if query.org_id is None else [_row.org_id == query.org_id]
        # A request with several rows is left behind with the last of them.
        last = (_row.at.desc(), _row.id.desc()) if oldest_first else (_row.at, _row.id)
        mark = (
            select(_row.at, _row.id)
            .where(*whose, or_(_row.uid == after, _row.request_id == after))
            .order_by(*last)
            .limit(1)
        )

        async def look(connection: AsyncConnection) -> Sequence[Row[Any]] | None:
            beyond = list(wanted)
            if after is not None:
                found = (await connection.execute(mark)).one_or_none()
                if found is None:
                    return None
                beyond.append(
                    or_(_row.at > found.at, and_(_row.at == found.at, _row.id > found.id))
                    if oldest_first
                    else or_(_row.at < found.at, and_(_row.at == found.at, _row.id < found.id))
                )
            rows = (
                select(usage, organizations.c.name)
                .join_from(usage, organizations)
                .where(*beyond)
                .order_by(*order)
                .limit(limit)
            )
            return (await connection.execute(rows)).all()

        rows = await self._database.read(look)
        return None if rows is None else [_read(row) for row in rows]


def _read(row: Row[Any]) -> UsageRow:
    return UsageRow(
        id=row.uid,
        org_name=row.name,
        key_id=row.key_id,
        request_id=row.request_id,
        surface=row.surface,
        units=row.units,
        amount=row.amount,
        at=row.at,
    )
