from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from voxgate.clock import Clock, FakeClock, SystemClock


def test_a_fake_clock_stands_still_until_it_is_told() -> None:
    clock = FakeClock()
    assert clock.monotonic() == clock.monotonic() == 0.0
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)


@given(st.lists(st.floats(min_value=0, max_value=86_400)))
def test_both_faces_of_a_fake_clock_agree(steps: list[float]) -> None:
    clock = FakeClock()
    for step in steps:
        clock.advance(step)
    passed = clock.now() - datetime(2026, 1, 1, tzinfo=UTC)
    assert abs(passed - timedelta(seconds=clock.monotonic())) < timedelta(milliseconds=1)


def test_the_machines_clock() -> None:
    clock: Clock = SystemClock()
    before, now = clock.monotonic(), datetime.now(UTC)
    assert before <= clock.monotonic()
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now() - now) < timedelta(minutes=1)
