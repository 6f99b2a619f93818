import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from voxgate.calls import EndReason, Latency, Outcome, TurnRecord
from voxgate.clock import FakeClock
from voxgate.errors import MisuseError, StoreError
from voxgate.records import Entry, KeptSession, SessionClosed, SessionOpened
from voxgate.services import transcripts
from voxgate.services.transcripts import Transcripts, TranscriptSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SESSION = SessionOpened("sess_1", "org_1", "key_1", "agent", "aria", None, NOON)
TURN = TurnRecord(
    call="sess_1",
    turn=1,
    reply=1,
    ended_at=NOON,
    ended_by="silence",
    heard="swordfish",
    language="en",
    purpose="answer",
    text="",
    spoken="",
    reply_language="en",
    outcome=Outcome.HEARD,
    latency=Latency(),
    speech_ms=1,
    played_ms=1,
    suspected=0,
    guessed=False,
    discarded=0,
)


class Store:
    """A `records.SessionStore` that remembers what it was asked for."""

    def __init__(self) -> None:
        self.kept: list[Entry] = []
        self.sizes: list[int] = []
        self.refuses: Callable[[Entry], Exception | None] = lambda _entry: None
        self.old = 0
        """How many rows are too old."""
        self.moments: list[datetime] = []
        self.wrote = asyncio.Event()

    async def keep(self, entries: Sequence[Entry]) -> int:
        self.sizes.append(len(entries))
        self.wrote.set()
        for entry in entries:
            if error := self.refuses(entry):
                raise error
        self.kept += entries
        return 0

    async def erase_before(self, moment: datetime, *, limit: int) -> int:
        self.moments.append(moment)
        gone = min(limit, self.old)
        self.old -= gone
        return gone

    async def erase(self, session: str) -> bool:
        raise NotImplementedError

    async def sessions(
        self, *, org_name: str | None = None, before: datetime | None = None, limit: int
    ) -> Sequence[KeptSession]:
        raise NotImplementedError

    async def turns(self, session: str) -> tuple[KeptSession, Sequence[TurnRecord]] | None:
        raise NotImplementedError


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


def service(store: Store, clock: FakeClock, *, keep_days: int = 30, queue: int = 100) -> Transcripts:
    return Transcripts(store, clock, TranscriptSettings(keep_days=keep_days, queue=queue))


async def test_a_call_is_written_from_its_beginning_to_its_end(store: Store, clock: FakeClock) -> None:
    record = service(store, clock)
    record.open(SESSION)
    record.turn(TURN)
    clock.advance(9)
    for _ in range(2):
        record.close("sess_1", EndReason.LOST)
    record.turn(replace(TURN, reply=2))
    assert store.kept == [], "nobody waits for the database"
    assert await record.flush() is True
    assert store.kept == [SESSION, TURN, SessionClosed("sess_1", EndReason.LOST, NOON + timedelta(seconds=9))]


async def test_nothing_is_stored_where_nothing_is_to_be_kept(store: Store, clock: FakeClock) -> None:
    record = service(store, clock, keep_days=0)
    record.open(SESSION)
    record.turn(TURN)
    record.close("sess_1", EndReason.CLIENT)
    await record.aclose()
    assert store.sizes == []
    await record.sweep()
    assert store.moments == [NOON], "and what was stored before is erased"


async def test_what_a_database_did_not_take_is_written_later(store: Store, clock: FakeClock) -> None:
    record = service(store, clock)
    store.refuses = lambda _entry: StoreError("the database is busy", retry_after_s=1)
    record.open(SESSION)
    with capture_logs() as logs:
        assert await record.flush() is False
    assert logs == [
        {"event": "transcripts_not_kept", "log_level": "warning", "waiting": 1, "error": "the database is busy"}
    ]
    store.refuses = lambda _entry: None
    record.turn(TURN)
    assert await record.flush() is True
    assert store.kept == [SESSION, TURN]


async def test_what_does_not_fit_into_the_queue_is_lost_and_counted(store: Store, clock: FakeClock) -> None:
    record = service(store, clock, queue=2)
    record.open(SESSION)
    record.turn(TURN)
    record.turn(replace(TURN, reply=2))
    record.open(replace(SESSION, id="sess_2"))
    record.turn(replace(TURN, call="sess_2"))
    record.close("sess_1", EndReason.CLIENT)
    with capture_logs() as logs:
        assert await record.flush() is True
        assert await record.flush() is True
    assert store.kept == [SESSION, TURN, SessionClosed("sess_1", EndReason.CLIENT, NOON)]
    assert [(line["event"], line["lines"]) for line in logs] == [("transcripts_lost", 2)]
    assert "swordfish" not in str(logs)


async def test_one_line_that_is_refused_takes_no_other_with_it(store: Store, clock: FakeClock) -> None:
    record = service(store, clock)
    store.refuses = lambda entry: (
        MisuseError("the database refused a row") if isinstance(entry, TurnRecord) and entry.reply == 2 else None
    )
    record.open(SESSION)
    for reply in (1, 2, 3):
        record.turn(replace(TURN, reply=reply))
    with capture_logs() as logs:
        assert await record.flush() is True
    assert store.kept == [SESSION, TURN, replace(TURN, reply=3)]
    assert logs == [
        {
            "event": "transcript_refused",
            "log_level": "error",
            "kind": "TurnRecord",
            "error": "the database refused a row",
        }
    ], "without a traceback, whose causes may repeat what was said"


async def test_no_transaction_is_long(store: Store, clock: FakeClock) -> None:
    record = service(store, clock, queue=1000)
    record.open(SESSION)
    for reply in range(449):
        record.turn(replace(TURN, reply=reply))
    await record.flush()
    assert store.sizes == [200, 200, 50]


async def test_what_is_too_old_is_erased_bit_by_bit(store: Store, clock: FakeClock) -> None:
    store.old = 450
    assert await service(store, clock, keep_days=7).sweep() == 450
    assert store.moments == [NOON - timedelta(days=7)] * 3


async def test_it_runs_until_it_is_cancelled(store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "_GATHER_S", 0)
    monkeypatch.setattr(transcripts, "_RETRY_S", 0)
    monkeypatch.setattr(transcripts, "_SWEEP_S", 0.001)
    failures = [StoreError("the database does not answer", retry_after_s=1)] * 3
    store.refuses = lambda _entry: failures.pop() if failures else None
    store.old = 1
    record = service(store, clock)
    running = asyncio.create_task(record.run())
    record.open(SESSION)
    async with asyncio.timeout(10):
        while not store.kept:
            store.wrote.clear()
            await store.wrote.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert store.kept == [SESSION]
    assert store.sizes == [1, 1, 1, 1]
    assert store.old == 0


async def test_a_sweep_that_failed_is_tried_again(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcripts, "_SWEEP_S", 0.001)
    tries = 0
    again = asyncio.Event()

    async def fail(moment: datetime, *, limit: int) -> int:
        nonlocal tries
        tries += 1
        if tries == 2:
            again.set()
        raise StoreError("the database does not answer", retry_after_s=1)

    monkeypatch.setattr(store, "erase_before", fail)
    with capture_logs() as logs:
        running = asyncio.create_task(service(store, clock).run())
        async with asyncio.timeout(10):
            await again.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert logs[0]["event"] == "transcripts_not_erased"


async def test_what_could_not_be_written_at_the_end_is_told(store: Store, clock: FakeClock) -> None:
    record = service(store, clock)
    store.refuses = lambda _entry: StoreError("the database does not answer", retry_after_s=1)
    record.open(SESSION)
    with capture_logs() as logs:
        await record.aclose()
    assert logs[-1] == {"event": "transcripts_lost", "log_level": "error", "lines": 1}


@pytest.mark.parametrize("settings", [{"keep_days": -1}, {"keep_days": 1.5}, {"keep_days": 36501}, {"queue": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TranscriptSettings.model_validate(settings)
