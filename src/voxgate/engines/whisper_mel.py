"""Sound as Whisper sees it: a log-mel spectrogram on a window as long as the utterance needs. Pure.

The arithmetic is that of OpenAI's `audio.py` (MIT), to the last bit of what faster-whisper computes in the same types:
mel bands of librosa's Slaney kind, a periodic Hann window, power, decimal logarithm, 80 dB of dynamic range.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from voxgate.domain import SPEECH_RATE, Samples

Features = NDArray[np.float32]
"""Shape [1, BANDS, frames]."""

HOP = 160
"""Samples a frame: 10 ms."""
BANDS = 80
FULL = 3000
"""Frames of the 30 s window Whisper was trained on; more are refused by CTranslate2."""
ROOM = 300
"""Silent frames behind the utterance. With 100 or 200 a text is repeated whole more often (6 and 4 clips of 78 against
3 at 300, 1 at 500, none at 1000); 500 costs 50 ms more (docs/decisions/0006-whisper-on-a-short-context.md)."""

_WINDOW = 400  # samples of one Fourier transform, 25 ms
_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0  # Slaney's scale is linear up to here and logarithmic above
_STEP = np.log(6.4) / 27  # of the logarithmic part, a mel


def frames_for(samples: int) -> int:
    """Frames an utterance is given: its own and ROOM, an even number, at most FULL."""
    frames = min(FULL, samples // HOP + ROOM)
    return frames + frames % 2


def mel(audio: Samples, frames: int) -> Features:
    """The spectrogram of `audio` (mono at SPEECH_RATE) on `frames` frames, zeros behind it; longer audio is cut.

    The zeros go in before the logarithm, as in Whisper's own training.
    """
    length = frames * HOP
    audio = audio[:length]
    padded = np.zeros(length + _WINDOW, np.float32)
    half = _WINDOW // 2
    padded[half : half + len(audio)] = audio
    if len(audio) > half:
        padded[:half] = audio[half:0:-1]  # reflected at the front; behind are zeros, and a mirror shows zeros
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:frames]
    spectrum = np.fft.rfft(pieces * _hann(), axis=1)
    power = np.abs(spectrum).astype(np.float32) ** 2
    decades = np.log10(np.maximum(_bands() @ power.T, 1e-10))
    scaled = (np.maximum(decades, decades.max() - 8) + 4) / 4
    return np.ascontiguousarray(scaled[None], np.float32)


@cache
def _hann() -> Features:
    window: Features = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    return window


@cache
def _bands() -> Features:
    """Shape [BANDS, _WINDOW // 2 + 1]: triangles between neighbours on the mel scale, each of area 1."""
    top = _KNEE_MEL + np.log(SPEECH_RATE / 2 / _KNEE_HZ) / _STEP
    mels = np.linspace(0, top, BANDS + 2)
    linear, curved = mels * _KNEE_HZ / _KNEE_MEL, _KNEE_HZ * np.exp(_STEP * (mels - _KNEE_MEL))
    edges = np.where(mels >= _KNEE_MEL, curved, linear)
    bins = np.linspace(0, SPEECH_RATE / 2, _WINDOW // 2 + 1)
    slopes = edges[:, None] - bins
    rising = -slopes[:-2] / np.diff(edges)[:-1, None]
    falling = slopes[2:] / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    normalized: Features = (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    return normalized
