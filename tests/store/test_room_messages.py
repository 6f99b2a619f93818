from datetime import timedelta

from tests.store.talk import turn
from voxgate.calls import Outcome
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.records import SessionOpened
from voxgate.store.database import Database
from voxgate.store.rooms import SqlRooms
from voxgate.store.sessions import SqlSessions


async def test_turns_are_read_as_messages(
    rooms: SqlRooms, database: Database, who: Principal, clock: FakeClock
) -> None:
    records = SqlSessions(database)
    at = clock.now()
    await records.keep(
        [
            SessionOpened("sess_1", who.org_id, who.key_id, "rooms", "alloy", None, at),
            turn("sess_1", 1, "", text="Hello!", at=at),
            turn("sess_1", 2, "Tell me", text="All of it, at length", spoken="All of", outcome=Outcome.CUT, at=at),
            turn("sess_1", 3, "Stop", text="", spoken="", outcome=Outcome.FAILED, at=at),
        ]
    )
    page, total = await rooms.messages("sess_1", limit=50, offset=0)
    assert total == 4
    assert [(line.role, line.content, line.interrupted) for line in page] == [
        ("assistant", "Hello!", False),
        ("user", "Tell me", False),
        ("assistant", "All of", True),
        ("user", "Stop", False),
    ]
    assert len({line.id for line in page}) == 4
    assert (page[1].created_at, page[2].created_at) == (at, at + timedelta(milliseconds=700))
    assert await rooms.messages("sess_1", limit=2, offset=1) == (page[1:3], 4)
    assert await rooms.messages("sess_1", limit=2, offset=9) == ([], 4)
    assert await rooms.erase_messages("sess_1") == 3
    assert await rooms.messages("sess_1", limit=2, offset=0) == ([], 0)
    await records.keep([turn("sess_1", 4, "Again", text="Yes", at=at)])
    assert (await rooms.messages("sess_1", limit=2, offset=0))[1] == 2, "a call that goes on is recorded on"
