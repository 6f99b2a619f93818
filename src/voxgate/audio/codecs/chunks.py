"""Speech as a row of small files that each play on their own, for clients that play every chunk as it arrives.

Such a client hears every seam, so the speech is cut where it is quiet; and it plays a chunk for as long as the chunk
says, so each says exactly how long it is: MP3 in the encoder's own tag (Xing/LAME: delay and padding), Opus by pre-skip
and the last page's clock, WAV in its header.
"""

import io

import numpy as np

from voxgate.audio.codecs.formats import ENCODED_RATE, Format, bit_rate_kbit, parse_format
from voxgate.audio.codecs.wav import wav_header
from voxgate.audio.framing import to_pcm16
from voxgate.audio.resample import Resampler
from voxgate.domain import Samples
from voxgate.errors import Code, PeerError

CHUNK_FORMATS = (Format.MP3, Format.WAV, Format.OPUS)
"""What a chunk can be in."""

MIN_SAMPLES = ENCODED_RATE * 200 // 1000
"""The shortest chunk, but for the last one of a short speech (contract 6: 200 to 600 ms)."""
FIRST_MAX_SAMPLES = ENCODED_RATE * 300 // 1000
"""The longest first chunk: how soon it leaves is how soon a voice is heard."""
MAX_SAMPLES = ENCODED_RATE * 600 // 1000

_WINDOW = ENCODED_RATE // 100
"""10 ms: two periods of a low voice, so that a pause is told from a zero crossing."""


class ChunkCutter:
    """Cuts speech, as it is made, into chunks of MIN_SAMPLES to MAX_SAMPLES at ENCODED_RATE."""

    def __init__(self, rate: int) -> None:
        """`rate`: samples per second of what is fed."""
        self._resampler = Resampler(rate, ENCODED_RATE)
        self._held = np.zeros(0, np.float32)
        self._is_first = True

    def feed(self, samples: Samples) -> list[Samples]:
        """The chunks that are complete with `samples`."""
        return self._chunks(self._resampler.feed(samples))

    def flush(self) -> list[Samples]:
        """The rest; the cutter is used up. Only the second chunk of two, or an only one, is below MIN_SAMPLES."""
        chunks = self._chunks(self._resampler.flush())
        if len(self._held) > MAX_SAMPLES:
            chunks.append(self._cut(quietest(self._held, MIN_SAMPLES, len(self._held) - MIN_SAMPLES)))
        if len(self._held):
            chunks.append(self._cut(len(self._held)))
        return chunks

    def _chunks(self, samples: Samples) -> list[Samples]:
        self._held = np.concatenate([self._held, samples])
        chunks = []
        if self._is_first and len(self._held) >= FIRST_MAX_SAMPLES:
            chunks.append(self._cut(quietest(self._held, MIN_SAMPLES, FIRST_MAX_SAMPLES)))
        # Behind each of these cuts there is enough for another chunk, so that no scrap remains for the end.
        while len(self._held) >= MAX_SAMPLES + MIN_SAMPLES and not self._is_first:
            chunks.append(self._cut(quietest(self._held, MIN_SAMPLES, MAX_SAMPLES)))
        return chunks

    def _cut(self, place: int) -> Samples:
        self._is_first = False
        chunk, self._held = self._held[:place], self._held[place:]
        return chunk


def quietest(samples: Samples, first: int, last: int) -> int:
    """The place from `first` to `last` (not behind the end) where a cut is heard least; the later of two alike.

    It is the smallest sample of the quietest window of 10 ms.
    """
    starts = range(first - _WINDOW // 2, last - _WINDOW // 2 + 1, _WINDOW // 4)
    squares = np.concatenate([[0.0], np.cumsum(np.square(samples[: last + _WINDOW], dtype=np.float64))])
    energies = [squares[min(start + _WINDOW, len(squares) - 1)] - squares[max(start, 0)] for start in starts]
    start = max(starts[len(energies) - 1 - int(np.argmin(energies[::-1]))], first)
    end = min(start + _WINDOW, last + 1, len(samples))
    return start + int(np.argmin(np.abs(samples[start:end]))) if end > start else last


def encode_chunk(fmt: Format | str, samples: Samples, quality_kbit: int | None = None) -> bytes:
    """One file with exactly these samples, mono at ENCODED_RATE. `quality_kbit` as in `open_encoder`.

    Exactly: from 10 ms on, an MP3 of less is padded. Raises PeerError `unsupported_format` for what is not one of
    CHUNK_FORMATS. A second takes 8 ms of a core as MP3, 4 as Opus, next to nothing as WAV.
    """
    fmt = parse_format(fmt, param="output_format")
    if fmt is Format.WAV:
        data = to_pcm16(samples)
        return wav_header(ENCODED_RATE, len(data)) + data
    if fmt not in CHUNK_FORMATS:
        known = ", ".join(CHUNK_FORMATS)
        raise PeerError(
            f"{fmt.value!r} does not play in chunks; use one of {known}",
            code=Code.UNSUPPORTED_FORMAT,
            param="output_format",
        )
    return _compressed(fmt, samples, bit_rate_kbit(fmt, quality_kbit))


def _compressed(fmt: Format, samples: Samples, kbit: int) -> bytes:
    import av

    file = io.BytesIO()
    is_mp3 = fmt is Format.MP3
    # The file can be sought in, so the MP3 muxer goes back and writes how many samples are not to be played.
    muxing = {"id3v2_version": "0"} if is_mp3 else {"page_duration": "20000"}
    # Half the time of the defaults: every chunk has an encoder of its own, and is heard once.
    coding = {"compression_level": "7" if is_mp3 else "5"}
    with av.open(file, "w", format="mp3" if is_mp3 else "ogg", container_options=muxing) as container:
        stream = container.add_stream("libmp3lame" if is_mp3 else "libopus", rate=ENCODED_RATE, options=coding)
        stream.layout = "mono"
        stream.format = "fltp" if is_mp3 else "flt"
        stream.bit_rate = kbit * 1000
        frame = av.AudioFrame.from_ndarray(np.clip(samples, -1, 1)[None, :], format=stream.format.name, layout="mono")
        frame.sample_rate, frame.pts = ENCODED_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
