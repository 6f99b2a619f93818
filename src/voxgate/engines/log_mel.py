"""The log-mel spectrogram that Whisper and what was trained on its encoder (Smart Turn) see. Pure.

The arithmetic is that of OpenAI's `audio.py` (MIT), to the last bit of what faster-whisper computes in the same types:
mel bands of librosa's Slaney kind, a periodic Hann window, power, decimal logarithm, 80 dB of dynamic range. How the
sound is padded is each model's own.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from voxgate.domain import SPEECH_RATE, Samples

Features = NDArray[np.float32]
"""Shape [1, BANDS, frames]."""

HOP = 160
"""Samples a frame: 10 ms."""
WINDOW = 400
"""Samples of one Fourier transform, 25 ms, around the first sample of the frame."""
BANDS = 80

_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0  # Slaney's scale is linear up to here and logarithmic above
_STEP = np.log(6.4) / 27  # of the logarithmic part, a mel


def log_mel(padded: Samples) -> Features:
    """The spectrogram of mono sound at SPEECH_RATE that has half a WINDOW more at either end.

    `padded` holds frames * HOP + WINDOW samples.
    """
    pieces = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:-1:HOP]
    spectrum = np.fft.rfft(pieces * _hann(), axis=1)
    power = np.abs(spectrum).astype(np.float32) ** 2
    decades = np.log10(np.maximum(_bands() @ power.T, 1e-10))
    scaled = (np.maximum(decades, decades.max() - 8) + 4) / 4
    return np.ascontiguousarray(scaled[None], np.float32)


@cache
def _hann() -> Features:
    window: Features = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    return window


@cache
def _bands() -> Features:
    """Shape [BANDS, WINDOW // 2 + 1]: triangles between neighbours on the mel scale, each of area 1."""
    top = _KNEE_MEL + np.log(SPEECH_RATE / 2 / _KNEE_HZ) / _STEP
    mels = np.linspace(0, top, BANDS + 2)
    linear, curved = mels * _KNEE_HZ / _KNEE_MEL, _KNEE_HZ * np.exp(_STEP * (mels - _KNEE_MEL))
    edges = np.where(mels >= _KNEE_MEL, curved, linear)
    bins = np.linspace(0, SPEECH_RATE / 2, WINDOW // 2 + 1)
    slopes = edges[:, None] - bins
    rising = -slopes[:-2] / np.diff(edges)[:-1, None]
    falling = slopes[2:] / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    normalized: Features = (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    return normalized
