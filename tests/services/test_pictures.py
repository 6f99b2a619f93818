import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images import animated_webp, image, png
from voxgate.errors import Code, PeerError
from voxgate.services.pictures import EXTENSIONS, Pictures


async def refused(content: bytes, pixels: int = 10_000) -> Code:
    with pytest.raises(PeerError) as caught:
        await Pictures(pixels).media_type(content)
    assert caught.value.param == "file"
    return caught.value.code


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
async def test_an_image_is_told_by_its_content(kind: str) -> None:
    media_type = await Pictures(10_000).media_type(image(kind))
    assert EXTENSIONS[media_type] == kind


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\0\0\0\0WAVE"])
async def test_what_is_no_image_of_these_kinds_is_refused(content: bytes) -> None:
    assert await refused(content) is Code.UNSUPPORTED_FORMAT


async def test_an_animation_is_refused_as_one() -> None:
    with pytest.raises(PeerError, match="animated"):
        await Pictures(10_000).media_type(animated_webp())


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
async def test_half_an_image_is_refused(kind: str) -> None:
    whole = image(kind, 64, 64)
    assert await refused(whole[: len(whole) // 2]) is Code.INVALID_VALUE


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
async def test_the_largest_image_is_allowed_and_one_pixel_row_more_is_not(kind: str) -> None:
    await Pictures(50 * 32).media_type(image(kind, 50, 32))
    assert await refused(image(kind, 50, 33), pixels=50 * 32) is Code.TOO_LARGE


async def test_a_bomb_is_refused_by_its_header() -> None:
    """4,100 × 4,100 pixels, all there, in 50 KB; and more than there could be memory for, none of them there."""
    bomb = png(4_100, 4_100, bytes(4_100 * (3 * 4_100 + 1)))
    assert len(bomb) < 60_000
    assert await refused(bomb, pixels=1000) is Code.TOO_LARGE
    assert await refused(png(2_000_000_000, 2_000_000_000, b""), pixels=4096 * 4096) is Code.INVALID_VALUE


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["png", "jpg", "webp"]), data=st.data())
def test_whatever_is_sent_is_an_image_or_refused(kind: str, data: st.DataObject) -> None:
    content = bytearray(image(kind, 24, 24))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    async def look() -> str | None:
        try:
            return await Pictures(10_000).media_type(bytes(content))
        except PeerError:
            return None

    assert asyncio.run(look()) in {None, *EXTENSIONS}
