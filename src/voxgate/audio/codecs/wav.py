"""WAV and bare PCM: 16-bit little-endian mono at ENCODED_RATE, while it is being made."""

import struct

from voxgate.audio.codecs.formats import ENCODED_RATE
from voxgate.audio.framing import to_pcm16
from voxgate.audio.resample import Resampler
from voxgate.domain import Samples

UNKNOWN_SIZE = 0xFFFFFFFF
"""The sizes of a stream whose length nobody knows yet: ffmpeg writes the same into a pipe, and players read on."""


def wav_header(rate: int, data_bytes: int | None = None) -> bytes:
    """The 44 bytes before 16-bit mono PCM; `data_bytes` None where the length is not known yet."""
    data = UNKNOWN_SIZE if data_bytes is None else data_bytes
    riff = UNKNOWN_SIZE if data_bytes is None else data_bytes + 36
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", data
    )


class PcmEncoder:
    """Samples as PCM, with a WAV header in front or without."""

    def __init__(self, rate: int, content_type: str, *, header: bool) -> None:
        self.content_type = content_type
        self._resampler = Resampler(rate, ENCODED_RATE)
        self._head = wav_header(ENCODED_RATE) if header else b""

    def feed(self, samples: Samples) -> bytes:
        return self._out(self._resampler.feed(samples))

    def close(self) -> bytes:
        return self._head_once() + self._out(self._resampler.flush())

    def _out(self, samples: Samples) -> bytes:
        return self._head_once() + to_pcm16(samples) if len(samples) else b""

    def _head_once(self) -> bytes:
        head, self._head = self._head, b""
        return head
