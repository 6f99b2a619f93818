"""What every voice's audio goes through: even loudness, no clipping, and silence cut to a known length. Pure.

Engines leave 0 to 300 ms of silence in front and 140 to 700 behind (measured 2026-10: Piper, Kokoro). All of it is cut
to LEAD_MS and TAIL_MS, so that the first sound comes soon, and pauses between pieces are ours to set (text/pauses.py).
"""

import numpy as np

from voxgate.domain import Samples

LEVEL_DBFS = -20.0
"""RMS of the active samples that every voice is brought to; joe has -20.6 to -22.4, espeak-ng -17 to -19."""
LEAD_MS, TAIL_MS = 20, 80
"""Silence kept in front of and behind a piece: enough for a soft onset and for the last sound to die away."""

_ACTIVE = 0.01  # -40 dBFS: quieter samples count as silence
_KNEE = 0.9  # samples beyond this are bent towards 1, never cut off


def active_rms(samples: Samples) -> float:
    """The RMS of what is louder than silence, in dBFS; LEVEL_DBFS where nothing is."""
    loud = samples[np.abs(samples) > _ACTIVE]
    return float(10 * np.log10(np.mean(np.square(loud, dtype=np.float64)))) if loud.size else LEVEL_DBFS


def even_out(samples: Samples, gain_db: float) -> Samples:
    """The samples raised by `gain_db`, peaks bent so that none reaches full scale."""
    out = samples * np.float32(10 ** (gain_db / 20))
    over = np.abs(out) > _KNEE
    if over.any():
        bent = _KNEE + (1 - _KNEE) * np.tanh((np.abs(out[over]) - _KNEE) / (1 - _KNEE))
        out[over] = np.sign(out[over]) * np.minimum(bent, np.float32(1 - 2**-15))
    return out


def trim(samples: Samples, rate: int) -> tuple[Samples, int]:
    """A whole piece without its outer silence, and how many samples went in front. See Trimmer."""
    trimmer = Trimmer(rate)
    return np.concatenate([trimmer.feed(samples), trimmer.flush()]), trimmer.dropped


class Trimmer:
    """Cuts the silence in front of and behind one piece whose audio comes in blocks.

    `scale`: how much more silence than at normal pace is kept: slow speech has slow pauses.
    """

    def __init__(self, rate: int, scale: float = 1.0) -> None:
        self._lead = round(LEAD_MS * rate * scale / 1000)
        self._tail = round(TAIL_MS * rate * scale / 1000)
        self._held = np.zeros(0, np.float32)
        self._heard = False
        self.dropped = 0
        """Samples cut in front so far; final once `feed` has answered anything."""

    def feed(self, samples: Samples) -> Samples:
        """What is sure to be kept by now: everything up to the last sound and what must follow it."""
        held = np.concatenate([self._held, samples]) if self._held.size else samples
        active = np.flatnonzero(np.abs(held[self._held.size if self._heard else 0 :]) > _ACTIVE)
        if not active.size:
            keep = held.size if self._heard else min(held.size, self._lead)
            self.dropped += held.size - keep
            self._held = held[held.size - keep :]
            return held[:0]
        last = (self._held.size if self._heard else 0) + int(active[-1])
        first = 0 if self._heard else max(0, int(active[0]) - self._lead)
        self.dropped += first
        self._heard = True
        end = min(held.size, last + 1)
        self._held = held[end:]
        return held[first:end]

    def flush(self) -> Samples:
        """The piece has ended: what is kept behind the last sound. Nothing of a piece that was silent throughout."""
        return self._held[: self._tail] if self._heard else self._held[:0]
