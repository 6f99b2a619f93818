import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voxgate.calls import EndReason, Latency, Outcome, Stage, TurnRecord
from voxgate.domain import Principal
from voxgate.records import Entry, SessionClosed, SessionOpened
from voxgate.store.database import Database
from voxgate.store.sessions import SqlSessions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TURN = TurnRecord(
    call="sess_1",
    turn=1,
    reply=1,
    ended_at=NOON,
    ended_by="cue",
    heard="What time is it?",
    language="en",
    purpose="answer",
    text="It is five. Anything else?",
    spoken="It is five.",
    reply_language="en",
    outcome=Outcome.CUT,
    latency=Latency(endpointing=Stage(0, 212.5), stt_final=Stage(-31.25, 208), wire=Stage(400, 405)),
    speech_ms=1460,
    played_ms=3_000_000_000,  # over 24 days: more than 32 bits
    suspected=2,
    guessed=True,
    discarded=1,
)


@pytest.fixture
def store(database: Database) -> SqlSessions:
    return SqlSessions(database)


@pytest.fixture
def opened(who: Principal) -> SessionOpened:
    return SessionOpened(
        id="sess_1",
        org_id=who.org_id,
        key_id=who.key_id,
        surface="agent",
        voice="aria",
        language=None,
        started_at=NOON - timedelta(seconds=2),
    )


def closed(session: str, at: datetime) -> SessionClosed:
    return SessionClosed(session, EndReason.CLIENT, at)


async def test_what_is_kept_is_read_as_it_was(store: SqlSessions, opened: SessionOpened) -> None:
    greeting = replace(TURN, turn=0, reply=1, ended_by=None, heard="", outcome=Outcome.HEARD, latency=Latency())
    answer = replace(TURN, reply=2)
    assert await store.keep([opened, greeting]) == 0
    assert await store.keep([answer, closed("sess_1", NOON + timedelta(minutes=1))]) == 0
    found = await store.turns("sess_1")
    assert found is not None
    kept, turns = found
    assert list(turns) == [greeting, answer]
    assert (kept.opened, kept.org_name, kept.turns) == (opened, "acme", 2)
    assert (kept.ended_at, kept.reason) == (NOON + timedelta(minutes=1), EndReason.CLIENT)


async def test_a_session_that_goes_on_has_no_end(store: SqlSessions, opened: SessionOpened) -> None:
    await store.keep([replace(opened, language="vi")])
    found = await store.turns("sess_1")
    assert found is not None
    assert (found[0].ended_at, found[0].reason, found[0].opened.language, list(found[1])) == (None, None, "vi", [])
    assert await store.turns("sess_2") is None


async def test_what_is_written_twice_is_there_once(store: SqlSessions, opened: SessionOpened) -> None:
    end = closed("sess_1", NOON)
    for _ in range(2):
        assert await store.keep([opened, TURN, end]) == 0
    assert await store.keep([closed("sess_1", NOON + timedelta(hours=1))]) == 0
    found = await store.turns("sess_1")
    assert found is not None
    assert (found[0].turns, found[0].ended_at) == (1, NOON)


async def test_lines_of_a_session_that_was_erased_are_left_out(store: SqlSessions, opened: SessionOpened) -> None:
    await store.keep([opened, TURN, replace(opened, id="sess_2")])
    assert await store.erase("sess_1") is True
    assert await store.erase("sess_1") is False
    late: list[Entry] = [replace(TURN, reply=2), replace(TURN, call="sess_2")]
    assert await store.keep([*late, closed("sess_1", NOON), closed("sess_2", NOON)]) == 2
    assert await store.turns("sess_1") is None
    assert [(kept.opened.id, kept.turns) for kept in await store.sessions(limit=9)] == [("sess_2", 1)]


async def test_a_session_is_erased_with_its_turns_while_it_is_written(
    store: SqlSessions, opened: SessionOpened
) -> None:
    await store.keep([opened])
    left_out, erased = await asyncio.gather(
        store.keep([replace(TURN, reply=n) for n in range(1, 100)]), store.erase("sess_1")
    )
    assert erased is True
    assert left_out in (0, 99)
    assert await store.turns("sess_1") is None


async def test_text_that_a_database_cannot_hold_is_kept_as_far_as_it_can(
    store: SqlSessions, opened: SessionOpened
) -> None:
    odd = replace(TURN, heard="a\0b", text="half \ud800 a pair", spoken="\U0001f600 ể")
    await store.keep([opened, odd])
    found = await store.turns("sess_1")
    assert found is not None
    (turn,) = found[1]
    assert (turn.heard, turn.text, turn.spoken) == ("ab", "half ? a pair", "\U0001f600 ể")


async def test_the_old_is_erased_turn_by_turn_and_then_the_sessions(store: SqlSessions, opened: SessionOpened) -> None:
    long = [replace(TURN, reply=n, ended_at=NOON + timedelta(hours=n)) for n in range(1, 4)]
    over = replace(opened, id="sess_2")
    await store.keep([opened, *long, over, replace(TURN, call="sess_2"), closed("sess_2", NOON)])
    assert await store.erase_before(NOON - timedelta(hours=1), limit=100) == 0

    assert await store.erase_before(NOON + timedelta(hours=2), limit=100) == 3, "two turns, and a session"
    found = await store.turns("sess_1")
    assert found is not None
    assert [turn.reply for turn in found[1]] == [2, 3], "erased is what ended before, not at, the moment"
    assert await store.turns("sess_2") is None

    assert await store.erase_before(NOON + timedelta(days=2), limit=100) == 3
    assert await store.sessions(limit=9) == []


async def test_a_session_that_ended_later_stays_for_its_own_time(store: SqlSessions, opened: SessionOpened) -> None:
    await store.keep([opened, closed("sess_1", NOON + timedelta(hours=2))])
    assert await store.erase_before(NOON + timedelta(hours=1), limit=100) == 0
    assert await store.erase_before(NOON + timedelta(hours=3), limit=100) == 1


async def test_no_more_is_erased_at_once_than_was_said(store: SqlSessions, opened: SessionOpened) -> None:
    await store.keep([opened, *(replace(TURN, reply=n) for n in range(1, 6))])
    later = NOON + timedelta(days=1)
    assert [await store.erase_before(later, limit=2) for _ in range(3)] == [2, 2, 2], "with the session in the third"
    assert await store.erase_before(later, limit=2) == 0


async def test_sessions_are_listed_newest_first(store: SqlSessions, opened: SessionOpened) -> None:
    await store.keep([replace(opened, id=f"sess_{n}", started_at=NOON + timedelta(minutes=n)) for n in range(1, 5)])
    assert [kept.opened.id for kept in await store.sessions(limit=2)] == ["sess_4", "sess_3"]
    older = await store.sessions(org_name="acme", before=NOON + timedelta(minutes=3), limit=9)
    assert [kept.opened.id for kept in older] == ["sess_2", "sess_1"]
    assert await store.sessions(org_name="another", limit=9) == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_what_is_erased_is_not_in_the_file_any_more(
    url: str, database: Database, store: SqlSessions, opened: SessionOpened
) -> None:
    secret = "the number of my card is forty-two"
    files = sorted(Path(url.removeprefix("sqlite:///")).parent.glob("test.db*"))
    await store.keep([opened, replace(TURN, heard=secret * 300), closed("sess_1", NOON)])
    assert any(secret.encode() in file.read_bytes() for file in files)
    assert await store.erase("sess_1") is True
    await database.aclose()  # folds the write-ahead log into the file
    assert all(secret.encode() not in file.read_bytes() for file in files if file.exists())


def test_records_keep_what_was_said_out_of_their_repr() -> None:
    assert "What time" not in repr(TURN)
    assert "five" not in repr(TURN)
