"""One sample rate to another, as a stream."""

from functools import lru_cache
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from voxgate.domain import Samples

_STOP_DB = 70
"""What the prompt filter leaves of frequencies that do not belong: PCM of a telephone has 13 bits, -78 dB."""
_TRANSITION = 0.18
"""Its transition band, around the lower Nyquist frequency and in parts of it: as much passes untouched as of soxr. With
it Moonshine made as many errors on 11 clips at 8 kHz as with soxr (3 of 165 words), with 0.25 one more."""
_MOST_PHASES = 640
"""Ratios with more are left to soxr, 11.025 to 16 kHz is the last: their tables would be megabytes."""
_AT_ONCE = 320
"""Outputs that are computed together, 20 ms at 16 kHz: what they need fits into a core's cache."""


class Resampler:
    """A stream at one rate, turned into another by soxr (high quality: pass band to 0.91 of Nyquist, 20 bit).

    soxr holds back some input, since it filters by the block (22.05 to 24 kHz: first output after about 45 ms; 8 to 16
    kHz: 12 to 115 ms). `prompt` takes a short filter instead, for what is heard as it comes: 3 ms of 8 kHz and 1.5 ms
    of 48 kHz are held back, no more, the pass band ends at 0.91 of Nyquist, what is above 1.09 of it is down by 70 dB.
    It costs 0.04 ms for 20 ms of audio, soxr 0.005.
    `flush` gives out what is held, so that a whole stream keeps its length to within one sample. Equal rates pass
    through untouched and undelayed.
    """

    def __init__(self, from_rate: int, to_rate: int, *, prompt: bool = False) -> None:
        if from_rate < 1 or to_rate < 1:
            raise ValueError(f"sample rates are positive, not {from_rate} and {to_rate}")
        self._rates = from_rate, to_rate
        self._prompt = prompt and to_rate // gcd(from_rate, to_rate) <= _MOST_PHASES
        self._stream: Any = None
        self._open()

    def feed(self, samples: Samples) -> Samples:
        """What can be said with certainty once `samples` are known; may be empty."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32)), np.float32)

    def drain(self) -> Samples:
        """The rest; what is fed after this is a stream of its own."""
        rest = self.flush()
        self._open()
        return rest

    def flush(self) -> Samples:
        """The rest; the resampler is used up."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream = None
        return np.asarray(rest, np.float32)

    def _open(self) -> None:
        from_rate, to_rate = self._rates
        if from_rate != to_rate and self._prompt:
            self._stream = _Polyphase(from_rate, to_rate)
        elif from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")


class _Polyphase:
    """A finite filter whose output is computed as soon as its input is there; used as a `soxr.ResampleStream` is."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        shared = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // shared, from_rate // shared
        self._table = _phases(from_rate, to_rate)
        self._reach = self._table.shape[1] // 2
        self._held: Samples = np.zeros(self._reach - 1, np.float32)
        self._at = 0  # where the next output lies, in parts of an input sample, `_up` to one, from that held first

    def resample_chunk(self, samples: Samples, last: bool = False) -> Samples:
        """What can be computed now; with the `last` samples, everything."""
        after = np.zeros(self._reach if last else 0, np.float32)
        held = np.concatenate([self._held, samples, after])
        width = 2 * self._reach
        count = max(0, ((len(held) - width + 1) * self._up - self._at + self._down - 1) // self._down)
        made = np.empty(count, np.float32)
        row = self._table[0]
        for begin in range(0, count, _AT_ONCE):
            block = made[begin : begin + _AT_ONCE]
            if self._up == 1:  # one phase: a product of a matrix that is not copied, in a tenth of the time
                strides = self._down * held.itemsize, held.itemsize
                np.dot(np.ndarray((len(block), width), held.dtype, held, self._at * held.itemsize, strides), row, block)
                self._at += len(block) * self._down
                continue
            places, phases = np.divmod(self._at + self._down * np.arange(len(block)), self._up)
            np.einsum("nk,nk->n", sliding_window_view(held, width)[places], self._table[phases], out=block)
            self._at += len(block) * self._down
        drop = min(self._at // self._up, len(held))
        self._at -= drop * self._up
        self._held = held[drop:]
        return made


@lru_cache(maxsize=16)
def _phases(from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """The filter at each place an output can have between two inputs: [phases, inputs around it].

    A sinc under a Kaiser window, by Kaiser's formulas for its shape and its length; each row adds up to 1.
    """
    up = to_rate // gcd(from_rate, to_rate)
    low = min(from_rate, to_rate) / 2
    seconds = (_STOP_DB - 8) / (2.285 * 2 * np.pi * _TRANSITION * low)
    reach = ceil(seconds / 2 * from_rate)
    away = np.arange(1 - reach, reach + 1) - np.arange(up)[:, None] / up
    shape = np.i0(0.1102 * (_STOP_DB - 8.7) * np.sqrt(np.clip(1 - (away / reach) ** 2, 0, 1)))
    rows = np.sinc(2 * low / from_rate * away) * shape
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float32)
