import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate
from voxgate.calls import EndReason, Latency, Outcome, Stage, TurnRecord
from voxgate.clock import FakeClock
from voxgate.domain import Tier
from voxgate.records import SessionClosed, SessionOpened
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.sessions import SqlSessions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TURN = TurnRecord(
    call="sess_1",
    turn=1,
    reply=2,
    ended_at=NOON,
    ended_by="cue",
    heard="What time is it?",
    language="en",
    purpose="answer",
    text="It is five. Anything else?",
    spoken="It is five.",
    reply_language="en",
    outcome=Outcome.CUT,
    latency=Latency(wire=Stage(410, 412.25)),
    speech_ms=1460,
    played_ms=700,
    suspected=1,
    guessed=True,
    discarded=0,
)
GREETING = replace(
    TURN, turn=0, reply=1, ended_by=None, heard="", purpose="greeting", text="Hi!\x1b[2J", spoken="Hi!\x1b[2J",
    outcome=Outcome.HEARD, latency=Latency(),
)  # fmt: skip


@pytest.fixture
def kept(here: Path) -> Path:
    """A conversation of one organization that is over, and one of another that goes on."""

    async def work() -> None:
        clock = FakeClock(NOON)
        database = await Database.open(f"sqlite:///{here / 'data' / 'voxgate.db'}")
        await database.upgrade()
        for number, name in enumerate(("acme", "other"), 1):
            added = await SqlAccounts(database, clock).add_key(
                f"vg_{name:k<40}", org=name, tier=Tier.FREE, grant=1, label="", expires_at=None
            )
            assert added is not None
            opened = SessionOpened(
                f"sess_{number}", added[0].id, added[1].id, "agent", "aria", None, NOON + timedelta(minutes=number)
            )
            await SqlSessions(database).keep([opened])
        end = SessionClosed("sess_1", EndReason.CLIENT, NOON + timedelta(minutes=3))
        await SqlSessions(database).keep([GREETING, TURN, end])
        await database.aclose()

    (here / "data").mkdir()
    asyncio.run(work())
    return here


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("options", "listed"),
    [
        ([], ["sess_2", "sess_1"]),
        (["--limit", "1"], ["sess_2"]),
        (["--org", "acme"], ["sess_1"]),
        (["--org", "nobody"], []),
        (["--before", "2026-01-01T12:02Z"], ["sess_1"]),
    ],
)
def test_conversations_are_listed_newest_first(voxgate: Voxgate, options: list[str], listed: list[str]) -> None:
    ran = voxgate("sessions", "list", *options)
    assert ran.exit_code == 0
    assert [line.split("\t")[0] for line in ran.stdout.splitlines()] == listed


@pytest.mark.usefixtures("kept")
def test_a_line_of_the_list(voxgate: Voxgate) -> None:
    lines = voxgate("sessions", "list").stdout.splitlines()
    assert lines[0].split("\t") == ["sess_2", "other", "2026-01-01T12:02:00+00:00", "", "", "0"]
    assert lines[1].split("\t") == ["sess_1", "acme", "2026-01-01T12:01:00+00:00", "120", "client", "2"]


@pytest.mark.usefixtures("kept")
def test_a_conversation_is_shown_without_what_steers_a_terminal(voxgate: Voxgate) -> None:
    assert voxgate("sessions", "show", "sess_1").stdout == (
        "2026-01-01T12:00:00+00:00  greeting\n"
        "  < Hi! [2J\n"
        "2026-01-01T12:00:00+00:00  en, ended by cue\n"
        "  > What time is it?\n"
        "  < It is five. Anything else?  (412 ms, cut)\n"
        "    heard of it: It is five.\n"
    )


@pytest.mark.usefixtures("kept")
def test_scripts_get_everything_there_is(voxgate: Voxgate) -> None:
    shown = json.loads(voxgate("sessions", "show", "sess_1", "--json").stdout)
    assert (shown["org"], shown["voice"], shown["end_reason"], shown["turn_count"]) == ("acme", "aria", "client", 2)
    turn = shown["turns"][1]
    assert turn["heard"] == "What time is it?"
    assert turn["latency"] == {"wire": {"start_ms": 410.0, "end_ms": 412.25}}
    assert turn["total_ms"] == 412.25
    assert turn["ended_at"] == "2026-01-01T12:00:00+00:00"
    listed = json.loads(voxgate("sessions", "list", "--json").stdout)
    assert [each["session"] for each in listed] == ["sess_2", "sess_1"]
    assert "turns" not in listed[0]


@pytest.mark.usefixtures("kept")
def test_a_conversation_is_erased_for_good(voxgate: Voxgate) -> None:
    assert voxgate("sessions", "erase", "sess_1").stdout == "sess_1 is erased\n"
    for verb in ("show", "erase"):
        again = voxgate("sessions", verb, "sess_1")
        assert again.exit_code == 2
        assert again.stderr == "voxgate: there is no session 'sess_1' on record\n"
    assert [line.split("\t")[0] for line in voxgate("sessions", "list").stdout.splitlines()] == ["sess_2"]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("options", [["--before", "yesterday"], ["--limit", "0"]])
def test_options_that_make_no_sense_are_refused(voxgate: Voxgate, options: list[str]) -> None:
    ran = voxgate("sessions", "list", *options)
    assert ran.exit_code == 2
    assert options[0].lstrip("-") in ran.stderr
