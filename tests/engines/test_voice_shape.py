import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.domain import Samples
from voxgate.engines.voice_shape import LEAD_MS, LEVEL_DBFS, TAIL_MS, Trimmer, active_rms, even_out, trim

RATE = 1000  # one sample a millisecond


def tone(ms: int, level: float = 0.5) -> Samples:
    return np.full(ms, level, np.float32)


def silence(ms: int) -> Samples:
    return np.full(ms, 0.001, np.float32)


def test_outer_silence_is_cut_to_its_length_and_inner_silence_stays() -> None:
    samples, dropped = trim(np.concatenate([silence(300), tone(50), silence(400), tone(50), silence(500)]), RATE)
    assert samples.size == LEAD_MS + 50 + 400 + 50 + TAIL_MS
    assert dropped == 300 - LEAD_MS
    assert samples[LEAD_MS] == 0.5


def test_what_is_short_of_silence_gets_none_added() -> None:
    samples, dropped = trim(np.concatenate([silence(5), tone(50), silence(7)]), RATE)
    assert (samples.size, dropped) == (62, 0)


def test_a_silent_piece_vanishes() -> None:
    samples, dropped = trim(silence(400), RATE)
    assert samples.size == 0
    assert dropped > 0


def test_slow_speech_keeps_more_silence() -> None:
    trimmer = Trimmer(RATE, scale=4.0)
    audio = np.concatenate([silence(500), tone(50), silence(900)])
    assert trimmer.feed(audio).size + trimmer.flush().size == 4 * LEAD_MS + 50 + 4 * TAIL_MS


def test_sound_is_passed_on_at_once() -> None:
    trimmer = Trimmer(RATE)
    assert trimmer.feed(np.concatenate([silence(50), tone(30), silence(10)])).size == LEAD_MS + 30
    assert trimmer.feed(tone(10)).size == 10 + 10  # the held silence turned out to be an inner one


loudness = st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.5, -0.5]), st.integers(1, 60)), max_size=8)


@given(loudness, st.lists(st.integers(1, 50), min_size=1))
def test_blocks_make_no_difference(runs: list[tuple[float, int]], sizes: list[int]) -> None:
    audio = np.concatenate([np.zeros(0, np.float32), *(np.full(n, level, np.float32) for level, n in runs)])
    whole, dropped = trim(audio, RATE)
    trimmer = Trimmer(RATE)
    parts: list[Samples] = []
    at = number = 0
    while at < audio.size:
        size = sizes[number % len(sizes)]
        parts.append(trimmer.feed(audio[at : at + size]))
        at, number = at + size, number + 1
    parts.append(trimmer.flush())
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    if whole.size:
        assert trimmer.dropped == dropped
        np.testing.assert_array_equal(whole, audio[dropped : dropped + whole.size])


def test_the_level_is_that_of_the_active_samples() -> None:
    assert active_rms(np.concatenate([silence(900), tone(100, 0.1)])) == pytest.approx(-20.0, abs=0.01)
    assert active_rms(silence(100)) == LEVEL_DBFS


def test_gain_reaches_the_level() -> None:
    quiet = tone(100, 0.05)
    assert active_rms(even_out(quiet, LEVEL_DBFS - active_rms(quiet))) == pytest.approx(LEVEL_DBFS, abs=0.01)


@given(st.floats(-1.5, 1.5), st.floats(0, 24))
def test_no_peak_reaches_full_scale_and_louder_stays_louder(level: float, gain_db: float) -> None:
    out = even_out(np.array([level, level * 0.9], np.float32), gain_db)
    assert np.abs(out).max() < 1
    assert abs(out[0]) >= abs(out[1])


def test_quiet_peaks_are_left_alone() -> None:
    samples = np.array([0.89, -0.89], np.float32)
    np.testing.assert_array_equal(even_out(samples, 0.0), samples)
