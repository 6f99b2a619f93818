import re

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.store.kept_rooms import FIRST, opened
from voxgate.books import Audited
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Usage
from voxgate.rooms import RoomEnd
from voxgate.store.audit import SqlAudit
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms

DONE = Usage("req_1", "speech", {"audio_ms": 5})


@pytest.fixture
def audit(database: Database) -> SqlAudit:
    return SqlAudit(database)


@pytest.fixture
async def worked(ledger: SqlLedger, who: Principal) -> None:
    """A settled hold that was extended, one given back whole, one open, and free work."""
    hold = await ledger.hold(who, 10, request_id="req_1", surface="speech")
    await hold.extend(30)
    await hold.settle(12, DONE)
    void = await ledger.hold(who, 10, request_id="req_2", surface="chat")
    await void.settle(0, None)
    await ledger.hold(who, 5, request_id="req_3", surface="speech")
    await ledger.record(who, Usage("req_4", "chat", {"tokens": 1}))


@pytest.mark.usefixtures("worked")
async def test_books_that_are_right_agree_with_their_postings(audit: SqlAudit) -> None:
    report = await audit.audit()
    assert report.differences == ()
    assert report.organizations == (
        Audited(org_name="acme", postings=8, granted=1000, charged=12, available=983, held=5),
    )


@pytest.mark.usefixtures("worked")
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE organizations SET available = available + 1", r"acme: available is 984, the postings add up to 983"),
        ("UPDATE organizations SET held = held - 1", r"acme: held is 4, the postings add up to 5"),
        ("UPDATE holds SET amount = amount + 1 WHERE request_id = 'req_3'", r"hold \S+ of request req_3"),
        (
            "UPDATE holds SET charged = 13 WHERE request_id = 'req_1'",
            r"usage \S+ of request req_1: says 12, .* says 13",
        ),
        ("UPDATE usage SET amount = 11 WHERE request_id = 'req_1'", r"usage \S+ of request req_1: says 11, .* says 12"),
        (
            "UPDATE usage SET amount = 9 WHERE request_id = 'req_4'",
            r"usage \S+ of request req_4: cost 9 without",
        ),
        ("DELETE FROM usage WHERE request_id = 'req_1'", r"hold \S+ of request req_1: charged 12, without a usage row"),
        (
            "INSERT INTO postings (org_id, kind, amount, key, at) "
            "SELECT id, 'charge', 3, 'forged', created_at FROM organizations",
            r"posting \d+ \(charge of 3\): belongs to no hold",
        ),
    ],
)
async def test_every_kind_of_damage_is_found(database: Database, audit: SqlAudit, damage: str, found: str) -> None:
    async def do(connection: AsyncConnection) -> None:
        assert (await connection.execute(text(damage))).rowcount == 1

    await database.write(do)
    report = await audit.audit()
    assert any(re.match(found, each) for each in report.differences), report


@pytest.mark.usefixtures("worked")
async def test_every_posting_says_which_usage_it_belongs_to(audit: SqlAudit) -> None:
    rows = await audit.postings(None, after=0, limit=5)
    rest = await audit.postings("acme", after=rows[-1].id, limit=100)
    told = [(row.kind, row.amount, row.request_id, row.usage_id is not None) for row in (*rows, *rest)]
    assert told == [
        ("grant", 1000, None, False),
        ("hold", 10, "req_1", True),
        ("hold", 20, "req_1", True),
        ("charge", 12, "req_1", True),
        ("release", 18, "req_1", True),
        ("hold", 10, "req_2", False),
        ("release", 10, "req_2", False),
        ("hold", 5, "req_3", False),
    ]
    assert await audit.postings("nobody", after=0, limit=9) == []


@pytest.mark.parametrize("damage", ["charged = charged + 1", "ended_at = NULL"])
async def test_sessions_agree_with_their_holds(
    database: Database, audit: SqlAudit, ledger: SqlLedger, who: Principal, clock: FakeClock, damage: str
) -> None:
    room = await opened(SqlRooms(database, clock, ledger), who, clock)
    await room.close(RoomEnd.LEFT, clock.now(), FIRST)
    assert (await audit.audit()).differences == ()

    async def do(connection: AsyncConnection) -> None:
        await connection.execute(text(f"UPDATE room_sessions SET {damage}"))

    await database.write(do)
    (difference,) = (await audit.audit()).differences
    assert difference.startswith(f"session in room {room.new.plan.room}: says 10")
