"""How loud audio is, and making it even: levels, a limiter, raising what is too quiet, trimming silence."""

import math

import numpy as np

from voxgate.domain import Samples

SILENCE_DBFS = -120.0
"""What the levels answer for digital silence and for no samples at all (24 bits end near -144, 16 bits at -96)."""
LIMIT_KNEE = 0.8
"""Level from which the limiter bends; below it samples are untouched."""

_FRAME_S = 0.01


def decibels(level: float) -> float:
    """A linear level (1 is full scale) in dBFS."""
    return max(SILENCE_DBFS, 20 * math.log10(level)) if level > 0 else SILENCE_DBFS


def rms_dbfs(samples: Samples) -> float:
    """Root mean square level; a full-scale square wave is 0 dBFS, a full-scale sine -3."""
    if not len(samples):
        return SILENCE_DBFS
    return decibels(math.sqrt(float(np.dot(samples, samples)) / len(samples)))


def peak_dbfs(samples: Samples) -> float:
    """The highest absolute sample."""
    return decibels(float(np.max(np.abs(samples)))) if len(samples) else SILENCE_DBFS


def limit(samples: Samples) -> Samples:
    """Bends peaks above LIMIT_KNEE so that nothing passes full scale.

    Sample by sample and without memory: pieces of a stream join without a seam. Above the knee k the curve is
    k + (1 - k) tanh((|x| - k) / (1 - k)), which leaves the knee with slope 1.
    """
    level = np.abs(samples)
    if not len(samples) or float(level.max()) <= LIMIT_KNEE:
        return samples
    room = np.float32(1 - LIMIT_KNEE)
    bent = LIMIT_KNEE + room * np.tanh((level - np.float32(LIMIT_KNEE)) / room)
    return np.where(level > LIMIT_KNEE, np.copysign(bent, samples), samples).astype(np.float32)


def apply_gain(samples: Samples, gain_db: float) -> Samples:
    """Samples made louder (or quieter) by `gain_db`, limited."""
    if gain_db == 0:
        return limit(samples)
    return limit(samples * np.float32(10 ** (gain_db / 20)))


def raise_quiet(
    samples: Samples, *, below_dbfs: float = -30.0, to_dbfs: float = -12.0, most_db: float = 40.0
) -> Samples:
    """Samples whose peak lies below `below_dbfs`, raised to a peak of `to_dbfs` (by at most `most_db`); others as is.

    Moonshine's word error rate is .024 on clips as recorded, .042 at -40 dB and .145 at -60 dB.
    """
    peak = peak_dbfs(samples)
    if peak >= below_dbfs or peak <= SILENCE_DBFS:
        return samples
    return (samples * np.float32(10 ** (min(most_db, to_dbfs - peak) / 20))).astype(np.float32)


def trim_silence(
    samples: Samples, rate: int, *, threshold_dbfs: float = -40.0, lead_ms: int = 20, tail_ms: int = 80
) -> Samples:
    """One whole piece of speech without the silence around it; empty if it is silent throughout."""
    trimmer = SilenceTrimmer(rate, threshold_dbfs=threshold_dbfs, lead_ms=lead_ms, tail_ms=tail_ms)
    return np.concatenate([trimmer.feed(samples), trimmer.flush()])


class SilenceTrimmer:
    """Cuts the silence before and after a stream of speech, and leaves the pauses inside alone.

    Voices begin with 45 to 470 ms of silence and end with 140 to 715 ms; with 20 ms and 80 ms kept, the pause between
    two sentences is the caller's to choose. A frame of 10 ms is silent below `threshold_dbfs` (rms). While a pause
    lasts its audio is held back: it may turn out to be the end.
    """

    def __init__(self, rate: int, *, threshold_dbfs: float = -40.0, lead_ms: int = 20, tail_ms: int = 80) -> None:
        self._frame = max(1, round(rate * _FRAME_S))
        self._threshold = 10 ** (threshold_dbfs / 10)
        self._lead = rate * lead_ms // 1000
        self._tail = rate * tail_ms // 1000
        self._held = np.zeros(0, np.float32)
        self._judged = 0
        self.skipped = 0
        """Samples cut off at the front so far: what word times have to be moved by."""
        self.speaking = False
        """Whether anything louder than silence has come yet."""

    def feed(self, samples: Samples) -> Samples:
        """Everything up to the last loud frame; silence behind it waits."""
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples
        first, last = self._judge()
        if not self.speaking:
            if first is None:
                self._forget(len(self._held) - self._frame - self._lead)
                return np.zeros(0, np.float32)
            self._forget(first - self._lead)
            last -= max(0, first - self._lead)
            self.speaking = True
        if first is None:
            return np.zeros(0, np.float32)
        ready, self._held = self._held[:last], self._held[last:]
        self._judged -= last
        return ready

    def flush(self) -> Samples:
        """The end of the stream: at most `tail_ms` of what was held back."""
        rest = self._held[: self._tail] if self.speaking else np.zeros(0, np.float32)
        self._held = np.zeros(0, np.float32)
        return rest

    def _judge(self) -> tuple[int | None, int]:
        """Start of the first loud frame among the new ones, and the end of the last; (None, 0) if all are silent."""
        count = (len(self._held) - self._judged) // self._frame
        begin, self._judged = self._judged, self._judged + count * self._frame
        frames = self._held[begin : self._judged].reshape(count, self._frame)
        loud = np.flatnonzero(np.einsum("ij,ij->i", frames, frames) > self._threshold * self._frame)
        if not len(loud):
            return None, 0
        return begin + int(loud[0]) * self._frame, begin + (int(loud[-1]) + 1) * self._frame

    def _forget(self, count: int) -> None:
        if count > 0:
            self._held = self._held[count:]
            self._judged -= count
            self.skipped += count
