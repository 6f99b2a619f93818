"""Opus packets to samples (RFC 6716), and the header that comes before them in every container (RFC 7845, 5.1).

libopus decodes, through PyAV; always to mono at 48 kHz: it averages the channels of a stereo packet itself, and any
packet can be decoded at that rate with exact timing. 200,000 damaged packets did not crash it (2026-11: FFmpeg 8, the
PyAV wheel), and one packet costs about 30 µs, so it runs where it is called.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxgate.audio.codecs.packets import bounded
from voxgate.domain import Samples
from voxgate.errors import Code, PeerError

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

OPUS_RATE = 48_000
"""Samples per second in which Opus counts, whatever was recorded."""
MAX_PACKET_SAMPLES = 5_760
"""The longest packet: 120 ms (RFC 6716, 3.2.5, R5)."""
MAX_PACKET_BYTES = 61_440
"""The longest packet that makes sense: 48 frames of 1,275 bytes and their lengths (RFC 7845, 6)."""

_SILK_SAMPLES = (480, 960, 1920, 2880)
_CELT_SAMPLES = (120, 240, 480, 960)


@dataclass(frozen=True, slots=True)
class OpusHead:
    """What a decoder must know before the first packet."""

    channels: int = 1
    """1 or 2, as recorded."""
    pre_skip: int = 0
    """Samples at OPUS_RATE to throw away at the beginning: the encoder's delay."""
    gain: int = 0
    """To be applied when decoding, in 1/256 dB."""


def parse_opus_head(data: bytes) -> OpusHead:
    """The identification header `OpusHead`. Raises PeerError `invalid_audio`; more than two channels are refused."""
    if len(data) < 19 or data[:8] != b"OpusHead":
        raise invalid("The Opus header is damaged.")
    version, channels, pre_skip, _, gain, family = struct.unpack_from("<BBHIhB", data, 8)
    if version > 15:  # the upper four bits are the major version
        raise invalid(f"The Opus header is of version {version}; 1 can be decoded.")
    return checked_head(channels, pre_skip, gain, family)


def checked_head(channels: int, pre_skip: int, gain: int, family: int) -> OpusHead:
    """The header with these values. Raises PeerError `invalid_audio` for more channels than a voice needs."""
    if family not in (0, 1) or channels not in (1, 2):
        raise invalid(f"The Opus stream has {channels} channels of family {family}; mono and stereo can be decoded.")
    return OpusHead(channels, pre_skip, gain)


def packet_samples(packet: bytes) -> int:
    """How long a packet plays, in samples at OPUS_RATE, from its first two bytes (RFC 6716, 3.1).

    Raises PeerError `invalid_audio` for a packet that says it is empty or longer than MAX_PACKET_SAMPLES.
    """
    if not packet:
        raise invalid("An Opus packet is empty.")
    mode, code = packet[0] >> 3, packet[0] & 3
    if mode < 12:
        frame = _SILK_SAMPLES[mode & 3]
    elif mode < 16:
        frame = _SILK_SAMPLES[mode & 1]
    else:
        frame = _CELT_SAMPLES[mode & 3]
    if code < 3:
        return frame * (1 if code == 0 else 2)
    if len(packet) < 2:
        raise invalid("An Opus packet ends before its count of frames.")
    samples = frame * (packet[1] & 63)
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise invalid(f"An Opus packet claims {samples / OPUS_RATE * 1000:g} ms; 2.5 to 120 are possible.")
    return samples


def invalid(message: str) -> PeerError:
    """The error for audio on a stream that cannot be what it says."""
    return PeerError(message, code=Code.INVALID_AUDIO, param="audio")


class OpusCodec:
    """One stream of packets, decoded to mono at OPUS_RATE."""

    rate = OPUS_RATE

    def __init__(self, head: OpusHead | None = None) -> None:
        self._gain = head.gain if head else 0
        self._last_toc = 0
        self._context: AudioCodecContext | None = None

    def decode(self, packet: bytes) -> Samples:
        """The samples of one packet. Raises PeerError `invalid_audio`; the next packet may be fine again."""
        import av

        packet_samples(packet)  # also: FFmpeg takes an empty packet for the end of the stream
        if len(packet) > MAX_PACKET_BYTES:
            raise invalid(f"An Opus packet has {len(packet)} bytes; at most {MAX_PACKET_BYTES} are possible.")
        if self._context is None:
            self._context = self._opened()
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError:
            raise invalid("An Opus packet is damaged.") from None
        self._last_toc = packet[0]
        return bounded(np.concatenate([frame.to_ndarray()[0] for frame in frames]))

    def conceal(self, samples: int) -> Samples:
        """`samples` in place of lost ones: 100 ms at most carried on from what came before, then silence."""
        sound: list[Samples] = []
        if self._context is not None:
            # A packet of nothing but its first byte has a frame without data: libopus takes it for a lost one.
            lost = bytes([self._last_toc & ~3])
            frames = min(samples, OPUS_RATE // 10) // packet_samples(lost)
            sound = [self.decode(lost) for _ in range(frames)]
        carried = sum(map(len, sound))
        return np.concatenate([*sound, np.zeros(samples - carried, np.float32)])

    def _opened(self) -> "AudioCodecContext":
        import av

        context = av.CodecContext.create("libopus", "r")
        assert isinstance(context, av.AudioCodecContext)
        # A header of our own: always mono, and nothing is skipped (the packets' reader does it, and knows the end too).
        context.extradata = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, OPUS_RATE, self._gain, 0)
        context.options = {"request_sample_fmt": "flt"}
        context.open()
        return context
