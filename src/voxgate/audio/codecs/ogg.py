"""Opus in Ogg (RFC 3533, RFC 7845), cut anywhere.

Pages are told by their checksum, so a damaged one is passed over and counts as lost. What was lost, between two pages
whose numbers are not consecutive, is filled to its right length: the recording's clock goes on.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from voxgate.audio.codecs.opus import MAX_PACKET_BYTES, OPUS_RATE, OpusCodec, invalid, packet_samples, parse_opus_head
from voxgate.audio.codecs.packets import Outlet, Track
from voxgate.audio.codecs.pull import Parser, Peek, Seek, Skip, Want
from voxgate.domain import Samples
from voxgate.errors import PeerError

MAX_FILLED = 10 * OPUS_RATE
"""Samples that are filled at a gap at most, and never more than were heard since the last gap but this many: a gap that
claims to be longer is a jump of the recording's clock, and a few bytes must not become hours of silence."""

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_NO_GRANULE = (1 << 64) - 1
_JUNK_BYTES = 65_536
"""As much as a page can be: where no page begins for that long, there is no Ogg."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc(data: bytes) -> int:
    """Ogg's checksum (RFC 3533, 6): polynomial 0x04c11db7, most significant bit first, no inversion.

    That is zlib's with every byte and the result written backwards, and both of zlib's inversions undone.
    """
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def parse(outlet: Outlet) -> Parser:
    """The first Opus track of an Ogg stream. Chained streams follow each other; other tracks are passed over."""
    if (yield Peek(4)) != b"OggS":
        outlet.refuse(invalid("The audio is no Ogg stream; it does not begin with a page."))
    stream: _OpusStream | None = None
    is_refused = False
    while True:
        page = yield from _next_page(outlet)
        try:
            # A second Opus track of the same stream begins before the first one has sounded.
            if page.starts_opus and (stream is None or stream.has_sounded or stream.serial == page.serial):
                stream = None
                stream = _OpusStream(outlet, page)
            elif stream is not None and page.serial == stream.serial:
                stream.read(page)
            elif stream is None and not page.flags & _FIRST and not is_refused:
                raise invalid("The Ogg stream has no Opus track.")
        except PeerError as error:
            is_refused = stream is None
            outlet.refuse(error)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of a physical stream."""

    flags: int
    granule: int
    """The logical stream's clock at the end of the last packet that ends here; _NO_GRANULE: none ends here."""
    serial: int
    number: int
    lengths: bytes
    body: bytes

    @property
    def starts_opus(self) -> bool:
        return bool(self.flags & _FIRST) and self.body.startswith(b"OpusHead")

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Packets and parts of packets, and whether each ends here: a length below 255 ends a packet."""
        start = end = 0
        for length in self.lengths:
            end += length
            if length < 255:
                yield self.body[start:end], True
                start = end
        if self.lengths and self.lengths[-1] == 255:
            yield self.body[start:], False


def _next_page(outlet: Outlet) -> Generator[Want, bytes, _Page]:
    while True:
        if not (yield Seek(b"OggS", within=_JUNK_BYTES)):
            outlet.refuse(invalid(f"The Ogg stream is damaged: no page begins within {_JUNK_BYTES} bytes."))
            continue
        head = yield Peek(27)
        if head[4] == 0:
            body_at = 27 + head[26]
            lengths = (yield Peek(body_at))[27:]
            data = yield Peek(body_at + sum(lengths))
            flags, granule, serial, number, checksum = struct.unpack_from("<BQIII", data, 5)
            if crc(data[:22] + bytes(4) + data[26:]) == checksum:
                yield Skip(len(data))
                return _Page(flags, granule, serial, number, lengths, data[body_at:])
        yield Skip(1)  # sound that looks like a page's beginning, or a page that was damaged


class _OpusStream:
    """One logical stream: pages to packets to samples at OPUS_RATE."""

    def __init__(self, outlet: Outlet, page: _Page) -> None:
        head = parse_opus_head(page.body)
        self.serial = page.serial
        self.has_sounded = False
        self._outlet = outlet
        self._codec = OpusCodec(head)
        self._next_number = page.number + 1
        self._torn: bytes | None = None
        """The beginning of the packet that goes on on the next page."""
        self._is_gap = False
        self._position = 0
        self._fillable = MAX_FILLED
        outlet.begin(Track(self._codec, head.pre_skip))

    def read(self, page: _Page) -> None:
        """The page's packets are decoded, what was lost before it is filled, what the end cuts off is cut off."""
        if page.number != self._next_number:
            self._is_gap, self._torn = True, None
        self._next_number = page.number + 1 & 0xFFFFFFFF
        samples = np.concatenate([np.zeros(0, np.float32), *map(self._decoded, self._packets(page))])
        if page.granule == _NO_GRANULE:
            self._position += len(samples)
        else:
            if self._is_gap:
                self._fill(page.granule - len(samples) - self._position)
            elif page.flags & _LAST:
                # Only here may the clock say less than was decoded: the last frame was not full (RFC 7845, 4.4).
                excess = self._position + len(samples) - page.granule
                samples = samples[: max(len(samples) - max(excess, 0), 0)]
            self._is_gap, self._position = False, page.granule
        if len(samples):
            self.has_sounded = True
            self._fillable = min(self._fillable + len(samples), MAX_FILLED)
            self._outlet.add(samples)

    def _packets(self, page: _Page) -> Iterator[bytes]:
        """The packets of sound that end on this page."""
        packet = self._torn if page.flags & _CONTINUED else b""
        self._torn = None
        for piece, ends in page.pieces():
            if packet is not None and len(packet) + len(piece) <= MAX_PACKET_BYTES:
                packet += piece
            else:
                packet = None  # its beginning did not come, or it is a comment header with a picture in it
            if not ends:
                self._torn = packet
            elif packet and not packet.startswith(b"OpusTags"):  # no sound begins so: it would last 960 ms
                yield packet
            packet = b""

    def _decoded(self, packet: bytes) -> Samples:
        """The packet's sound; what is damaged is refused, and replaced for as long as it says it is."""
        try:
            return self._codec.decode(packet)
        except PeerError as error:
            self._outlet.refuse(error)
        try:
            return self._codec.conceal(packet_samples(packet))
        except PeerError:
            return np.zeros(0, np.float32)

    def _fill(self, samples: int) -> None:
        if 0 < samples <= self._fillable:
            self._fillable -= samples
            self._outlet.add(self._codec.conceal(samples))
