import numpy as np
import pytest

from voxgate.audio import loudness
from voxgate.domain import Samples

RATE = 16_000
NOTHING = np.zeros(0, np.float32)


def tone(seconds: float, level: float = 0.5) -> Samples:
    return (level * np.sin(2 * np.pi * 200 * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(int(RATE * seconds), np.float32)


def test_levels() -> None:
    assert loudness.peak_dbfs(tone(1, 0.5)) == pytest.approx(-6.02, abs=0.01)
    assert loudness.peak_dbfs(np.ones(10, np.float32)) == pytest.approx(0)
    assert loudness.peak_dbfs(NOTHING) == loudness.peak_dbfs(silence(1)) == loudness.SILENCE_DBFS


def test_only_what_is_quiet_is_raised() -> None:
    assert loudness.raise_quiet(tone(0.1, 0.1)) is not None
    assert np.array_equal(loudness.raise_quiet(tone(0.1, 0.1)), tone(0.1, 0.1))
    assert loudness.peak_dbfs(loudness.raise_quiet(tone(0.1, 0.01))) == pytest.approx(-12, abs=0.1)
    whisper = tone(0.1, 1e-4)
    assert loudness.peak_dbfs(loudness.raise_quiet(whisper)) == pytest.approx(loudness.peak_dbfs(whisper) + 40, abs=0.1)
    assert not loudness.raise_quiet(silence(0.1)).any()
    assert len(loudness.raise_quiet(NOTHING)) == 0
