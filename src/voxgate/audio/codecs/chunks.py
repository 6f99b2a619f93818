"""Speech as a row of small files that each play on their own, for clients that play every chunk as it arrives.

Such a client plays a chunk for as long as the chunk says, so each says exactly how long it is (where the speech is
cut, conversation/playout.py decides): MP3 in the encoder's own tag (Xing/LAME: delay and padding), Opus by pre-skip
and the last page's clock, WAV in its header.
"""

import io

import numpy as np

from voxgate.audio.codecs.formats import ENCODED_RATE, Format, bit_rate_kbit, parse_format
from voxgate.audio.codecs.wav import wav_header
from voxgate.audio.framing import to_pcm16
from voxgate.domain import Samples
from voxgate.errors import Code, PeerError

CHUNK_FORMATS = (Format.MP3, Format.WAV, Format.OPUS)
"""What a chunk can be in."""


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
