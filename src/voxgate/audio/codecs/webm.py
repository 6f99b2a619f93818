"""Opus in WebM (RFC 8794, RFC 9559), cut anywhere: what MediaRecorder makes.

The file is read flat: what only groups other elements (Segment, Cluster, BlockGroup) is entered and its size ignored,
for a recorder that is still recording does not know it. So only the elements of the standard are let through: where
another comes, the place in the file is lost, and reading goes on at the next Cluster.
"""

from collections.abc import Generator, Iterator

from voxgate.audio.codecs.opus import OpusCodec, OpusHead, invalid, parse_opus_head
from voxgate.audio.codecs.packets import Outlet, Track
from voxgate.audio.codecs.pull import Parser, Peek, Seek, Skip, Take, Want
from voxgate.errors import PeerError

MAX_HEADER_BYTES = 65_536
"""The longest EBML header or list of tracks that is read; Chromium's have 36 and 68 bytes."""
MAX_BLOCK_BYTES = 131_072
"""The longest block of sound: two of the longest Opus packets."""
MAX_SKIPPED_BYTES = 1 << 26
"""The longest element that is passed over, such as a video frame: 64 MiB."""

MAGIC = b"\x1a\x45\xdf\xa3"
_CLUSTER = b"\x1f\x43\xb6\x75"
_JUNK_BYTES = 65_536
_UNKNOWN = -1
_EBML, _TRACKS = 0x1A45DFA3, 0x1654AE6B
_BLOCKS = frozenset({0xA3, 0xA1})  # SimpleBlock, Block
_ENTERED = frozenset({0x18538067, 0x1F43B675, 0xA0})  # Segment, Cluster, BlockGroup
_PASSED_OVER = frozenset({
    0xEC, 0xBF,  # Void, CRC-32
    0x114D9B74, 0x1549A966, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367,  # a Segment's other parts
    0xE7, 0x5854, 0xA7, 0xAB, 0xAF,  # a Cluster's: Timestamp, SilentTracks, Position, PrevSize, EncryptedBlock
    0x9B, 0xFA, 0xFB, 0xFD, 0xA4, 0x75A1, 0x75A2, 0x8E,  # a BlockGroup's
})  # fmt: skip
_TRACK_ENTRY, _NUMBER, _TYPE, _CODEC, _PRIVATE, _ENCODINGS = 0xAE, 0xD7, 0x83, 0x86, 0x63A2, 0x6D80
_AUDIO = 2


def parse(outlet: Outlet) -> Parser:
    """The first audio track of a WebM stream. Damage is told, and costs what lies before the next Cluster."""
    reader = _Reader(outlet)
    while True:
        try:
            yield from reader.elements()
        except PeerError as error:
            outlet.refuse(error)
        # Without a list of tracks nothing can be decoded before the next recording begins.
        mark = MAGIC if reader.track is None else _CLUSTER
        while not (yield Seek(mark, within=_JUNK_BYTES)):
            outlet.refuse(invalid(f"The WebM stream is damaged: nothing to go on with within {_JUNK_BYTES} bytes."))


class _Reader:
    def __init__(self, outlet: Outlet) -> None:
        self.track: int | None = None
        """The number of the track that is decoded."""
        self._outlet = outlet

    def elements(self) -> Generator[Want, bytes, None]:
        """Reads for ever. Raises PeerError `invalid_audio` where no element can stand."""
        while True:
            element = yield from _element_id()
            size = yield from _element_size()
            if element in _ENTERED:
                continue
            if size == _UNKNOWN:
                raise invalid(f"The WebM stream is damaged: element {element:X} does not say how long it is.")
            if element == _EBML:
                self.track = None
                yield Skip(_checked(element, size, MAX_HEADER_BYTES))
            elif element == _TRACKS:
                self._begin((yield Take(_checked(element, size, MAX_HEADER_BYTES))))
            elif element in _BLOCKS:
                yield from self._block(element, size)
            elif element in _PASSED_OVER:
                yield Skip(_checked(element, size, MAX_SKIPPED_BYTES))
            else:
                raise invalid(f"The WebM stream is damaged: no element is called {element:X}.")

    def _begin(self, tracks: bytes) -> None:
        self.track = None
        number, head = _first_audio_track(tracks)
        self._outlet.begin(Track(OpusCodec(head), head.pre_skip))
        self.track = number

    def _block(self, element: int, size: int) -> Generator[Want, bytes, None]:
        if self.track is None:
            raise invalid("The WebM stream has no list of tracks before its sound: its first chunk is missing.")
        if size < 4:
            raise invalid("The WebM stream is damaged: a block ends before its header.")
        number, _ = _number((yield Peek(4)), 0)
        if number != self.track:
            yield Skip(_checked(element, size, MAX_SKIPPED_BYTES))
            return
        for packet in _frames((yield Take(_checked(element, size, MAX_BLOCK_BYTES)))):
            self._outlet.decode(packet)


def _checked(element: int, size: int, limit: int) -> int:
    if size > limit:
        raise invalid(f"The WebM stream is damaged: element {element:X} claims {size} bytes; {limit} are possible.")
    return size


def _element_id() -> Generator[Want, bytes, int]:
    first = (yield Take(1))[0]
    more = 8 - first.bit_length()
    if more > 3:
        raise invalid("The WebM stream is damaged: an element has no name.")
    return int.from_bytes(bytes([first]) + (yield Take(more)), "big")


def _element_size() -> Generator[Want, bytes, int]:
    first = (yield Take(1))[0]
    more = 8 - first.bit_length()
    if more > 7:
        raise invalid("The WebM stream is damaged: an element has no size.")
    value, _ = _number(bytes([first]) + (yield Take(more)), 0)
    return value


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length (RFC 8794, 4), and where the next thing begins; all ones mean _UNKNOWN."""
    if at >= len(data) or not data[at]:
        raise invalid("The WebM stream is damaged: a number is too long.")
    length = 9 - data[at].bit_length()
    if at + length > len(data):
        raise invalid("The WebM stream is damaged: a number is cut off.")
    ones = (1 << 7 * length) - 1
    value = int.from_bytes(data[at : at + length], "big") & ones
    return _UNKNOWN if value == ones else value, at + length


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that `data` holds, one after the other."""
    at = 0
    while at < len(data):
        width = 9 - data[at].bit_length()
        element = int.from_bytes(data[at : at + width], "big")
        size, start = _number(data, at + width)
        if size == _UNKNOWN or start + size > len(data):
            raise invalid("The WebM stream is damaged: its list of tracks is cut off.")
        yield element, data[start : start + size]
        at = start + size


def _first_audio_track(tracks: bytes) -> tuple[int, OpusHead]:
    for element, entry in _children(tracks):
        fields = dict(_children(entry)) if element == _TRACK_ENTRY else {}
        if int.from_bytes(fields.get(_TYPE, b"")) != _AUDIO:
            continue
        codec = fields.get(_CODEC, b"").rstrip(b"\0").decode("ascii", "replace")
        if codec != "A_OPUS":
            raise invalid(f"The WebM stream's sound is {codec[:40]!r}; A_OPUS can be decoded.")
        if _ENCODINGS in fields:
            raise invalid("The WebM stream's sound is compressed once more, or encrypted.")
        private = fields.get(_PRIVATE)
        return int.from_bytes(fields.get(_NUMBER, b"")), parse_opus_head(private) if private else OpusHead()
    raise invalid("The WebM stream has no audio track.")


def _frames(block: bytes) -> list[bytes]:
    """The packets of a block (RFC 9559, 10.3): one, or several with their sizes in front."""
    _, at = _number(block, 0)
    if at + 3 > len(block):
        raise invalid("The WebM stream is damaged: a block ends before its header.")
    lacing = block[at + 2] >> 1 & 3  # two bytes of time stamp, then the flags
    at += 3
    if lacing == 0:
        return [block[at:]]
    if at >= len(block):
        raise invalid("The WebM stream is damaged: a block ends before its sizes.")
    count = block[at] + 1
    sizes, at = (_xiph_sizes, _fixed_sizes, _ebml_sizes)[lacing - 1](block, at + 1, count)
    sizes.append(len(block) - at - sum(sizes))
    if min(sizes) < 0:
        raise invalid("The WebM stream is damaged: a block is shorter than what is in it.")
    frames = []
    for size in sizes:
        frames.append(block[at : at + size])
        at += size
    return frames


def _xiph_sizes(block: bytes, at: int, count: int) -> tuple[list[int], int]:
    sizes: list[int] = []
    while len(sizes) < count - 1:
        size = 0
        while True:
            if at >= len(block):
                raise invalid("The WebM stream is damaged: a block ends before its sizes.")
            size += block[at]
            at += 1
            if block[at - 1] < 255:
                break
        sizes.append(size)
    return sizes, at


def _fixed_sizes(block: bytes, at: int, count: int) -> tuple[list[int], int]:
    if (len(block) - at) % count:
        raise invalid("The WebM stream is damaged: a block cannot be divided as it says.")
    return [(len(block) - at) // count] * (count - 1), at


def _ebml_sizes(block: bytes, at: int, count: int) -> tuple[list[int], int]:
    sizes: list[int] = []
    while len(sizes) < count - 1:
        start = at
        value, at = _number(block, at)
        if value == _UNKNOWN:
            raise invalid("The WebM stream is damaged: a block ends before its sizes.")
        # All but the first are differences, written as unsigned numbers in the middle of their range.
        bias = (1 << 7 * (at - start) - 1) - 1
        sizes.append(value if not sizes else sizes[-1] + value - bias)
    return sizes, at
