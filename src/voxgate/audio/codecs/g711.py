"""G.711 μ-law, the 8-bit telephone code: one table."""

import numpy as np

from voxgate.domain import Samples


def _decoded(code: int) -> int:
    """A byte as a sample on the 16-bit scale (ITU-T G.711, table 2a): inverted; sign, 3 bits segment, 4 bits step."""
    code = ~code & 0xFF
    segment, step = code >> 4 & 7, code & 15
    # 132 is the bias of the code on this scale: it makes every segment begin at a power of two.
    magnitude = (((step << 3) + 132) << segment) - 132
    return -magnitude if code & 0x80 else magnitude


_TABLE = np.array([_decoded(code) for code in range(256)], np.float32) / np.float32(32_768)


def from_mulaw(data: bytes) -> Samples:
    """One sample a byte; full scale is ±32,124 of 32,768. Every byte is valid."""
    samples: Samples = _TABLE[np.frombuffer(data, np.uint8)]
    return samples
