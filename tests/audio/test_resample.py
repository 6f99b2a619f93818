import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


# prompt: heard as it comes

RATES = [8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000]


@pytest.mark.parametrize("rate", RATES)
def test_a_prompt_filter_holds_back_no_more_than_its_reach(rate: int) -> None:
    resampler, step, came = Resampler(rate, 16_000, prompt=True), rate // 50, 0
    for number in range(1, 51):
        came += len(resampler.feed(np.ones(step, np.float32)))
        assert 0 <= number * step / rate - came / 16_000 <= (0.0032 if rate < 16_000 else 0.0016)


@pytest.mark.parametrize("rate", RATES)
def test_it_leaves_speech_as_it_is(rate: int) -> None:
    hz = 0.9 * min(rate, 16_000) / 2
    out = run(Resampler(rate, 16_000, prompt=True), tone(rate, hz, 1), rate // 50)
    middle = slice(1_600, -1_600)
    assert abs(len(out) - 16_000) <= 1
    assert out.dtype == np.float32
    assert np.max(np.abs(out[middle] - tone(16_000, hz, 1)[: len(out)][middle])) < 1e-3


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_it_lets_nothing_fold_back(rate: int) -> None:
    out = run(Resampler(rate, 16_000, prompt=True), tone(rate, 8_750, 1), rate // 50)
    assert np.max(np.abs(out[1_600:-1_600])) < 0.5 * 10 ** (-69 / 20)


def test_it_adds_no_image_of_a_telephone_s_speech() -> None:
    out = run(Resampler(8_000, 16_000, prompt=True), tone(8_000, 3_400, 1), 160)[1_600:-1_600]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    hz = np.arange(len(spectrum)) * 8_000 / (len(spectrum) - 1)
    assert spectrum[hz > 4_370].max() < spectrum.max() * 10 ** (-69 / 20)


@given(rate=st.sampled_from(RATES), sizes=st.lists(st.integers(0, 700), max_size=12))
def test_to_a_prompt_filter_the_sizes_of_the_pieces_do_not_matter(rate: int, sizes: list[int]) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, sum(sizes)).astype(np.float32)
    ends = np.cumsum(sizes, dtype=int)
    resampler = Resampler(rate, 16_000, prompt=True)
    pieces = [resampler.feed(samples[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    out = np.concatenate([*pieces, resampler.flush()])
    assert len(out) == -(-sum(sizes) * 16_000 // rate)
    assert np.allclose(
        out, run(Resampler(rate, 16_000, prompt=True), samples, 10_000) if len(samples) else out, atol=1e-6
    )


def test_a_ratio_of_many_phases_is_left_to_soxr() -> None:
    samples = tone(16_001, 300, 0.5)
    assert np.array_equal(
        run(Resampler(16_001, 16_000, prompt=True), samples, 320), run(Resampler(16_001, 16_000), samples, 320)
    )


def test_a_prompt_filter_drained_goes_on_with_a_stream_of_its_own() -> None:
    samples = tone(8_000, 300, 0.5)
    resampler = Resampler(8_000, 16_000, prompt=True)
    first = np.concatenate([resampler.feed(samples), resampler.drain()])
    second = np.concatenate([resampler.feed(samples), resampler.flush()])
    assert len(first) == 8_000
    assert np.array_equal(first, second)
    assert len(resampler.feed(samples[:0])) == 0
