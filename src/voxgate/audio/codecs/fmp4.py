"""AAC or Opus in fragmented MP4 (ISO 14496-12), cut anywhere: from Safari's MediaRecorder, and Chromium's on request.

A `moov` box lists the tracks; then every `moof` lists the samples (packets) in the `mdat` that follows it. A file whose
samples are listed once, for the whole of it, has no fragments and is refused: its list mostly comes last. Durations are
not looked at: Chromium 156 writes wrong ones at the end of each fragment.
"""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from voxgate.audio.codecs.aac import AacCodec
from voxgate.audio.codecs.opus import OpusCodec, checked_head, invalid
from voxgate.audio.codecs.packets import Outlet, PacketCodec, Track
from voxgate.audio.codecs.pull import Parser, Seek, Skip, Take, Want
from voxgate.errors import PeerError

MAX_HEADER_BYTES = 262_144
"""The longest `moov` or `moof` that is read; Chromium's have 605 and 108 bytes."""
MAX_BOX_BYTES = 1 << 26
"""The longest box that is believed: 64 MiB."""
MAX_FRAGMENT_PACKETS = 16_384
"""The most packets in one fragment: almost six minutes of AAC. A few bytes may claim 2^32."""
MAX_PACKET_BYTES = 65_536

_JUNK_BYTES = 65_536
_PASSED_OVER = frozenset(b"ftyp styp free skip wide sidx ssix emsg prft mfra uuid meta pdin udta".split())
_DAMAGED = "The MP4 stream is damaged: "


def parse(outlet: Outlet) -> Parser:
    """The first audio track of a fragmented MP4. Damage is told, and costs what lies before the next fragment."""
    reader = _Reader(outlet)
    while True:
        try:
            yield from reader.boxes()
        except PeerError as error:
            outlet.refuse(error)
        mark = b"moof" if reader.track else b"ftyp"
        while not (yield Seek(mark, within=_JUNK_BYTES, ahead=4)):
            outlet.refuse(invalid(f"{_DAMAGED}nothing to go on with within {_JUNK_BYTES} bytes."))


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    default_size: int


class _Reader:
    def __init__(self, outlet: Outlet) -> None:
        self.track: _Track | None = None
        self._outlet = outlet
        self._at = 0
        """Position in the file; after damage only differences of it are right."""
        self._packets: list[tuple[int, int]] = []
        """Position and size of what the last fragments listed and no `mdat` has brought yet."""

    def boxes(self) -> Generator[Want, bytes, None]:
        """Reads for ever. Raises PeerError `invalid_audio` where no box can stand."""
        self._packets.clear()
        while True:
            start = self._at
            size, kind = struct.unpack(">I4s", (yield from self._take(8)))
            if size == 1:
                (size,) = struct.unpack(">Q", (yield from self._take(8)))
            elif size == 0 and kind == b"mdat":
                size = MAX_BOX_BYTES  # to the end of the file
            size -= self._at - start
            name = kind.decode("ascii", "replace")
            if not 0 <= size <= (MAX_HEADER_BYTES if kind in (b"moov", b"moof") else MAX_BOX_BYTES):
                raise invalid(f"{_DAMAGED}box {name!r} claims {size} bytes.")
            if kind == b"moov":
                self._begin((yield from self._take(size)))
            elif kind == b"moof":
                self._list((yield from self._take(size)), start)
            elif kind == b"mdat":
                yield from self._sound(size)
            elif kind in _PASSED_OVER:
                yield from self._skip(size)
            else:
                raise invalid(f"{_DAMAGED}no box is called {name!r}.")

    def _begin(self, moov: bytes) -> None:
        self.track = None
        self._packets.clear()
        number, codec, skip = _first_audio_track(moov)
        self.track = _Track(number, _default_size(moov, number))
        self._outlet.begin(Track(codec, skip))

    def _list(self, moof: bytes, start: int) -> None:
        if self.track is None:
            raise invalid("The MP4 stream has no list of tracks before its sound: its first chunk is missing.")
        for position, size in _listed(moof, start, self.track):
            if size > MAX_PACKET_BYTES or len(self._packets) >= MAX_FRAGMENT_PACKETS:
                raise invalid(f"{_DAMAGED}a fragment claims packets that are too long, or too many.")
            self._packets.append((position, size))
        self._packets.sort()

    def _sound(self, size: int) -> Generator[Want, bytes, None]:
        if self.track is None:
            raise invalid("The MP4 stream's list of tracks comes last; record fragmented MP4.")
        end = self._at + size
        due = [packet for packet in self._packets if packet[0] < end]
        del self._packets[: len(due)]
        for position, length in due:
            if position < self._at or position + length > end:
                raise invalid(f"{_DAMAGED}a packet lies outside of the box that should hold it.")
            yield from self._skip(position - self._at)
            self._outlet.decode((yield from self._take(length)))
        yield from self._skip(end - self._at)

    def _take(self, count: int) -> Generator[Want, bytes, bytes]:
        data = yield Take(count)
        self._at += count
        return data

    def _skip(self, count: int) -> Generator[Want, bytes, None]:
        yield Skip(count)
        self._at += count


def _children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes that `data` holds, one after the other."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise invalid(f"{_DAMAGED}a box is cut off.")
        yield kind, data[at + 8 : at + size]
        at += size


def _find(data: bytes, *path: bytes) -> bytes | None:
    """What the first box at `path` holds; None where there is none."""
    for kind, content in _children(data):
        if kind == path[0]:
            return content if len(path) == 1 else _find(content, *path[1:])
    return None


def _fields(layout: str, data: bytes, at: int = 0) -> tuple[int, ...]:
    if at + struct.calcsize(layout) > len(data):
        raise invalid(f"{_DAMAGED}a box ends before its fields.")
    return struct.unpack_from(layout, data, at)


def _first_audio_track(moov: bytes) -> tuple[int, PacketCodec, int]:
    """Number, codec, and how many of the codec's samples its delay is."""
    for kind, trak in _children(moov):
        if kind != b"trak":
            continue
        handler, header = _find(trak, b"mdia", b"hdlr") or b"", _find(trak, b"tkhd") or b""
        if handler[8:12] != b"soun":
            continue
        (number,) = _fields(">I", header, 20 if header[:1] == b"\1" else 12)
        codec, delay = _codec(_find(trak, b"mdia", b"minf", b"stbl", b"stsd") or b"")
        edited = _edited_away(trak, codec.rate)
        return number, codec, delay if edited is None else edited
    raise invalid("The MP4 stream has no audio track.")


def _codec(descriptions: bytes) -> tuple[PacketCodec, int]:
    """The codec of the first sample description, and its delay where that says it."""
    for kind, entry in _children(descriptions[8:]):
        (version,) = _fields(">H", entry, 8)
        boxes = entry[28 + 16 * min(version, 1) :]  # QuickTime's version 1 has four numbers more
        if kind == b"Opus":
            details = _find(boxes, b"dOps") or b""
            _, channels, pre_skip, _, gain, family = _fields(">BBHIhB", details)
            head = checked_head(channels, pre_skip, gain, family)
            return OpusCodec(head), head.pre_skip
        if kind == b"mp4a":
            return AacCodec(_aac_config(_find(boxes, b"esds") or b"")), 0
        raise invalid(
            f"The MP4 stream's sound is {kind.decode('ascii', 'replace')!r}; mp4a (AAC) and Opus can be decoded."
        )
    raise invalid(f"{_DAMAGED}its track has no description.")


def _aac_config(esds: bytes) -> bytes:
    """The AudioSpecificConfig inside the descriptors of an `esds` box (ISO 14496-1, 7.2.6)."""
    at = 4
    while True:
        (tag,) = _fields("B", esds, at)
        at, size = at + 1, 0
        for _ in range(4):  # a length of up to four bytes, seven bits each
            (byte,) = _fields("B", esds, at)
            at, size = at + 1, size << 7 | byte & 0x7F
            if byte < 0x80:
                break
        if tag == 3:
            (flags,) = _fields("B", esds, at + 2)
            if flags & 0xE0:
                raise invalid("The MP4 stream's sound depends on another stream.")
            at += 3
        elif tag == 4:
            (kind,) = _fields("B", esds, at)
            if kind not in (0x40, 0x67):
                raise invalid(f"The MP4 stream's sound is of type {kind:#x}; AAC (0x40) can be decoded.")
            at += 13
        elif tag == 5:
            return esds[at : at + size]
        else:
            at += size


def _edited_away(trak: bytes, rate: int) -> int | None:
    """How many samples of `rate` the edit list begins after; None without a list."""
    edits, media = _find(trak, b"edts", b"elst"), _find(trak, b"mdia", b"mdhd") or b""
    if edits is None:
        return None
    (timescale,) = _fields(">I", media, 20 if media[:1] == b"\1" else 12)
    (count,) = _fields(">I", edits, 4)
    layout = ">Qqi" if edits[:1] == b"\1" else ">Iii"
    for number in range(min(count, 16)):
        _, begin, _ = _fields(layout, edits, 8 + number * struct.calcsize(layout))
        if begin >= 0:  # -1: silence before the sound
            # More than a second is no delay of an encoder, but somebody's cut: what was recorded is heard.
            return begin * rate // timescale if 0 < timescale >= begin else 0
    return None


def _default_size(moov: bytes, track: int) -> int:
    extends = _find(moov, b"mvex")
    if extends is None:
        raise invalid("The MP4 stream is not fragmented; only fragmented MP4 can be decoded while it is recorded.")
    for kind, box in _children(extends):
        if kind == b"trex" and _fields(">I", box, 4) == (track,):
            return _fields(">I", box, 16)[0]
    return 0


def _listed(moof: bytes, start: int, track: _Track) -> Iterator[tuple[int, int]]:
    """Position and size of the packets of `track`, in the order of the list; sizes may be 0."""
    for kind, traf in _children(moof):
        if kind != b"traf":
            continue
        header = _find(traf, b"tfhd") or b""
        flags, number = _fields(">II", header)
        if number != track.number:
            continue
        at, base, default_size = 8, start, track.default_size
        if flags & 0x1:
            (base,), at = _fields(">Q", header, at), at + 8
        at += 4 * (bool(flags & 0x2) + bool(flags & 0x8))  # the description's index, the default duration
        if flags & 0x10:
            (default_size,) = _fields(">I", header, at)
        position = base
        for part, run in _children(traf):
            if part == b"trun":
                offset, sizes = _run(run, default_size)
                position = position if offset is None else base + offset
                for size in sizes:
                    yield position, size
                    position += size


def _run(run: bytes, default_size: int) -> tuple[int | None, list[int]]:
    """Where a run of packets begins, if not behind the one before it, and the packets' sizes."""
    flags, count = _fields(">II", run)
    at, offset = 8, None
    if flags & 0x1:
        (offset,), at = _fields(">i", run, at), at + 4
    at += 4 * bool(flags & 0x4)  # the first sample's flags
    if count > MAX_FRAGMENT_PACKETS:
        raise invalid(f"{_DAMAGED}a fragment claims {count} packets.")
    if not flags & 0x200:
        return offset, [default_size] * count
    width = 4 * (flags >> 8 & 0xF).bit_count()  # duration, size, flags, time offset
    first = at + 4 * bool(flags & 0x100)
    return offset, [_fields(">I", run, first + number * width)[0] for number in range(count)]
