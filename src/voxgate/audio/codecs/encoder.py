"""Speech to bytes of a file format, as it is made."""

from typing import Protocol

from voxgate.audio.codecs.formats import Format, bit_rate_kbit, content_type, parse_format
from voxgate.domain import Samples


class Encoder(Protocol):
    """One stream of speech on its way into one file; all outputs joined are that file."""

    content_type: str
    """For the Content-Type header."""

    def feed(self, samples: Samples) -> bytes:
        """What the file grows by; empty while the codec still gathers a frame (at most about 100 ms)."""
        ...

    def close(self) -> bytes:
        """The end of the file, and of the encoder."""
        ...


def open_encoder(fmt: Format | str, rate: int, quality_kbit: int | None = None) -> Encoder:
    """An encoder for mono speech at `rate` samples per second.

    `quality_kbit` is a wish (32 to 320); the nearest bit rate of the codec is taken, lossless formats ignore it.
    Raises PeerError `unsupported_format`.
    """
    fmt = parse_format(fmt)
    if fmt in (Format.WAV, Format.PCM):
        from voxgate.audio.codecs.wav import PcmEncoder

        return PcmEncoder(rate, content_type(fmt), header=fmt is Format.WAV)
    from voxgate.audio.codecs.compressed import CompressedEncoder

    return CompressedEncoder(fmt, rate, content_type(fmt), bit_rate_kbit(fmt, quality_kbit))
