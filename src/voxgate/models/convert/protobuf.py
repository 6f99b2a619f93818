"""The wire format of Protocol Buffers, as much of it as an ONNX file needs, both ways.

ONNX files are protobuf messages. Reading and writing their few field kinds here keeps the `onnx` package (18 MB, with
a compiled protobuf) out of the install, and makes output deterministic: bytes in, bytes out, no map ordering.
Format: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types: an integer, 8 bytes, a length and that many bytes, 4 bytes."""


def varint(value: int) -> bytes:
    """An integer, seven bits a byte, least significant first; negative ones as 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """A field that holds an integer."""
    return varint(field << 3 | VARINT) + varint(value)


def data(field: int, value: bytes) -> bytes:
    """A field that holds bytes, or another message already encoded."""
    return varint(field << 3 | BYTES) + varint(len(value)) + value


def text(field: int, value: str) -> bytes:
    """A field that holds a string."""
    return data(field, value.encode())


def read_varint(buffer: memoryview, at: int) -> tuple[int, int]:
    """The integer at `at`, and the position behind it. Raises ValueError where the buffer ends or runs over 64 bits."""
    value = shift = 0
    while True:
        if at >= len(buffer) or shift > 63:
            raise ValueError("broken protobuf integer")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(buffer: memoryview) -> Iterator[tuple[int, int, int | memoryview, memoryview]]:
    """Every field of a message: (number, wire type, value, the field's own bytes with its key). Raises ValueError."""
    at = 0
    while at < len(buffer):
        start = at
        key, at = read_varint(buffer, at)
        number, kind = key >> 3, key & 7
        value: int | memoryview
        if kind == VARINT:
            value, at = read_varint(buffer, at)
        else:
            if kind == BYTES:
                length, at = read_varint(buffer, at)
            elif kind in (FIXED32, FIXED64):
                length = 4 if kind == FIXED32 else 8
            else:
                raise ValueError(f"protobuf wire type {kind} is not known")
            if at + length > len(buffer):
                raise ValueError("truncated protobuf field")
            value = buffer[at : at + length]
            at += length
        yield number, kind, value, buffer[start:at]
