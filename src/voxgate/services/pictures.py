"""What an image is, told by its content: FFmpeg decodes it, in a thread, and no larger than it may be."""

import asyncio

from voxgate.errors import Code, PeerError

_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "mjpeg"),
)  # the first bytes, the media type, FFmpeg's decoder

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""Media types of images that can be shown, and how their addresses end."""

_ROUNDING = 64 * 65_536
"""FFmpeg counts pixels with the width rounded up to 64; so much more is allowed to it, for any height that occurs, and
what it decoded is counted again. Found with FFmpeg 8 (PyAV 18.1), 2026-11."""


class Pictures:
    """Looks at images, one after the other: an image of the largest size takes 70 MB of memory while it is decoded.

    Belongs to the event loop that asks first.
    """

    def __init__(self, pixels: int) -> None:
        """`pixels`: width × height of the largest that is decoded."""
        self._pixels = pixels
        self._one = asyncio.Semaphore(1)

    async def media_type(self, content: bytes) -> str:
        """`image/png`, `image/jpeg` or `image/webp`. Raises PeerError naming the field `file` for anything else."""
        media_type, decoder = _kind(content)
        async with self._one:
            await asyncio.to_thread(_check, content, decoder, self._pixels)
        return media_type


def _kind(content: bytes) -> tuple[str, str]:
    for beginning, media_type, decoder in _KINDS:
        if content.startswith(beginning):
            return media_type, decoder
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        # https://developers.google.com/speed/webp/docs/riff_container: bit 1 of the flags of an extended header
        if content[12:16] == b"VP8X" and content[20:21] and content[20] & 0x02:
            raise PeerError(
                "'file' is an animated WebP; a still image is wanted", code=Code.UNSUPPORTED_FORMAT, param="file"
            )
        return "image/webp", "webp"
    raise PeerError("'file' is no PNG, JPEG or WebP image", code=Code.UNSUPPORTED_FORMAT, param="file")


def _check(content: bytes, decoder: str, pixels: int) -> None:
    """Return where the content can be decoded. FFmpeg looks at the size in the header before it takes memory for it."""
    import av

    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = {"max_pixels": str(pixels + _ROUNDING), "err_detect": "explode"}
    try:
        frames = [*context.decode(av.Packet(content)), *context.decode(None)]
    except av.error.ArgumentError:  # what FFmpeg says of a size it may not decode
        raise _too_large(pixels) from None
    except av.error.FFmpegError:
        frames = []
    if not frames:
        raise PeerError(
            "'file' cannot be decoded: the image is damaged or not whole", code=Code.INVALID_VALUE, param="file"
        )
    if any(frame.width * frame.height > pixels for frame in frames):
        raise _too_large(pixels)


def _too_large(pixels: int) -> PeerError:
    return PeerError(
        f"'file' has more than {pixels:,} pixels, which is as many as are allowed (voicebots.image_pixels)",
        code=Code.TOO_LARGE,
        param="file",
    )
