"""Audio on its way in: paced, paid for, timed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.test_metering import WHO, FakeLedger
from voxgate.clock import FakeClock
from voxgate.domain import MICRO, SPEECH_RATE, Samples
from voxgate.errors import Code, RefusedError
from voxgate.gateways.intake import Intake, Lags, Pace
from voxgate.services.billing import PerSecond
from voxgate.services.metering import Meter

STEP = MICRO // 6
"""What ten seconds cost."""


class Ears:
    """A `Hearing` that keeps what it is fed, and knows when it was fed."""

    def __init__(self, clock: FakeClock) -> None:
        self.fed: list[tuple[float, Samples]] = []
        self.pauses = 0
        self.busy = False
        self._clock = clock

    async def feed(self, audio: Samples) -> None:
        if self.busy:
            raise RefusedError("full", code=Code.BUSY)
        self.fed.append((self._clock.monotonic(), audio))

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.pauses += 1
        yield

    @property
    def audio(self) -> Samples:
        return np.concatenate([piece for _, piece in self.fed])


class Session:
    """An intake with everything around it."""

    def __init__(self, credits_: int = 10 * MICRO, ahead_s: float = 30) -> None:
        self.clock = FakeClock()
        self.ears = Ears(self.clock)
        self.ledger = FakeLedger(available=credits_)
        self.meter = Meter(self.ledger, WHO, PerSecond("transcription", MICRO, SPEECH_RATE), request_id="rtt_1")
        self.lags: list[tuple[str, float]] = []
        self.intake = Intake(
            self.ears,
            self.meter,
            Lags(lambda stage, seconds: self.lags.append((stage, seconds)), self.clock),
            self.clock,
            ahead_s=ahead_s,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)


def ramp(seconds: float) -> Samples:
    return np.arange(round(seconds * SPEECH_RATE), dtype=np.float32)


async def test_all_of_it_is_heard_once_and_in_order() -> None:
    session = Session()
    async with session.meter:
        for begin in range(0, 400_000, 77_777):
            await session.intake.take(ramp(25)[begin : begin + 77_777])
    assert np.array_equal(session.ears.audio, ramp(25))
    assert session.intake.heard == 400_000
    assert session.ledger.steps[-1] == ("settle", MICRO * 25 // 60, {"audio_ms": 25_000})


async def test_audio_may_run_ahead_by_so_much_and_is_then_heard_in_real_time() -> None:
    session = Session(ahead_s=2)
    async with session.meter:
        await session.intake.take(ramp(2))
        assert (session.clock.monotonic(), session.ears.pauses) == (0, 0)
        await session.intake.take(ramp(3))
    assert session.clock.monotonic() == pytest.approx(3)
    assert [moment for moment, _ in session.ears.fed] == pytest.approx([0, 0, 1, 2, 3])
    assert session.ears.pauses == 3


async def test_the_ledger_is_asked_ten_seconds_at_a_time() -> None:
    session = Session()
    async with session.meter:
        for _ in range(1500):
            await session.intake.take(ramp(0.02))
    held = [step[:2] for step in session.ledger.steps if step[0] in ("hold", "extend")]
    assert held == [("hold", STEP), ("extend", MICRO * 20 // 60), ("extend", MICRO * 30 // 60)]


@pytest.mark.parametrize("piece_s", [0.02, 0.3, 7.0, 60.0])
async def test_everything_that_was_paid_for_is_heard_and_not_a_sample_more(piece_s: float) -> None:
    session = Session(credits_=2 * STEP + 5)
    with pytest.raises(RefusedError) as refused:
        async with session.meter:
            for _ in range(round(60 / piece_s)):
                await session.intake.take(ramp(piece_s))
    assert refused.value.code is Code.INSUFFICIENT_CREDITS
    assert session.intake.heard == sum(len(piece) for _, piece in session.ears.fed) == 20 * SPEECH_RATE
    assert session.ledger.steps[-1] == ("settle", MICRO * 20 // 60, {"audio_ms": 20_000})


async def test_what_the_engine_refused_is_not_billed() -> None:
    session = Session()
    with pytest.raises(RefusedError):
        async with session.meter:
            await session.intake.take(ramp(1))
            session.ears.busy = True
            await session.intake.take(ramp(1))
    assert session.ledger.steps[-1] == ("settle", MICRO // 60, {"audio_ms": 1000})


# pace


@given(
    most=st.floats(0.1, 60),
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(1, SPEECH_RATE)), max_size=50),
)
def test_never_further_ahead_than_allowed(most: float, steps: list[tuple[float, int]]) -> None:
    now = 0.0
    pace = Pace(most, now)
    heard = 0
    for passed, samples in steps:
        now += passed
        now += pace.take(samples, now)
        heard += samples
        assert heard / SPEECH_RATE - now <= most + 1e-6


def test_in_real_time_nothing_waits_however_it_is_cut() -> None:
    pace = Pace(1.0, 0.0)
    assert sum(pace.take(4096, 0.256 * (number + 1)) for number in range(10_000)) == 0


def test_who_was_held_up_may_catch_up_with_as_much_as_may_be_ahead() -> None:
    pace = Pace(30.0, 0.0)
    assert pace.take(60 * SPEECH_RATE, 300.0) == 0
    assert pace.take(SPEECH_RATE, 300.0) == pytest.approx(1.0)


# lags


def lags() -> tuple[Lags, FakeClock, list[tuple[str, float]]]:
    clock = FakeClock()
    seen: list[tuple[str, float]] = []
    return Lags(lambda stage, seconds: seen.append((stage, seconds)), clock), clock, seen


def test_a_partial_lags_behind_the_audio_it_covers() -> None:
    it, clock, seen = lags()
    for position in (320, 640, 960):
        it.arrived(position)
        clock.advance(1)
    it.partial(640)
    it.partial(500)
    it.partial(640)
    it.partial(641)
    it.partial(2000)  # nothing is known of audio that has not come
    assert seen == [("live_partial", 2.0), ("live_partial", 1.0)]


def test_a_final_lags_behind_the_decision() -> None:
    it, clock, seen = lags()
    it.final(100)
    it.decided(500)
    clock.advance(0.25)
    it.final(500)
    it.final(500)
    assert seen == [("live_final", 0.25)]


def test_finals_that_wait_together_are_told_apart() -> None:
    it, clock, seen = lags()
    for end in (100, 300, 600, 600):  # the first says nothing; that at 400 is cut in the middle of speech
        it.decided(end)
        clock.advance(1)
    for end in (300, 400, 600):
        it.final(end)
    assert [lag for _, lag in seen] == [3, 2]
    it.decided(700)
    it.final(800)
    it.final(700)
    assert len(seen) == 2, "a decision that is behind is forgotten"
    for end in range(1_000, 1_040):  # noise, which has no final
        it.decided(end)
    it.final(1_000)
    it.final(1_039)
    assert [lag for _, lag in seen[2:]] == [0]


def test_where_commits_end_segments_finals_answer_them_in_turn() -> None:
    it, clock, seen = lags()
    it.asked()
    clock.advance(1)
    it.asked()
    clock.advance(1)
    it.final(100)
    it.final(90)
    it.final(90)
    assert [lag for _, lag in seen] == [2, 1]
