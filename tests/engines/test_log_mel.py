import numpy as np
import pytest

from voxgate.domain import Samples
from voxgate.engines.log_mel import BANDS, HOP, WINDOW, log_mel


def sine(hertz: float, frames: int, level: float = 0.1) -> Samples:
    """A tone that fills so many frames, padding included."""
    t = np.arange(frames * HOP + WINDOW) / 16_000
    return np.asarray(level * np.sin(2 * np.pi * hertz * t), np.float32)


def test_a_frame_for_every_ten_milliseconds() -> None:
    seen = log_mel(sine(440, 130))
    assert seen.shape == (1, BANDS, 130)
    assert seen.dtype == np.float32
    assert seen.flags.c_contiguous


@pytest.mark.parametrize("hertz", [100, 300, 1000, 3000, 7500])
def test_the_loudest_band_is_that_of_the_tone(hertz: float) -> None:
    mel = hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)
    top = 15 + 27 * np.log(8) / np.log(6.4)
    expected = mel / top * (BANDS + 1) - 1
    assert abs(int(log_mel(sine(hertz, 50))[0, :, 25].argmax()) - expected) <= 0.75


def test_ten_times_the_amplitude_is_half_a_unit_more() -> None:
    """(log10 of the power + 4) / 4: two decades of power are half a unit."""
    quiet, loud = log_mel(sine(1000, 50, 0.05))[0, :, 25].max(), log_mel(sine(1000, 50, 0.5))[0, :, 25].max()
    assert loud - quiet == pytest.approx(0.5, abs=1e-3)


def test_eighty_decibels_below_the_loudest_everything_is_alike() -> None:
    seen = log_mel(np.concatenate([sine(1000, 50), np.zeros(50 * HOP, np.float32)]))
    assert np.ptp(seen) == pytest.approx(2, abs=1e-5)
    assert np.ptp(seen[0, :, -40:]) == 0


def test_each_frame_lies_around_its_first_sample() -> None:
    click = np.zeros(100 * HOP + WINDOW, np.float32)
    click[WINDOW // 2 + 40 * HOP] = 1
    energy = log_mel(click)[0].sum(axis=0)
    assert energy.argmax() == 40
    assert energy[39] == pytest.approx(energy[41], rel=1e-3)
