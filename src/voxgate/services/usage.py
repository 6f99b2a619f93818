"""What was delivered and what it cost, for customers and for whoever writes the bills."""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from voxgate.books import UsageQuery, UsageRow, UsageStore
from voxgate.errors import PeerError
from voxgate.services.billing import to_credits

PAGE = 100
"""Rows of a page where the client names no number."""

LARGEST_PAGE = 1000

_EXPORTED = ("at", "org", "key", "request_id", "surface", "units", "credits", "id")
_NAME = re.compile(r"[\w.:-]{1,128}")


def parse_query(values: dict[str, str], *, org_id: str) -> tuple[UsageQuery, int, str | None]:
    """The query string of `GET /v1/usage` as (what is wanted, rows of a page, the row to go on behind).

    Raises PeerError naming the parameter, also for one that there is not.
    """
    for name in values:
        if name not in ("request_id", "from", "to", "after", "limit"):
            raise PeerError(f"there is no parameter {name[:40]!r}", param=name[:40])
    for name in ("request_id", "after"):
        if name in values and _NAME.fullmatch(values[name]) is None:
            raise PeerError(f"{name!r} is no id", param=name)
    query = UsageQuery(
        org_id=org_id,
        request_id=values.get("request_id"),
        since=_moment(values, "from"),
        until=_moment(values, "to"),
    )
    check_order(query)
    limit = values.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= LARGEST_PAGE):
        raise PeerError(f"'limit' must be a whole number from 1 to {LARGEST_PAGE}", param="limit")
    return query, int(limit), values.get("after")


def parse_moment(text: str, *, param: str) -> datetime:
    """A date, or a date and time, of ISO 8601; UTC where no offset is named. Raises PeerError."""
    try:
        moment = datetime.fromisoformat(text)
        # Refuses what lies so near the ends of the calendar that UTC cannot say it.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PeerError(
            f"{param!r} must be a date or a time of ISO 8601: 2026-11-21, 2026-11-21T09:30:00Z; a plus sign in a query "
            "is written %2B",
            param=param,
        ) from None


def check_order(query: UsageQuery) -> None:
    """Refuse a span that ends before it begins. Raises PeerError."""
    if query.since is not None and query.until is not None and query.until < query.since:
        raise PeerError("'to' lies before 'from'", param="to")


def _moment(values: dict[str, str], param: str) -> datetime | None:
    return parse_moment(values[param], param=param) if param in values else None


class UsageReports:
    """Pages for customers, and the whole for the operator."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store

    async def page(self, query: UsageQuery, limit: int, after: str | None) -> tuple[Sequence[UsageRow], bool]:
        """(at most `limit` rows, newest first; whether there are more). Raises PeerError for an unknown `after`."""
        rows = await self._store.page(query, limit=limit + 1, after=after)
        if rows is None:
            raise PeerError("'after' is no row of this organization's usage", param="after")
        return rows[:limit], len(rows) > limit

    async def csv(self, query: UsageQuery) -> AsyncIterator[str]:
        """Every row as lines of CSV, oldest first, the headings before them."""
        yield _csv([_EXPORTED])
        after = None
        while rows := await self._store.page(query, limit=LARGEST_PAGE, after=after, oldest_first=True):
            yield _csv([_line(row) for row in rows])
            after = rows[-1].id


def _line(row: UsageRow) -> list[str]:
    units = " ".join(f"{name}={number}" for name, number in sorted(row.units.items()))
    return [
        row.at.isoformat(),
        row.org_name,
        row.key_id,
        row.request_id,
        row.surface,
        units,
        to_credits(row.amount),
        row.id,
    ]


def _csv(lines: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def shown(row: UsageRow) -> dict[str, Any]:
    """The row as `GET /v1/usage` says it, but for its credits, which are decimal text."""
    return {
        "id": row.id,
        "request_id": row.request_id,
        "surface": row.surface,
        "units": dict(row.units),
        "credits": to_credits(row.amount),
        "at": row.at.isoformat().replace("+00:00", "Z"),
    }
