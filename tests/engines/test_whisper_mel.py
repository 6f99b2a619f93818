import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.domain import Samples
from voxgate.engines.whisper_mel import BANDS, FULL, HOP, ROOM, frames_for, mel


def noise(samples: int, seed: int = 0) -> Samples:
    return np.asarray(np.random.default_rng(seed).standard_normal(samples) * 0.1, np.float32)


def slaney(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def textbook(audio: Samples, frames: int) -> np.ndarray:
    """The same by the definition, in double precision: one frame, one bin, one band at a time."""
    signal = np.zeros(frames * HOP)
    signal[: len(audio)] = audio[: len(signal)]
    signal = np.concatenate([signal[200:0:-1], signal, np.zeros(200)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    edges = np.interp(np.linspace(0, slaney(8000), BANDS + 2), [slaney(f) for f in range(8001)], range(8001))
    power = np.array([np.abs(np.fft.rfft(signal[k * HOP : k * HOP + 400] * window)) ** 2 for k in range(frames)])
    bands = np.zeros((BANDS, 201))
    for band, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(201):
            hertz = k * 40
            if low < hertz < high:
                rising = (hertz - low) / (middle - low)
                bands[band, k] = min(rising, (high - hertz) / (high - middle)) * 2 / (high - low)
    decades = np.log10(np.maximum(bands @ power.T, 1e-10))
    return np.asarray((np.maximum(decades, decades.max() - 8) + 4) / 4)


@pytest.mark.parametrize("samples", [100, 300, 16_000, 20_001])
def test_it_is_the_log_mel_spectrogram_of_the_definition(samples: int) -> None:
    audio, frames = noise(samples), 130
    found = mel(audio, frames)
    assert found.shape == (1, BANDS, frames)
    assert found.dtype == np.float32
    if samples > 200:  # shorter audio is not reflected
        np.testing.assert_allclose(found[0], textbook(audio, frames), atol=2e-3)


def test_a_tone_is_loudest_in_its_band() -> None:
    t = np.arange(16_000) / 16_000
    low, high = [int(mel(np.sin(2 * np.pi * f * t).astype(np.float32), 100)[0, :, 50].argmax()) for f in (300, 3000)]
    assert low == round(slaney(300) / slaney(8000) * (BANDS + 1)) - 1
    assert high == round(slaney(3000) / slaney(8000) * (BANDS + 1)) - 1


@given(st.integers(0, 40 * 16_000))
def test_every_utterance_gets_room_up_to_the_window(samples: int) -> None:
    frames = frames_for(samples)
    assert frames % 2 == 0
    assert 2 <= frames <= FULL
    assert frames >= min(FULL, samples // HOP + ROOM)
    assert frames <= samples // HOP + ROOM + 1


def test_audio_longer_than_its_frames_is_cut_and_none_is_silence() -> None:
    np.testing.assert_array_equal(mel(noise(32_000), 100)[0, :, :98], mel(noise(32_000)[:16_000], 100)[0, :, :98])
    assert np.ptp(mel(np.zeros(0, np.float32), 10)) == 0
