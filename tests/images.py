"""Images for tests, made on the spot."""

import struct
import zlib
from fractions import Fraction

import av
import numpy as np

_KINDS = {"png": ("png", "rgb24"), "jpg": ("mjpeg", "yuvj420p"), "webp": ("libwebp", "yuv420p")}


def image(kind: str = "png", width: int = 16, height: int = 8, shade: int = 77) -> bytes:
    """A whole image (`png`, `jpg`, `webp`) of one shade of grey."""
    codec, pixels = _KINDS[kind]
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, pixels, Fraction(1, 25)
    grey = np.full((height, width, 3), shade, np.uint8)
    frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG that says it is so large, whatever its pixels are."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def animated_webp() -> bytes:
    """The beginning of a WebP that moves (RIFF, extended header with the flag of an animation)."""
    header = b"VP8X" + struct.pack("<I", 10) + bytes([0x02, 0, 0, 0, 15, 0, 0, 7, 0, 0])
    return b"RIFF" + struct.pack("<I", 4 + len(header)) + b"WEBP" + header
