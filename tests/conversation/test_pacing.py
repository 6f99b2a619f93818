import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.clock import FakeClock
from voxgate.conversation.pacing import Pacing

RATE = 1000  # a sample a millisecond


def test_the_first_audio_goes_at_once_and_then_as_much_as_the_lead_may_hold() -> None:
    pacing = Pacing(3.0, RATE)
    for _ in range(3):
        assert pacing.wait_s(1000, 10.0) == 0
        pacing.sent(1000, 10.0)
    assert pacing.lead_s(10.0) == 3
    assert pacing.wait_s(1000, 10.0) == 1
    assert pacing.wait_s(1, 10.0) == pytest.approx(0.001)
    assert pacing.wait_s(1000, 11.0) == 0


def test_time_in_which_nothing_was_left_to_play_is_no_debt() -> None:
    pacing = Pacing(3.0, RATE)
    pacing.sent(1000, 0.0)
    assert pacing.lead_s(100.0) == 0
    pacing.sent(2000, 100.0)
    assert pacing.lead_s(100.5) == 1.5
    assert pacing.wait_s(2000, 100.5) == 0.5


def test_a_piece_beyond_the_lead_waits_only_until_nothing_is_left() -> None:
    pacing = Pacing(0.1, RATE)
    assert pacing.wait_s(500, 0.0) == 0
    pacing.sent(500, 0.0)
    assert pacing.wait_s(500, 0.2) == pytest.approx(0.3)


def test_what_is_thrown_away_is_not_waited_for() -> None:
    pacing = Pacing(3.0, RATE)
    pacing.sent(1000, 0.0)
    pacing.sent(2000, 0.0)
    pacing.thrown_away(2000, 0.5)
    assert pacing.lead_s(0.5) == 0.5, "of what came before, the rest"
    pacing.thrown_away(1000, 0.75)
    assert pacing.lead_s(0.75) == 0, "what was played is not thrown away"
    assert pacing.wait_s(3000, 0.75) == 0
    pacing.sent(3000, 0.75)
    assert pacing.lead_s(0.75) == 3


@given(
    st.floats(0.05, 30),
    st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 5)), max_size=60),
)
def test_no_wait_is_longer_or_shorter_than_it_must_be(ahead_s: float, steps: list[tuple[int, float]]) -> None:
    """Against a listener that is played sample by sample: pieces of any size, at any moments."""
    pacing, clock = Pacing(ahead_s, RATE), FakeClock()
    dry_at = 0.0
    for samples, idle in steps:
        clock.advance(idle)
        wait = pacing.wait_s(samples, clock.monotonic())
        clock.advance(wait)
        now = clock.monotonic()
        pacing.sent(samples, now)
        dry_at = max(dry_at, now) + samples / RATE
        lead = dry_at - now
        assert lead <= max(ahead_s, samples / RATE) + 1e-6
        assert wait == 0 or lead >= min(ahead_s, samples / RATE) - 1e-6, "it waited for nothing"
        assert abs(pacing.lead_s(now) - lead) < 1e-6
