"""One sample rate to another, as a stream."""

from typing import Any

import numpy as np

from voxgate.domain import Samples


class Resampler:
    """A stream at one rate, turned into another by soxr (high quality: pass band to 0.91 of Nyquist, 20 bit).

    The filter holds back some input (22.05 to 24 kHz: first output after about 45 ms); `flush` gives it out, so that
    a whole stream keeps its length to within one sample. Equal rates pass through untouched and undelayed.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate < 1 or to_rate < 1:
            raise ValueError(f"sample rates are positive, not {from_rate} and {to_rate}")
        self._rates = from_rate, to_rate
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
        if from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
