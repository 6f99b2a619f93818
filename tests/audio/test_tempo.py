import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.audio.tempo import Tempo
from voxgate.domain import Samples

RATE = 22_050


def tone(seconds: float) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def run(tempo: Tempo, samples: Samples, step: int) -> Samples:
    pieces = [tempo.feed(samples[at : at + step]) for at in range(0, len(samples), step)]
    return np.concatenate([*pieces, tempo.flush()])


@given(st.floats(0.25, 4.0), st.integers(1, 30_000), st.integers(300, 9_000))
@settings(max_examples=40, deadline=None)
def test_the_length_is_exact(factor: float, length: int, step: int) -> None:
    out = run(Tempo(RATE, factor), tone(2)[:length], step)
    assert len(out) == round(length / factor)


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.8, 1.3, 2.0, 3.0, 4.0])
def test_the_pitch_stays(factor: float) -> None:
    out = run(Tempo(RATE, factor), tone(4), 441)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert abs(float(np.fft.rfftfreq(len(out), 1 / RATE)[int(spectrum.argmax())]) - 220) < 4
    assert 0.2 < float(np.max(np.abs(out))) < 0.4


def test_sound_comes_before_the_end() -> None:
    tempo = Tempo(RATE, 1.5)
    assert len(tempo.feed(tone(0.3))) > 0


def test_factor_one_passes_through() -> None:
    tempo, samples = Tempo(RATE, 1.0), tone(0.1)
    assert tempo.feed(samples) is samples
    assert len(tempo.flush()) == 0


def test_nothing_in_is_nothing_out() -> None:
    tempo = Tempo(RATE, 2.0)
    assert len(tempo.feed(np.zeros(0, np.float32))) == 0
    assert len(tempo.flush()) == 0


@pytest.mark.parametrize("factor", [0.0, 0.2, 4.1, -1.0])
def test_limits(factor: float) -> None:
    with pytest.raises(ValueError, match="tempo"):
        Tempo(RATE, factor)
