"""The books recomputed: every balance, every hold and every usage row against the postings.

The statements are SQL that SQLite and PostgreSQL read alike; each finds what should not be there.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.books import Audited, AuditReport, Posted
from voxgate.store.database import Database
from voxgate.store.schema import Kind, holds, organizations, postings, usage

_TOLD = 1000
"""Differences of a kind that are named; whoever has more has one cause."""

_SUMS = text("SELECT org_id, kind, count(*) AS number, sum(amount) AS total FROM postings GROUP BY org_id, kind")
_CARRIED = select(organizations.c.id, organizations.c.name, organizations.c.available, organizations.c.held).order_by(
    organizations.c.name
)

_CHECKS: Sequence[tuple[str, str]] = (
    (
        "hold {0} of request {1}: the postings set aside {2}, gave back {3} and charged {4}; the hold says {5} of {6}",
        """
        SELECT h.id, h.request_id,
               coalesce(sum(CASE p.kind WHEN 'hold' THEN p.amount END), 0) AS taken,
               coalesce(sum(CASE p.kind WHEN 'release' THEN p.amount END), 0) AS given,
               coalesce(sum(CASE p.kind WHEN 'charge' THEN p.amount END), 0) AS charged,
               coalesce(h.charged, 0) AS due, h.amount
        FROM holds h LEFT JOIN postings p ON p.hold_id = h.id
        GROUP BY h.id, h.request_id, h.charged, h.amount
        HAVING coalesce(sum(CASE p.kind WHEN 'hold' THEN p.amount END), 0) <> h.amount
            OR coalesce(sum(CASE p.kind WHEN 'charge' THEN p.amount END), 0) <> coalesce(h.charged, 0)
            OR coalesce(sum(CASE p.kind WHEN 'release' THEN p.amount END), 0)
               <> CASE WHEN h.charged IS NULL THEN 0 ELSE h.amount - h.charged END
        """,
    ),
    (
        "hold {0} of request {1}: charged {2}, without a usage row that says for what",
        """
        SELECT h.id, h.request_id, h.charged FROM holds h
        WHERE h.charged > 0 AND NOT EXISTS (SELECT 1 FROM usage u WHERE u.hold_id = h.id)
        """,
    ),
    (
        "usage {0} of request {1}: says {2}, its hold says {3}",
        """
        SELECT u.uid, u.request_id, u.amount, h.charged FROM usage u JOIN holds h ON h.id = u.hold_id
        WHERE h.charged IS NULL OR h.charged <> u.amount OR h.org_id <> u.org_id OR h.request_id <> u.request_id
        """,
    ),
    (
        "usage {0} of request {1}: cost {2} without a hold",
        "SELECT u.uid, u.request_id, u.amount FROM usage u WHERE u.hold_id IS NULL AND u.amount > 0",
    ),
    (
        "session in room {0}: says {1}, its hold says {2}, or only one of the two is open",
        """
        SELECT r.room, r.charged, h.charged FROM room_sessions r JOIN holds h ON h.id = r.hold_id
        WHERE (r.ended_at IS NULL) <> (h.settled_at IS NULL) OR (r.ended_at IS NOT NULL AND r.charged <> h.charged)
        """,
    ),
    (
        "posting {0} ({1} of {2}): belongs to no hold of its organization",
        """
        SELECT p.id, p.kind, p.amount FROM postings p LEFT JOIN holds h ON h.id = p.hold_id AND h.org_id = p.org_id
        WHERE (p.kind <> 'grant' AND h.id IS NULL) OR (p.kind = 'grant' AND p.hold_id IS NOT NULL)
        """,
    ),
)

_POSTINGS = (
    select(
        postings.c.id,
        postings.c.at,
        organizations.c.name.label("org_name"),
        postings.c.kind,
        postings.c.amount,
        postings.c.hold_id,
        postings.c.request_id,
        usage.c.uid.label("usage_id"),
        holds.c.surface,
    )
    .select_from(
        postings.join(organizations, organizations.c.id == postings.c.org_id)
        .outerjoin(holds, holds.c.id == postings.c.hold_id)
        .outerjoin(usage, usage.c.hold_id == postings.c.hold_id)
    )
    .where(
        postings.c.id > bindparam("behind"),
        or_(bindparam("everyone"), organizations.c.name == bindparam("org")),
    )
    .order_by(postings.c.id)
    .limit(bindparam("most"))
)


class SqlAudit:
    """`books.AuditStore` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def audit(self) -> AuditReport:
        return await self._database.snapshot(_audit)

    async def postings(self, org_name: str | None, *, after: int, limit: int) -> Sequence[Posted]:
        wanted = {"behind": after, "most": limit, "org": org_name or "", "everyone": org_name is None}

        async def look(connection: AsyncConnection) -> list[Posted]:
            return [Posted(**row) for row in (await connection.execute(_POSTINGS, wanted)).mappings()]

        return await self._database.read(look)


async def _audit(connection: AsyncConnection) -> AuditReport:
    sums: dict[str, dict[str, tuple[int, int]]] = {}
    for row in await connection.execute(_SUMS):
        sums.setdefault(row.org_id, {})[row.kind] = (row.number, int(row.total))
    organizations_seen, differences = [], []
    for org in await connection.execute(_CARRIED):
        found = sums.pop(org.id, {})
        grant, hold, release, charge = (found.get(kind, (0, 0))[1] for kind in (*Kind,))
        audited = Audited(
            org_name=org.name,
            postings=sum(number for number, _ in found.values()),
            granted=grant,
            charged=charge,
            available=grant - hold + release,
            held=hold - release - charge,
        )
        organizations_seen.append(audited)
        for what, carried, computed in (
            ("available", org.available, audited.available),
            ("held", org.held, audited.held),
        ):
            if carried != computed:
                differences.append(f"{org.name}: {what} is {carried}, the postings add up to {computed}")
    for sentence, query in _CHECKS:
        rows = await connection.execute(text(f"{query} LIMIT {_TOLD}"))
        differences.extend(sentence.format(*row) for row in rows)
    return AuditReport(tuple(organizations_seen), tuple(differences))
