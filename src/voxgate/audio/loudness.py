"""How loud audio is, and raising what is too quiet."""

import math

import numpy as np

from voxgate.domain import Samples

SILENCE_DBFS = -120.0
"""What the levels answer for digital silence and for no samples at all (24 bits end near -144, 16 bits at -96)."""


def decibels(level: float) -> float:
    """A linear level (1 is full scale) in dBFS."""
    return max(SILENCE_DBFS, 20 * math.log10(level)) if level > 0 else SILENCE_DBFS


def peak_dbfs(samples: Samples) -> float:
    """The highest absolute sample."""
    return decibels(float(np.max(np.abs(samples)))) if len(samples) else SILENCE_DBFS


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
