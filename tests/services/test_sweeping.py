from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from voxgate.books import Earlier, KeptAnswer, Owner
from voxgate.clock import FakeClock
from voxgate.errors import StoreError
from voxgate.services.idempotency import Idempotency
from voxgate.services.sweeping import LedgerSettings, Sweeper, Watch

SETTINGS = LedgerSettings(heartbeat_s=5, orphaned_after_s=30)


def test_a_server_is_silent_once_its_beats_stood_still_for_the_whole_patience() -> None:
    watch = Watch(30)
    assert watch.silent([Owner("a", 7, False)], 100) == []
    assert watch.silent([Owner("a", 7, False)], 129.9) == []
    assert watch.silent([Owner("a", 7, False)], 130) == [Owner("a", 7, False)]


def test_a_beat_starts_the_patience_anew() -> None:
    watch = Watch(30)
    watch.silent([Owner("a", 7, False)], 0)
    assert watch.silent([Owner("a", 8, False)], 29) == []
    assert watch.silent([Owner("a", 8, False)], 58) == []
    assert watch.silent([Owner("a", 8, False)], 59) == [Owner("a", 8, False)]


def test_a_server_that_was_out_of_sight_is_given_its_whole_patience_again() -> None:
    watch = Watch(30)
    watch.silent([Owner("a", 7, False)], 0)
    watch.silent([], 20)
    assert watch.silent([Owner("a", 7, False)], 40) == []


def test_those_that_ended_are_watched_no_more() -> None:
    watch = Watch(0)
    assert watch.silent([Owner("a", 7, True), Owner(None, 0, True)], 100) == []


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=60))
def test_nobody_who_beats_within_the_patience_is_ever_silent(steps: list[tuple[float, bool]]) -> None:
    watch, now, beats, last = Watch(30), 0.0, 0, 0.0
    watch.silent([Owner("a", beats, False)], now)
    for seconds, beat in steps:
        now += seconds
        if beat or now - last >= 30:
            beats, last = beats + 1, now
        assert watch.silent([Owner("a", beats, False)], now) == []


@pytest.mark.parametrize(
    "wrong", [{"heartbeat_s": 0}, {"orphaned_after_s": 9}, {"idempotency_hours": -1}, {"heartbeats": 5}]
)
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        LedgerSettings(**wrong)


@dataclass
class FakeStore:
    """Heart, books and requests on one page: what was asked for, in order."""

    present: list[Owner] = field(default_factory=list)
    steps: list[object] = field(default_factory=list)
    broken: bool = False

    def did(self, step: object) -> None:
        if self.broken:
            raise StoreError("the database does not answer")
        self.steps.append(step)

    async def beat(self) -> None:
        self.did("beat")

    async def owners(self) -> Sequence[Owner]:
        return self.present

    async def end(self, owner: Owner | None = None) -> bool:
        self.did(("end", owner.id if owner else None))
        return True

    async def settle_orphans(self) -> Sequence[tuple[str, int]]:
        self.did("settle")
        return []

    async def forget(self, before: datetime) -> int:
        self.did(("forget", before))
        return 0


class NoRequests:
    """An idempotency store that is never asked."""

    async def begin(self, org_id: str, key: str, fingerprint: str, attempt: str) -> Earlier | None:
        raise AssertionError

    async def finish(self, org_id: str, key: str, attempt: str, answer: KeptAnswer | None) -> None:
        raise AssertionError

    async def interrupt(self, org_id: str, key: str, attempt: str) -> None:
        raise AssertionError

    async def forget(self, org_id: str, key: str, attempt: str) -> None:
        raise AssertionError


class Heart:
    def __init__(self, store: FakeStore) -> None:
        self._store = store

    async def beat(self) -> None:
        await self._store.beat()

    async def end(self) -> None:
        self._store.did("goodbye")


def sweeper(store: FakeStore, clock: FakeClock) -> Sweeper:
    return Sweeper(Heart(store), store, Idempotency(NoRequests()), clock, SETTINGS)


async def test_each_round_beats_first_and_sweeps_then() -> None:
    store, clock = FakeStore(), FakeClock()
    await sweeper(store, clock).tick()
    assert store.steps == ["beat", "settle", ("forget", clock.now() - timedelta(hours=24))]


async def test_silent_servers_are_ended_by_a_clock_that_does_not_jump() -> None:
    class Jumping(FakeClock):
        """Its date is put forward a year, then back."""

        def now(self) -> datetime:
            return super().now() + timedelta(days=365 if 4 < self.monotonic() < 9 else 0)

    store, clock = FakeStore([Owner("srv_dead", 3, False)]), Jumping()
    it = sweeper(store, clock)
    for _ in range(6):
        await it.tick()
        clock.advance(5)
    assert ("end", "srv_dead") not in store.steps
    with capture_logs() as logs:
        await it.tick()
    assert ("end", "srv_dead") in store.steps
    assert [log["event"] for log in logs] == ["server_is_silent"]


async def test_a_store_that_does_not_answer_is_asked_again() -> None:
    store = FakeStore(broken=True)
    it = sweeper(store, FakeClock())
    with capture_logs() as logs:
        await it.tick()
        await it.aclose()
    assert [log["event"] for log in logs] == ["books_not_kept", "books_not_closed"]
    store.broken = False
    await it.tick()
    await it.aclose()
    assert store.steps[0] == "beat"
    assert store.steps[-1] == "goodbye"
