import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate
from tests.store.kept_rooms import BOT, opened
from tests.store.talk import turn
from voxgate.calls import Outcome
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier
from voxgate.records import SessionOpened
from voxgate.rooms import Lived, RoomEnd
from voxgate.services import rooms as service
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms
from voxgate.store.sessions import SqlSessions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CREDIT = 1_000_000
FIRST, SECOND = (f"ext-vb-{BOT}-{number:012x}" for number in (1, 2))


@pytest.fixture
def kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session that is over, and a later one whose server does not answer any more."""
    monkeypatch.setattr(service, "OTHERS_S", 0.2)

    async def work() -> None:
        clock = FakeClock(NOON)
        database = await Database.open(f"sqlite:///{here / 'data' / 'voxgate.db'}")
        await database.upgrade()
        added = await SqlAccounts(database, clock).add_key(
            "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=9 * CREDIT, label="", expires_at=None
        )
        assert added is not None
        who = Principal(added[1].id, added[0].id, "acme", Tier.FREE)
        ledger = SqlLedger(database, clock)
        rooms = SqlRooms(database, clock, ledger)
        over = await opened(rooms, who, clock, 1, price=CREDIT)
        await over.extend(2 * CREDIT)
        await over.close(RoomEnd.LEFT, NOON + timedelta(seconds=61), Lived(61_000, 2, 2 * CREDIT))
        clock.advance(60)
        await opened(rooms, who, clock, 2, price=CREDIT)
        await SqlSessions(database).keep(
            [
                SessionOpened("sess_1", who.org_id, who.key_id, "rooms", "alloy", None, NOON),
                turn("sess_1", 1, "Hello\x1b[2J", text="Hi there", spoken="Hi", outcome=Outcome.CUT, at=NOON),
            ]
        )
        await database.aclose()

    (here / "data").mkdir()
    asyncio.run(work())
    return here


@pytest.mark.usefixtures("kept")
def test_sessions_are_listed_newest_first(voxgate: Voxgate) -> None:
    lines = [line.split("\t") for line in voxgate("rooms", "list").stdout.splitlines()]
    assert lines == [
        [SECOND, "acme", "2026-01-01T12:01:00+00:00", "", "0", "1", "1"],
        [FIRST, "acme", "2026-01-01T12:00:00+00:00", "left", "61", "2", "2"],
    ]
    assert voxgate("rooms", "list", "--live").stdout.split("\t")[0] == SECOND
    assert voxgate("rooms", "list", "--org", "nobody").stdout == ""
    (listed, _) = json.loads(voxgate("rooms", "list", "--json").stdout)
    assert (listed["room"], listed["org"], listed["credits"], listed["end_reason"]) == (SECOND, "acme", "1", None)


@pytest.mark.usefixtures("kept")
def test_a_session_is_shown_with_what_was_said(voxgate: Voxgate) -> None:
    assert voxgate("rooms", "show", FIRST).stdout == (
        f"{FIRST} ended (left): 61 s, 2 min, 2 credits\n> Hello [2J\n< Hi …\n"
    )
    shown = json.loads(voxgate("rooms", "show", FIRST, "--json").stdout)
    assert [(line["role"], line["content"]) for line in shown["messages"]] == [
        ("user", "Hello\x1b[2J"),
        ("assistant", "Hi"),
    ]


@pytest.mark.usefixtures("kept")
def test_a_session_whose_server_does_not_answer_is_ended_in_its_place(voxgate: Voxgate) -> None:
    for _ in range(2):
        assert voxgate("rooms", "end", SECOND).stdout == f"{SECOND} ended (requested): 0 s, 1 min, 1 credits\n"
    assert json.loads(voxgate("rooms", "end", SECOND, "--json").stdout)["minutes"] == 1
    assert voxgate("credits", "show").stdout == "acme\tfree\t6\t0\n", "nine, less two and one"


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("command", ["show", "end"])
def test_an_unknown_room_is_an_error(voxgate: Voxgate, command: str) -> None:
    ran = voxgate("rooms", command, "lobby")
    assert (ran.exit_code, "there is no session 'lobby'" in ran.stderr) == (2, True)
