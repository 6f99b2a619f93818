"""WebSockets (RFC 6455) as a server reads and writes them: handshake and frames. Pure.

Ours, because none of the libraries gives what a session needs: a message that is too large is skipped as it comes and
never kept; a client's close frame is told and not answered, so that what it still waits for reaches it first; and one
message at a time is taken out of what has come, so that a flood of tiny ones stops nobody else's session.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

import numpy as np

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
"""Opcodes (5.2)."""

NO_CODE, BROKEN = 1005, 1006
"""Close codes that are never sent: a close frame without a code, and a connection that ended without one (7.4.1)."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # 1.3
_PROTOCOL_ERROR, _NO_UTF8, _TOO_BIG = 1002, 1007, 1009
_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})  # IANA's registry, without what is never sent


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's opening request."""

    path: str
    """Decoded; without the query."""
    query: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    accept: bytes
    """What `Sec-WebSocket-Accept` answers it with."""
    subprotocols: tuple[str, ...] = ()
    """What it offers to speak, the favourite first."""


@dataclass(frozen=True, slots=True)
class BadHandshake:
    """A request that opens no WebSocket."""

    status: int
    """HTTP status of the answer."""
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Oversized:
    """A message was longer than allowed, and was dropped."""

    size: int
    """Bytes it had."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer asks for a sign of life."""

    payload: bytes
    """What the pong has to repeat."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer's close frame: it sends no more."""

    code: int
    """1005 where it named none."""
    payload: bytes
    """Of the frame; an answer in kind repeats it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol: nothing that follows means anything."""

    code: int
    """To close with."""
    reason: str


class Quiet(Enum):
    """A frame that tells nobody anything: a pong, a part of a message."""

    QUIET = "quiet"


Event = str | bytes | Oversized | Ping | Closed | Failed | Quiet


def read_handshake(head: bytes) -> Handshake | BadHandshake:
    """Read an upgrade request, from its first line to its empty one; an HTTP parser has let it through already."""
    first, *lines = head.split(b"\r\n")
    method, _, target = first.rpartition(b" ")[0].partition(b" ")
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        if name:
            headers.append((name.strip().lower(), value.strip()))
    named = dict(headers)
    if method != b"GET":
        return BadHandshake(405, "a WebSocket is opened with GET", ((b"allow", b"GET"),))
    if named.get(b"sec-websocket-version") != b"13":
        return BadHandshake(426, "Sec-WebSocket-Version must be 13", ((b"sec-websocket-version", b"13"),))
    key = named.get(b"sec-websocket-key", b"")
    try:
        length = len(base64.b64decode(key, validate=True))
    except binascii.Error:
        length = 0
    if length != 16:
        return BadHandshake(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    path, _, query = target.partition(b"?")
    offers = b",".join(value for name, value in headers if name == b"sec-websocket-protocol").decode("latin-1")
    subprotocols = tuple(filter(None, (offer.strip() for offer in offers.split(","))))
    return Handshake(unquote(path.decode("latin-1")), query, headers, accept, subprotocols)


def write_frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame, as a server sends it: unmasked."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65_536:
        return struct.pack("!BBH", 0x80 | opcode, 126, length) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, length) + payload


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame; a reason that is longer than 123 bytes is cut between two characters."""
    return struct.pack("!H", code) + reason.encode()[:123].decode(errors="ignore").encode()


class Reader:
    """Frames out of a client's bytes: `feed` them as they come, then ask for what `next` there is."""

    def __init__(self, *, message_bytes: int, frame_bytes: int) -> None:
        """`message_bytes`: the largest message that is told; above it, up to `frame_bytes`, one is dropped and told as
        `Oversized`; above that the reading fails with 1009."""
        self._message_bytes = message_bytes
        self._frame_bytes = frame_bytes
        self._data: bytes | bytearray = b""
        self._at = 0
        self._parts = bytearray()
        self._opcode: int | None = None  # of the message whose parts are coming
        self._size = 0  # of that message so far, or of the one that is being dropped
        self._skip = 0  # bytes of a frame's payload that are still to be dropped
        self._dropping = False
        self._last = False  # whether the frame that is being dropped ends its message
        self._ended = False

    def feed(self, data: bytes) -> None:
        """More bytes have come. After a close frame or a failure they are thrown away."""
        if self._ended:
            return
        if self._at == len(self._data):
            self._data, self._at = data, 0
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        if self._at:
            del self._data[: self._at]
            self._at = 0
        self._data += data

    def next(self) -> Event | None:
        """The next thing that is complete; None where more bytes are needed."""
        if self._ended:
            return None
        if self._skip:
            return self._drop()
        data, at = self._data, self._at
        have = len(data) - at
        if have < 2:
            if not have:
                self._data, self._at = b"", 0  # an idle connection keeps nothing
            return None
        first, second = data[at], data[at + 1]
        length, header = second & 0x7F, 6
        if length == 126:
            header = 8
            if have < header:
                return None
            length = int.from_bytes(data[at + 2 : at + 4])
        elif length == 127:
            header = 14
            if have < header:
                return None
            length = int.from_bytes(data[at + 2 : at + 10])
        if (problem := self._check(first, second, length)) is not None:
            return problem
        if have < header:
            return None
        opcode, final = first & 0x0F, first >= 0x80
        if opcode < CLOSE and self._too_long(opcode, length):
            self._at += header
            self._skip, self._last = length, final
            return self._drop()
        end = at + header + length
        if end > len(data):
            return None
        payload = _unmask(data[at + header : end], data[at + header - 4 : at + header])
        self._at = end
        if opcode < CLOSE:
            return self._part(opcode, payload, final)
        if opcode == PING:
            return Ping(payload)
        return self._closed(payload) if opcode == CLOSE else Quiet.QUIET

    def _check(self, first: int, second: int, length: int) -> Failed | None:
        """What is wrong with a frame's header, if anything."""
        opcode = first & 0x0F
        if first & 0x70:
            return self._fail(_PROTOCOL_ERROR, "reserved bits are set, and no extension was agreed on")
        if not second & 0x80:
            return self._fail(_PROTOCOL_ERROR, "a client masks its frames")
        if opcode in (TEXT, BINARY):
            if self._opcode is not None:
                return self._fail(_PROTOCOL_ERROR, "a message began inside another")
        elif opcode == CONTINUATION:
            if self._opcode is None:
                return self._fail(_PROTOCOL_ERROR, "a continuation of nothing")
        elif opcode not in (CLOSE, PING, PONG):
            return self._fail(_PROTOCOL_ERROR, f"there is no opcode {opcode}")
        elif length > 125 or first < 0x80:
            return self._fail(_PROTOCOL_ERROR, "a control frame has at most 125 bytes, and one part")
        if opcode < CLOSE and self._size + length > self._frame_bytes:
            return self._fail(_TOO_BIG, f"a message has more than {self._frame_bytes:,} bytes")
        return None

    def _too_long(self, opcode: int, length: int) -> bool:
        """Whether this frame belongs to a message that is dropped; from now on, if it makes it too long."""
        if not self._dropping and self._size + length <= self._message_bytes:
            return False
        if opcode != CONTINUATION:
            self._opcode = opcode
        self._size += length
        self._dropping = True
        self._parts = bytearray()
        return True

    def _drop(self) -> Event | None:
        """Throw away what has come of a payload."""
        count = min(self._skip, len(self._data) - self._at)
        self._at += count
        self._skip -= count
        if self._skip:
            return None
        if not self._last:
            return Quiet.QUIET
        size = self._size
        self._opcode, self._size, self._dropping = None, 0, False
        return Oversized(size)

    def _part(self, opcode: int, payload: bytes, final: bool) -> Event:
        if opcode != CONTINUATION and final:
            return self._message(opcode, payload)
        if opcode != CONTINUATION:
            self._opcode = opcode
        self._parts += payload
        self._size = len(self._parts)
        if not final:
            return Quiet.QUIET
        whole, kind = bytes(self._parts), self._opcode
        self._parts, self._opcode, self._size = bytearray(), None, 0
        return self._message(TEXT if kind == TEXT else BINARY, whole)

    def _message(self, opcode: int, payload: bytes) -> Event:
        if opcode == BINARY:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return self._fail(_NO_UTF8, "a text message is not UTF-8")

    def _closed(self, payload: bytes) -> Event:
        if not payload:
            self._end()
            return Closed(NO_CODE, b"")
        code = int.from_bytes(payload[:2])
        if len(payload) == 1 or not (code in _SENDABLE or 3000 <= code < 5000):
            return self._fail(_PROTOCOL_ERROR, "a close frame without a code that may be sent")
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            return self._fail(_NO_UTF8, "the reason of a close frame is not UTF-8")
        self._end()
        return Closed(code, payload)

    def _fail(self, code: int, reason: str) -> Failed:
        self._end()
        return Failed(code, reason)

    def _end(self) -> None:
        self._ended = True
        self._data, self._at, self._parts = b"", 0, bytearray()


def _unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """The payload, each byte combined with one of the mask's four in turn (5.3), four at a time."""
    length = len(payload)
    words = np.frombuffer(payload + bytes(-length % 4), np.uint32) ^ np.frombuffer(mask, np.uint32)
    return words.tobytes()[:length]
