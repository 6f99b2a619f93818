"""What a client's microphone sends, as speech: the container is told by its first bytes, whatever it is labelled.

Browsers' recorders write a header into the first chunk only, and clients label what they record as they like: the
published example calls WebM `pcm16`. A new header at the beginning of a chunk begins a new recording.
"""

from collections.abc import Callable

import numpy as np

from voxgate.audio.codecs import fmp4, ogg, riff, webm
from voxgate.audio.codecs.opus import invalid
from voxgate.audio.codecs.packets import ContainerDecoder, Outlet
from voxgate.audio.codecs.pull import Parser
from voxgate.audio.codecs.sniff import Kind, sniff
from voxgate.audio.codecs.stream import StreamDecoder, check_rate, open_stream
from voxgate.domain import Samples
from voxgate.errors import PeerError

RAW = ("pcm16", "mulaw")
"""Labels of sound that has no header: what has none is decoded so."""
CONTAINERS = ("webm", "ogg", "opus", "mp4", "m4a", "wav")
"""Labels of sound that has one; which it is, the header says."""

_ANY = None
_HEADERS: tuple[tuple[tuple[int | None, ...], Callable[[Outlet], Parser]], ...] = (
    (tuple(webm.MAGIC), webm.parse),
    ((*b"OggS\0", 2), ogg.parse),  # 2: a stream's first page; any other one goes on with a recording
    ((_ANY, _ANY, _ANY, _ANY, *b"ftyp"), fmp4.parse),
    ((*b"RIFF", _ANY, _ANY, _ANY, _ANY, *b"WAVE"), riff.parse),
)
"""What recordings begin with. No sound does by chance: each fixes four bytes or more."""
_WHOLE_FILES = frozenset({Kind.FLAC, Kind.AIFF, Kind.AMR})


def open_recording(label: str, sample_rate: int | None = None) -> StreamDecoder:
    """A decoder for what a microphone sends under `label` (one of RAW or CONTAINERS), one recording after the other.

    Headers are believed, not labels; the label and `sample_rate` say what sound without a header is. After an error, or
    `flush`, the next header begins a new recording; what follows damage is decoded as far as the container allows.
    Raises PeerError `invalid_value` about `format` or `sample_rate`.
    """
    if label not in (*RAW, *CONTAINERS):
        known = ", ".join((*RAW, *CONTAINERS))
        raise PeerError(f"{label[:40]!r} is not a format a recording can have; use one of {known}", param="format")
    check_rate(sample_rate)
    return _Recordings(label, sample_rate)


class _Recordings:
    def __init__(self, label: str, sample_rate: int | None) -> None:
        self._label = label
        self._sample_rate = sample_rate
        self._decoder: StreamDecoder | None = None
        self._head = b""
        """A chunk that may be the beginning of a header: of fewer bytes than a header has."""
        self._ended = np.zeros(0, np.float32)
        """The end of a recording, as long as nobody could be given it."""

    @property
    def step(self) -> int | None:
        return ContainerDecoder.step if self._decoder is None else self._decoder.step

    def feed(self, data: bytes) -> Samples:
        data, self._head = self._head + data, b""
        parser, is_sure = _header(data)
        if not is_sure:
            self._head = data
            return np.zeros(0, np.float32)
        if parser is not None:
            self._end()
            self._decoder = ContainerDecoder(parser)
        elif self._decoder is None:
            self._decoder = self._raw(data)
        samples = self._decoder.feed(data)
        ended, self._ended = self._ended, np.zeros(0, np.float32)
        return np.concatenate([ended, samples])

    def drain(self) -> Samples:
        rest = np.zeros(0, np.float32) if self._decoder is None else self._decoder.drain()
        ended, self._ended = self._ended, np.zeros(0, np.float32)
        return np.concatenate([ended, rest])

    def flush(self) -> Samples:
        if self._head and (self._decoder is not None or self._label in RAW):
            self._decoder = self._decoder or self._raw(self._head)
            self._ended = np.concatenate([self._ended, self._decoder.feed(self._head)])
        self._head = b""
        self._end()
        ended, self._ended = self._ended, np.zeros(0, np.float32)
        return ended

    def _end(self) -> None:
        if self._decoder is not None:
            self._ended = np.concatenate([self._ended, self._decoder.flush()])
            self._decoder = None

    def _raw(self, data: bytes) -> StreamDecoder:
        """A decoder for sound that has no header. Raises PeerError `invalid_audio` where that cannot be meant."""
        kind = sniff(data)
        if kind in _WHOLE_FILES or data.startswith(b"ID3"):
            raise invalid(f"The recording is {kind.upper()}, which cannot be decoded in pieces; WebM, Ogg and MP4 can.")
        if self._label == "pcm16":
            return open_stream("pcm16", self._sample_rate)
        if self._label == "mulaw":
            return open_stream("mulaw", self._sample_rate)
        raise invalid(f"The recording has no header, and 'format' is {self._label!r}: its first chunk is missing.")


def _header(data: bytes) -> tuple[Callable[[Outlet], Parser] | None, bool]:
    """What parses the recording that begins with `data` (None: none begins), and whether that is sure already."""
    is_undecided = False
    for pattern, parser in _HEADERS:
        if all(want in (_ANY, byte) for want, byte in zip(pattern, data, strict=False)):
            if len(data) >= len(pattern):
                return parser, True
            is_undecided = True
    return None, not is_undecided
