"""A whole audio file of any container, decoded to mono at SPEECH_RATE, block by block.

Files come from strangers. They are opened through a Python file object, so that ffmpeg has no name to build other
names from; only demuxers that read one file and nothing else are allowed (no playlists, no `concat`, no image
sequences); ffmpeg gets no protocol to open anything with. And this runs in a process of its own
(`engines/pyav_decoder.py`): a parser that crashes takes nobody with it.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from voxgate.audio.codecs.sniff import HEAD_BYTES, Kind, sniff
from voxgate.audio.framing import Windows
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

BLOCK = SPEECH_RATE
"""Samples in a block: one second. The last one may be shorter."""
MAX_RATE = 768_000
"""Highest sample rate that is believed; the fastest converters run at it."""

_DEMUXERS = {
    Kind.WAV: "wav",
    Kind.MP3: "mp3",
    Kind.MP4: "mov",
    Kind.FLAC: "flac",
    Kind.OGG: "ogg",
    Kind.WEBM: "matroska",
    Kind.AAC: "aac",
    Kind.AIFF: "aiff",
    Kind.AMR: "amr",
}
_ALLOWED = "wav,w64,mp3,mov,flac,ogg,matroska,webm,aac,aiff,amr,caf,au,asf,avi,mpegts,flv,ac3,eac3"
"""Demuxers for what `sniff` does not know: each of them reads its one file only."""

_KNOW_THEIR_LENGTH = frozenset({"flac", "mov", "ogg", "matroska"})
"""Demuxers that tell a track's length from what was written at its end; a streamed WAV claims 37 hours."""

_NOTHING = "The file holds no audio that can be decoded; it is empty, damaged or cut off."


def decode(file: BinaryIO, *, max_seconds: float) -> Iterator[Samples]:
    """The first audio track of `file` (seekable) as blocks of BLOCK samples; memory does not grow with its length.

    What a truncated or damaged file still holds is decoded. Channels are averaged; pictures and video are passed over.
    Raises PeerError `invalid_audio` (empty, not audio, no audio track, nothing decodable) and `input_too_long`, both
    about `file`.
    """
    from av.stream import Discard

    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head:
        raise _invalid("The file is empty.")
    with contextlib.closing(_open(file, sniff(head))) as container:
        if not container.streams.audio:
            raise _invalid("The file has no audio track." if len(container.streams) else _NOTHING)
        track = container.streams.audio[0]
        for stream in container.streams:
            if stream.index != track.index:
                stream.discard = Discard.all
        if _declared_seconds(container, track) > max_seconds:
            raise _too_long(max_seconds)  # hours need not be decoded to learn that they are too many
        yield from _blocks(_samples(container, track), max_seconds)


def _declared_seconds(container: "InputContainer", track: "AudioStream") -> float:
    """How long the file says it is; 0 where it does not say, or cannot be believed."""
    if container.format.name.split(",")[0] not in _KNOW_THEIR_LENGTH:
        return 0.0
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    return (container.duration or 0) / 1_000_000  # av.time_base: microseconds


def _too_long(max_seconds: float) -> PeerError:
    return PeerError(
        f"The audio is longer than the {max_seconds:g} seconds that one file may have.",
        code=Code.INPUT_TOO_LONG,
        param="file",
    )


def _invalid(message: str) -> PeerError:
    return PeerError(message, code=Code.INVALID_AUDIO, param="file")


def _open(file: BinaryIO, kind: Kind) -> "InputContainer":
    import av

    options = {"format_whitelist": _ALLOWED, "protocol_whitelist": "none", "err_detect": "ignore_err"}
    try:
        return av.open(file, "r", format=_DEMUXERS.get(kind), options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        if kind is Kind.UNKNOWN:
            raise _invalid("The file is not audio in a known format; send WAV, MP3, M4A, FLAC, OGG or WEBM.") from None
        raise _invalid(f"The file begins like {kind.upper()} but cannot be read; it is damaged or cut off.") from None


def _samples(container: "InputContainer", track: "AudioStream") -> Iterator[Samples]:
    """Mono audio at SPEECH_RATE in pieces of at most about a second; damaged packets are passed over."""
    rate = 0
    resampler = Resampler(SPEECH_RATE, SPEECH_RATE)
    for frame in _frames(container, track):
        if frame.sample_rate != rate:
            yield resampler.flush()
            rate = frame.sample_rate
            if not 0 < rate <= MAX_RATE:
                raise _invalid(f"The file claims {rate} samples a second; between 1 and {MAX_RATE} can be decoded.")
            resampler = Resampler(rate, SPEECH_RATE)
        mono = _mono(frame)
        for at in range(0, len(mono), rate):  # a frame of a 1 Hz file is an hour long: a second at a time
            yield resampler.feed(mono[at : at + rate])
    yield resampler.flush()


def _frames(container: "InputContainer", track: "AudioStream") -> Iterator["AudioFrame"]:
    import av

    with contextlib.suppress(av.FFmpegError):
        for packet in container.demux(track):
            with contextlib.suppress(av.FFmpegError):
                yield from packet.decode()


_MOST_PLANES = 7
"""Planes PyAV 18.1 can read: it looks for the list's end among the eight pointers a frame holds (libavutil/frame.h,
AV_NUM_DATA_POINTERS). Where all are taken, by 7.1 or a damaged packet's 24 channels, it reads stray memory, or dies."""


def _mono(frame: "AudioFrame") -> Samples:
    """The mean of the channels, full scale at 1, whatever the frame's sample format; what is no number is silence."""
    if frame.format.name.startswith("s64"):  # numpy's side of PyAV does not know it
        from av import AudioResampler

        frame = AudioResampler(format="dblp").resample(frame)[0]
    channels = frame.layout.nb_channels
    if frame.format.is_planar and channels > _MOST_PLANES:
        from av import AudioResampler

        frame = AudioResampler(format="flt").resample(frame)[0]
    values = frame.to_ndarray()
    if frame.format.is_packed:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        mono = (values.mean(axis=0, dtype=np.float64) - 128) / 128
    elif values.dtype.kind == "i":
        mono = values.mean(axis=0, dtype=np.float64) / 2.0 ** (values.dtype.itemsize * 8 - 1)
    else:
        mono = np.clip(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), -1, 1).mean(axis=0)
    return np.asarray(mono, np.float32)


def _blocks(pieces: Iterator[Samples], max_seconds: float) -> Iterator[Samples]:
    """`pieces` cut anew into blocks; counts them."""
    blocks = Windows(BLOCK)
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > max_seconds * SPEECH_RATE:
            raise _too_long(max_seconds)
        yield from blocks.feed(np.clip(piece, -1, 1))
    if not total:
        raise _invalid(_NOTHING)
    rest = blocks.pending
    last = blocks.flush()
    if last is not None:
        yield last[:rest]
