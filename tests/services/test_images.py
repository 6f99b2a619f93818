from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.images import image
from tests.services.shelf import Cupboard, Shelf
from voxgate.clock import FakeClock
from voxgate.errors import Code, PeerError, StoreError, VoxgateError
from voxgate.rooms import BotImage, Voicebot
from voxgate.services.images import Images
from voxgate.services.voicebots import VoicebotSettings

CAT, DOG = image("png"), image("webp", shade=9)
LIMITS = VoicebotSettings(
    images=2, image_bytes=len(CAT), image_pixels=16 * 8, image_key_characters=5, image_description_characters=8
)
BOT = Voicebot(
    id="b" * 24, org_id="acme", name="Mai", avatar_url=None, instructions="", language=None, voice="aria",
    greeting="", model="valsea-fast", images=(), created_at=FakeClock().now(), updated_at=FakeClock().now(),
)  # fmt: skip


@pytest.fixture
async def shelf() -> Shelf:
    shelf = Shelf()
    await shelf.add(BOT, most=9)
    return shelf


@pytest.fixture
def cupboard() -> Cupboard:
    return Cupboard()


@pytest.fixture
def images(shelf: Shelf, cupboard: Cupboard) -> Images:
    return Images(shelf, cupboard, LIMITS, FakeClock())


async def refused(work: Awaitable[Any]) -> tuple[Code, str | None]:
    with pytest.raises(VoxgateError) as caught:
        await work
    return caught.value.code, caught.value.param


def add(images: Images, shelf: Shelf, key: str, content: bytes = CAT, description: str = "") -> Awaitable[Any]:
    """Add an image to the bot as it is at this moment."""
    return images.add(shelf.bots[BOT.id], key, description, content, by="key_1")


def address(shown: BotImage, extension: str = "png") -> str:
    return f"{shown.digest}.{extension}"


async def test_an_image_is_shown_at_its_address(images: Images, shelf: Shelf) -> None:
    added, replaced = await add(images, shelf, " cat ", description=" a cat ")
    assert (added.key, added.description, added.media_type, added.size, replaced) == (
        "cat", "a cat", "image/png", len(CAT), False,
    )  # fmt: skip
    found = await images.at(BOT.id, address(added))
    assert (await images.content(found), found.media_type, found.digest) == (CAT, "image/png", added.digest)
    for wrong in (address(added, "jpg"), added.digest, f"{'0' * 64}.png", "../../etc/passwd", ""):
        assert await refused(images.at(BOT.id, wrong)) == (Code.NOT_FOUND, None)
    assert await refused(images.at("c" * 24, address(added))) == (Code.NOT_FOUND, None)


async def test_an_image_that_takes_another_s_place_leaves_nothing_of_it(
    images: Images, shelf: Shelf, cupboard: Cupboard
) -> None:
    first, _ = await add(images, shelf, "cat")
    second, replaced = await add(images, shelf, "cat", DOG)
    assert replaced
    assert list(cupboard.contents.values()) == [DOG]
    assert await refused(images.at(BOT.id, address(first))) == (Code.NOT_FOUND, None)
    assert shelf.bots[BOT.id].images == [second]


async def test_the_same_content_under_two_keys_outlives_one_of_them(
    images: Images, shelf: Shelf, cupboard: Cupboard
) -> None:
    one, _ = await add(images, shelf, "one")
    await add(images, shelf, "two")
    assert await images.remove(shelf.bots[BOT.id], "one", by="key_1") == "one"
    assert await images.content(await images.at(BOT.id, address(one))) == CAT
    await images.remove(shelf.bots[BOT.id], "two", by="key_1")
    assert cupboard.contents == {}
    assert await refused(images.remove(shelf.bots[BOT.id], "two", by="key_1")) == (Code.NOT_FOUND, "key")


@pytest.mark.parametrize("key", ["", " ", "toolong", ".", "..", "-a", ".a", "a b", "a/b", "a]", "a\0", "😀", "a:b"])
async def test_keys_that_could_not_be_told_are_refused(images: Images, shelf: Shelf, key: str) -> None:
    assert await refused(add(images, shelf, key)) == (Code.INVALID_VALUE, "key")


@pytest.mark.parametrize("key", ["a", "a.b-c", "Größe", "mèo_1", "猫"])
async def test_keys_are_words_of_any_script(images: Images, shelf: Shelf, key: str) -> None:
    assert (await add(images, shelf, key))[0].key == key


async def test_a_key_is_the_same_however_its_letters_are_composed(images: Images, shelf: Shelf) -> None:
    await add(images, shelf, "me\u0300o")
    assert (await add(images, shelf, "m\u00e8o"))[1]
    assert await images.remove(shelf.bots[BOT.id], "me\u0300o", by="key_1") == "m\u00e8o"


async def test_what_is_too_much_is_refused_by_its_field(images: Images, shelf: Shelf, cupboard: Cupboard) -> None:
    assert await refused(add(images, shelf, "cat", description="x" * 9)) == (Code.INVALID_VALUE, "description")
    assert await refused(add(images, shelf, "cat", description="a\nb")) == (Code.INVALID_VALUE, "description")
    assert await refused(add(images, shelf, "cat", CAT + b"x")) == (Code.TOO_LARGE, "file")
    assert await refused(add(images, shelf, "cat", b"")) == (Code.INVALID_VALUE, "file")
    assert await refused(add(images, shelf, "cat", image("webp", 16, 9))) == (Code.TOO_LARGE, "file")
    assert await refused(add(images, shelf, "cat", b"not an image")) == (Code.UNSUPPORTED_FORMAT, "file")
    assert cupboard.contents == {}
    await add(images, shelf, "12345", description="x" * 8)


async def test_a_voicebot_has_as_many_images_as_it_may(images: Images, shelf: Shelf, cupboard: Cupboard) -> None:
    for key in ("one", "two"):
        await add(images, shelf, key)
    assert await refused(add(images, shelf, "three")) == (Code.INVALID_VALUE, "key")
    assert (await add(images, shelf, "two", DOG))[1]
    # somebody who looked before the second came
    stale = replace(BOT, images=shelf.bots[BOT.id].images[:1])
    assert await refused(images.add(stale, "three", "", CAT, by="key_1")) == (Code.INVALID_VALUE, "key")
    assert len(cupboard.contents) == 2


async def test_an_image_of_a_voicebot_that_is_deleted_meanwhile_leaves_nothing(
    images: Images, shelf: Shelf, cupboard: Cupboard
) -> None:
    await shelf.remove(BOT.id)
    assert await refused(images.add(BOT, "cat", "", CAT, by="key_1")) == (Code.NOT_FOUND, "id")
    assert cupboard.contents == {}


async def test_a_storage_that_fails_names_nothing(images: Images, shelf: Shelf, cupboard: Cupboard) -> None:
    cupboard.broken = True
    with pytest.raises(StoreError):
        await add(images, shelf, "cat")
    assert list(shelf.bots[BOT.id].images) == []


async def test_a_storage_that_fails_does_not_keep_an_image_from_being_removed(
    images: Images, shelf: Shelf, cupboard: Cupboard
) -> None:
    await add(images, shelf, "cat")
    cupboard.broken = True
    await images.remove(shelf.bots[BOT.id], "cat", by="key_1")
    assert list(shelf.bots[BOT.id].images) == []


async def test_a_database_that_fails_leaves_the_content_for_it_may_have_been_named(cupboard: Cupboard) -> None:
    class Failing(Shelf):
        async def put_image(
            self, voicebot_id: str, image: BotImage, stored: str, *, most: int, at: datetime
        ) -> tuple[bool, str | None]:
            raise StoreError("the database does not answer")

    shelf = Failing()
    await shelf.add(BOT, most=1)
    with pytest.raises(StoreError):
        await add(Images(shelf, cupboard, LIMITS, FakeClock()), shelf, "cat")
    assert list(cupboard.contents.values()) == [CAT]


async def test_a_content_that_is_gone_is_not_found(images: Images, shelf: Shelf, cupboard: Cupboard) -> None:
    added, _ = await add(images, shelf, "cat")
    found = await images.at(BOT.id, address(added))
    cupboard.contents.clear()
    with pytest.raises(PeerError, match="no image"):
        await images.content(found)
