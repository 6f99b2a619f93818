"""AAC packets to samples: what Safari's MediaRecorder makes. FFmpeg's decoder, through PyAV, fed packets.

Only AAC-LC and HE-AAC in mono or stereo. A packet may bring its own list of up to 64 channels, and PyAV then reads
beyond the frame (18.1.0, found by fuzzing, 2026-11): such a frame is refused before it is touched. With that, 800,000
damaged packets did not crash it.
"""

from typing import TYPE_CHECKING

import numpy as np

from voxgate.audio.codecs.opus import invalid
from voxgate.audio.codecs.packets import bounded
from voxgate.domain import Samples

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

MAX_PACKET_BYTES = 8_192
"""More than any packet has: 768 bytes a channel (ISO 14496-3, 6,144 bits), rounded up for what else it may carry."""

_LC, _HE, _HE_V2 = 2, 5, 29
_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_ESCAPE = 15


class AacCodec:
    """One stream of packets, decoded to mono."""

    def __init__(self, config: bytes) -> None:
        """`config`: the AudioSpecificConfig (ISO 14496-3, 1.6). Raises PeerError `invalid_audio` for unusual ones."""
        self.rate = _checked_rate(config)
        self._config = config
        self._context: AudioCodecContext | None = None

    def decode(self, packet: bytes) -> Samples:
        """The samples of one packet. Raises PeerError `invalid_audio`; the next packet may be fine again."""
        import av

        if not 0 < len(packet) <= MAX_PACKET_BYTES:  # FFmpeg takes an empty one for the end of the stream
            raise invalid(f"An AAC packet has {len(packet)} bytes; 1 to {MAX_PACKET_BYTES} are possible.")
        if self._context is None:
            context = av.CodecContext.create("aac", "r")
            assert isinstance(context, av.AudioCodecContext)
            context.extradata = self._config
            context.open()
            self._context = context
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError:
            raise invalid("An AAC packet is damaged.") from None
        sounds = [np.zeros(0, np.float32)]
        for frame in frames:
            if frame.layout.nb_channels > 2 or frame.format.name != "fltp" or frame.sample_rate not in _RATES:
                raise invalid("An AAC packet is damaged: it changes what it was said to hold.")
            self.rate = frame.sample_rate
            sounds.append(bounded(frame.to_ndarray().mean(axis=0)))
        return np.concatenate(sounds)


def _checked_rate(config: bytes) -> int:
    """The rate that the config names; for HE-AAC the higher one, which is what comes out."""
    bits = int.from_bytes(config[:16].ljust(16, b"\0"), "big")
    left = 128

    def read(width: int) -> int:
        nonlocal left
        left -= width
        return bits >> left & (1 << width) - 1

    def read_rate() -> int:
        index = read(4)
        if index == _ESCAPE:
            rate = read(24)
            return rate if rate in _RATES else 0
        return _RATES[index] if index < len(_RATES) else 0

    kind, rate, channels = read(5), read_rate(), read(4)
    if kind in (_HE, _HE_V2):
        rate = read_rate()
    if kind not in (_LC, _HE, _HE_V2) or channels not in (1, 2) or not rate:
        raise invalid("The AAC stream cannot be decoded; AAC-LC and HE-AAC in mono or stereo can.")
    return rate
