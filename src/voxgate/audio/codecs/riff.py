"""WAV, cut anywhere: recorders that send a header, then PCM for as long as somebody speaks."""

import struct
from collections.abc import Callable

import numpy as np

from voxgate.audio.codecs.g711 import from_mulaw
from voxgate.audio.codecs.opus import invalid
from voxgate.audio.codecs.packets import Outlet, Track
from voxgate.audio.codecs.pull import Parser, Skip, Some, Take
from voxgate.audio.framing import from_pcm16
from voxgate.domain import Samples

MAX_FORMAT_BYTES = 1_024
"""The longest `fmt ` chunk that is read; 40 bytes are the most that mean anything."""
MAX_SKIPPED_BYTES = 1 << 24
"""The longest other chunk that is passed over: 16 MiB."""

_MIN_RATE, _MAX_RATE = 8_000, 192_000
_PCM, _FLOAT, _MULAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE
_ENDLESS = 0xFFFFFFFF
_BLOCK = 16_384


def parse(outlet: Outlet) -> Parser:
    """The sound of one WAV stream. What makes no sense is refused once, and all that follows it is passed over."""
    yield Skip(12)  # RIFF, a size that nobody knows yet, WAVE
    codec: PcmCodec | None = None
    while True:
        kind, size = struct.unpack("<4sI", (yield Take(8)))
        if kind == b"data" and codec is not None:
            # While it is being recorded, its size is written as the largest number, or as none.
            left = size or _ENDLESS
            while left:
                data = yield Some(left if left < _BLOCK else _BLOCK)
                left -= len(data) if left != _ENDLESS else 0
                outlet.decode(data)
        elif kind == b"fmt " and size <= MAX_FORMAT_BYTES:
            found = pcm_codec((yield Take(size)))
            if found is None:
                outlet.refuse(invalid("The WAV stream's sound cannot be decoded; PCM, float and μ-law can."))
                break
            codec = found
            outlet.begin(Track(codec))
        elif size <= MAX_SKIPPED_BYTES and kind not in (b"data", b"fmt "):
            yield Skip(size)
        else:
            outlet.refuse(invalid(f"The WAV stream is damaged at its chunk {kind.decode('ascii', 'replace')!r}."))
            break
        if size % 2 and size != _ENDLESS:
            yield Skip(1)
    while True:
        yield Some(_BLOCK)


class PcmCodec:
    """Interleaved samples of any kind, to mono."""

    def __init__(self, rate: int, channels: int, width: int, read: Callable[[bytes], Samples]) -> None:
        self.rate = rate
        self._channels = channels
        self._frame_bytes = channels * width
        self._read = read
        self._torn = b""

    def decode(self, packet: bytes) -> Samples:
        """The samples that are complete with `packet`, channels averaged."""
        data = self._torn + packet
        whole = len(data) // self._frame_bytes * self._frame_bytes
        self._torn = data[whole:]
        mono = self._read(data[:whole]).reshape(-1, self._channels).mean(axis=1)
        return np.asarray(mono, np.float32)


def pcm_codec(fmt: bytes) -> PcmCodec | None:
    """The codec that a `fmt ` chunk names; None for one that is unknown, or makes no sense."""
    if len(fmt) < 16:
        return None
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if form == _EXTENSIBLE and len(fmt) >= 26:
        (form,) = struct.unpack_from("<H", fmt, 24)  # the real one begins the GUID
    read = _READERS.get((form, bits))
    if read is None or not 1 <= channels <= 8 or not _MIN_RATE <= rate <= _MAX_RATE:
        return None
    return PcmCodec(rate, channels, bits // 8, read)


def _from_pcm8(data: bytes) -> Samples:
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(1 << 7)


def _from_pcm24(data: bytes) -> Samples:
    high = np.zeros((len(data) // 3, 4), np.uint8)  # the 24 bits as the upper ones of 32
    high[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return _from_pcm32(high.tobytes())


def _from_pcm32(data: bytes) -> Samples:
    return np.asarray(np.frombuffer(data, "<i4") / float(1 << 31), np.float32)


def _from_float(data: bytes) -> Samples:
    values = np.nan_to_num(np.frombuffer(data, "<f4"), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(values, -1, 1), np.float32)


_READERS: dict[tuple[int, int], Callable[[bytes], Samples]] = {
    (_PCM, 8): _from_pcm8,
    (_PCM, 16): from_pcm16,
    (_PCM, 24): _from_pcm24,
    (_PCM, 32): _from_pcm32,
    (_FLOAT, 32): _from_float,
    (_MULAW, 8): from_mulaw,
}
