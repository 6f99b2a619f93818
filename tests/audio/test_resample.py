import numpy as np
import pytest

from voxgate.audio.resample import Resampler
from voxgate.domain import Samples


def tone(rate: int, hz: float, seconds: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def run(resampler: Resampler, samples: Samples, step: int) -> Samples:
    pieces = [resampler.feed(samples[at : at + step]) for at in range(0, len(samples), step)]
    return np.concatenate([*pieces, resampler.flush()])


@pytest.mark.parametrize(("old", "new"), [(22_050, 24_000), (48_000, 16_000), (8_000, 16_000), (44_100, 24_000)])
def test_a_tone_stays_a_tone_and_keeps_its_length(old: int, new: int) -> None:
    out = run(Resampler(old, new), tone(old, 440, 2), old // 50)
    assert abs(len(out) - 2 * new) <= 1
    assert out.dtype == np.float32
    wanted = tone(new, 440, 2)
    middle = slice(new // 10, 2 * new - new // 10)
    assert np.max(np.abs(out[middle] - wanted[middle])) < 1e-3


def test_the_sizes_of_the_pieces_do_not_matter() -> None:
    samples = tone(48_000, 300, 1)
    assert np.allclose(run(Resampler(48_000, 16_000), samples, 7_001), run(Resampler(48_000, 16_000), samples, 480))


def test_equal_rates_pass_through() -> None:
    resampler, samples = Resampler(16_000, 16_000), tone(16_000, 300, 0.1)
    assert resampler.feed(samples) is samples
    assert len(resampler.flush()) == 0


def test_what_lies_above_the_new_band_does_not_fold_back() -> None:
    out = run(Resampler(48_000, 16_000), tone(48_000, 11_000, 1), 960)
    assert np.max(np.abs(out[1600:-1600])) < 1e-3


@pytest.mark.parametrize(("old", "new"), [(0, 16_000), (16_000, 0), (-1, 16_000)])
def test_a_rate_is_positive(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(old, new)


def test_drained_it_goes_on_with_a_stream_of_its_own() -> None:
    samples = tone(8_000, 300, 0.5)
    resampler = Resampler(8_000, 16_000)
    first = np.concatenate([resampler.feed(samples), resampler.drain()])
    second = np.concatenate([resampler.feed(samples), resampler.flush()])
    assert abs(len(first) - 8_000) <= 1
    assert np.array_equal(first, second)


def test_of_equal_rates_nothing_is_left_to_drain() -> None:
    resampler, samples = Resampler(16_000, 16_000), tone(16_000, 300, 0.1)
    resampler.feed(samples)
    assert len(resampler.drain()) == 0
    assert resampler.feed(samples) is samples
