"""Bytes to samples and back, and samples to windows: whatever the sizes they arrive in."""

import numpy as np

from voxgate.domain import Samples

_PCM16_SCALE = 32_768.0


def from_pcm16(data: bytes) -> Samples:
    """Little-endian 16-bit mono PCM as samples; `data` holds whole samples. Raises ValueError on an odd length."""
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(_PCM16_SCALE)


def to_pcm16(samples: Samples) -> bytes:
    """Samples as little-endian 16-bit PCM, rounded to the nearest step; beyond full scale they are clipped."""
    scaled = np.rint(samples * np.float32(_PCM16_SCALE))
    return bytes(np.clip(scaled, -_PCM16_SCALE, _PCM16_SCALE - 1).astype("<i2").tobytes())


class Pcm16Reader:
    """16-bit mono PCM that arrives in pieces of any length, cut anywhere."""

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: bytes) -> Samples:
        """The samples that are complete with `data`; half a sample is kept for the next call."""
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        return from_pcm16(data[:whole])


class Windows:
    """Cuts a stream of samples into windows of one size."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a window holds at least one sample, not {size}")
        self._size = size
        self._held: list[Samples] = []
        self._pending = 0

    @property
    def pending(self) -> int:
        """Samples that wait for the rest of their window."""
        return self._pending

    def feed(self, samples: Samples) -> list[Samples]:
        """The windows that are complete with `samples`, each of shape [size]."""
        self._held.append(samples)
        self._pending += len(samples)
        if self._pending < self._size:
            return []
        joined = np.concatenate(self._held)
        whole = self._pending // self._size * self._size
        self._pending -= whole
        self._held = [joined[whole:].copy()]
        return list(joined[:whole].reshape(-1, self._size))

    def flush(self) -> Samples | None:
        """The last window, filled up with zeros; None if nothing is pending."""
        pending = self._pending
        if not pending:
            return None
        window = np.zeros(self._size, np.float32)
        window[:pending] = np.concatenate(self._held)
        self._held, self._pending = [], 0
        return window
