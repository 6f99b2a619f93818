"""MP3, Opus, FLAC and AAC through PyAV, every packet handed out as soon as it exists."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.audio.resample import Resampler
from voxgate.domain import Samples

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream


@dataclass(frozen=True, slots=True)
class _Codec:
    container: str
    codec: str
    sample_format: str
    codec_options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)


_CODECS = {
    # No ID3 tag and no Xing frame: both describe a finished file, and the first byte should be sound.
    Format.MP3: _Codec("mp3", "libmp3lame", "fltp", {}, {"id3v2_version": "0", "write_xing": "0"}),
    # A page a packet: ffmpeg's Ogg muxer otherwise gathers a page of one second, and holds back two.
    Format.OPUS: _Codec("ogg", "libopus", "flt", {"frame_duration": "20"}, {"page_duration": "20000"}),
    # Frames of 1,152 samples (48 ms) instead of the 96 ms that ffmpeg takes at 24 kHz.
    Format.FLAC: _Codec("flac", "flac", "s16", {"frame_size": "1152"}),
    Format.AAC: _Codec("adts", "aac", "fltp"),
}


class _Sink:
    """Where the muxer writes. It has no `seek`, so the muxer knows that it cannot go back to fill in sizes."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        """What has been written since the last call."""
        data = bytes(self._data)
        self._data.clear()
        return data


class CompressedEncoder:
    """One stream of speech into one file of a compressed format."""

    def __init__(self, fmt: Format, rate: int, content_type: str, bit_rate_kbit: int) -> None:
        import av

        recipe = _CODECS[fmt]
        self.content_type = content_type
        self._resampler = Resampler(rate, ENCODED_RATE)
        self._sample_format = recipe.sample_format
        self._position = 0
        self._sink = _Sink()
        self._container = av.open(
            self._sink, "w", format=recipe.container, options={"flush_packets": "1", **recipe.container_options}
        )
        stream = self._container.add_stream(recipe.codec, rate=ENCODED_RATE, options=dict(recipe.codec_options))
        self._stream = cast("AudioStream", stream)
        self._stream.layout = "mono"
        self._stream.format = recipe.sample_format
        if bit_rate_kbit:
            self._stream.bit_rate = bit_rate_kbit * 1000

    def feed(self, samples: Samples) -> bytes:
        self._encode(self._resampler.feed(samples))
        return self._sink.take()

    def close(self) -> bytes:
        self._encode(self._resampler.flush())
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()

    def _encode(self, samples: Samples) -> None:
        if len(samples):
            self._container.mux(self._stream.encode(self._frame(samples)))

    def _frame(self, samples: Samples) -> "AudioFrame":
        from av import AudioFrame

        within = np.clip(samples, -1, 1)
        if self._sample_format == "s16":
            within = np.rint(within * 32_767).astype(np.int16)
        frame = AudioFrame.from_ndarray(within[None, :], format=self._sample_format, layout="mono")
        frame.sample_rate = ENCODED_RATE
        frame.pts = self._position
        self._position += len(samples)
        return frame
