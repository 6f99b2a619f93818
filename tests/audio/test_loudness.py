import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.audio import loudness
from voxgate.audio.loudness import SilenceTrimmer, trim_silence
from voxgate.domain import Samples

RATE = 16_000
NOTHING = np.zeros(0, np.float32)


def tone(seconds: float, level: float = 0.5) -> Samples:
    return (level * np.sin(2 * np.pi * 200 * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(int(RATE * seconds), np.float32)


def test_levels() -> None:
    assert loudness.peak_dbfs(tone(1, 0.5)) == pytest.approx(-6.02, abs=0.01)
    assert loudness.rms_dbfs(tone(1, 1.0)) == pytest.approx(-3.01, abs=0.01)
    assert loudness.rms_dbfs(np.ones(10, np.float32)) == pytest.approx(0)
    assert loudness.rms_dbfs(NOTHING) == loudness.peak_dbfs(silence(1)) == loudness.SILENCE_DBFS


def test_the_limiter_leaves_the_quiet_alone_and_keeps_the_loud_in_order() -> None:
    quiet = tone(0.1, 0.7)
    assert loudness.limit(quiet) is quiet
    loud = np.linspace(-3, 3, 601, dtype=np.float32)
    limited = loudness.limit(loud)
    assert np.max(np.abs(limited)) <= 1
    assert np.all(np.diff(limited) >= 0)
    assert np.array_equal(limited[np.abs(loud) <= 0.8], loud[np.abs(loud) <= 0.8])
    assert len(loudness.limit(NOTHING)) == 0


def test_the_limiter_works_sample_by_sample() -> None:
    loud = tone(0.1, 1.4)
    assert np.array_equal(
        loudness.limit(loud), np.concatenate([loudness.limit(loud[:700]), loudness.limit(loud[700:])])
    )


def test_gain() -> None:
    assert loudness.peak_dbfs(loudness.apply_gain(tone(0.1, 0.1), 6.0)) == pytest.approx(-14, abs=0.05)
    assert float(np.max(np.abs(loudness.apply_gain(tone(0.1, 0.9), 20)))) <= 1
    assert np.array_equal(loudness.apply_gain(tone(0.1, 0.1), 0), tone(0.1, 0.1))


def test_only_what_is_quiet_is_raised() -> None:
    assert loudness.raise_quiet(tone(0.1, 0.1)) is not None
    assert np.array_equal(loudness.raise_quiet(tone(0.1, 0.1)), tone(0.1, 0.1))
    assert loudness.peak_dbfs(loudness.raise_quiet(tone(0.1, 0.01))) == pytest.approx(-12, abs=0.1)
    whisper = tone(0.1, 1e-4)
    assert loudness.peak_dbfs(loudness.raise_quiet(whisper)) == pytest.approx(loudness.peak_dbfs(whisper) + 40, abs=0.1)
    assert not loudness.raise_quiet(silence(0.1)).any()
    assert len(loudness.raise_quiet(NOTHING)) == 0


def test_silence_around_speech_is_trimmed_to_what_is_asked() -> None:
    audio = np.concatenate([silence(0.3), tone(0.5), silence(0.2), tone(0.5), silence(0.7)])
    trimmed = trim_silence(audio, RATE)
    assert len(trimmed) / RATE == pytest.approx(0.02 + 1.2 + 0.08, abs=0.011)
    assert math.isclose(float(np.dot(trimmed, trimmed)), float(np.dot(audio, audio)), rel_tol=1e-6)


def test_silence_alone_becomes_nothing() -> None:
    assert len(trim_silence(silence(1), RATE)) == 0
    assert len(trim_silence(NOTHING, RATE)) == 0


def test_what_was_cut_off_in_front_is_told() -> None:
    trimmer = SilenceTrimmer(RATE)
    for _ in range(10):
        assert len(trimmer.feed(silence(0.03))) == 0
    assert not trimmer.speaking
    first = trimmer.feed(tone(0.05))
    assert trimmer.speaking
    assert trimmer.skipped == int(0.28 * RATE)
    assert len(first) == int(0.07 * RATE)


def test_a_pause_is_held_back_until_it_is_known_to_be_one() -> None:
    trimmer = SilenceTrimmer(RATE)
    trimmer.feed(tone(0.1))
    assert len(trimmer.feed(silence(0.5))) == 0
    assert len(trimmer.feed(tone(0.1))) == int(0.6 * RATE)
    assert len(trimmer.flush()) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=12), st.integers(1, 2000))
@settings(deadline=None)
def test_trimming_a_stream_equals_trimming_the_whole(pieces: list[tuple[bool, int]], step: int) -> None:
    audio = np.concatenate([NOTHING, *(np.full(size, 0.5 if loud else 0, np.float32) for loud, size in pieces)])
    trimmer = SilenceTrimmer(RATE)
    streamed = [trimmer.feed(audio[at : at + step]) for at in range(0, len(audio), step)]
    assert np.array_equal(np.concatenate([NOTHING, *streamed, trimmer.flush()]), trim_silence(audio, RATE))
