import importlib.util
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.store.bucket_server import SECRET, WHO, BucketServer, bucket_server
from voxgate.config import load
from voxgate.errors import ConfigError, StoreError
from voxgate.store.image_bucket import ImageBucket, ImageSettings, image_storage
from voxgate.store.image_folder import ImageFolder

NAME = "ab/abcd-01.png"


@pytest.fixture(scope="module")
def server() -> Iterator[BucketServer]:
    with bucket_server() as server:
        yield server


def settings(server: BucketServer, **more: str) -> ImageSettings:
    given = {"bucket": "pictures", "prefix": "voxgate/", "endpoint_url": server.url, "region": "here"}
    return ImageSettings.model_validate(given | {"access_key": WHO, "secret_key": SECRET} | more)


@pytest.fixture
async def bucket(server: BucketServer) -> AsyncIterator[ImageBucket]:
    server.objects.clear()
    server.broken = False
    bucket = ImageBucket(settings(server))
    yield bucket
    await bucket.aclose()


async def test_a_content_is_kept_until_it_is_removed(server: BucketServer, bucket: ImageBucket) -> None:
    assert await bucket.get(NAME) is None
    await bucket.put(NAME, b"content", "image/png")
    assert server.objects == {f"/pictures/voxgate/{NAME}": ("image/png", b"content")}
    assert await bucket.get(NAME) == b"content"
    await bucket.remove([NAME, "cd/never-there.png"])
    assert server.objects == {}


async def test_a_storage_that_fails_is_asked_once_more_and_then_told(server: BucketServer, bucket: ImageBucket) -> None:
    server.broken = True
    server.asked.clear()
    with pytest.raises(StoreError, match="InternalError") as caught:
        await bucket.get(NAME)
    assert len(server.asked) == 2
    assert "abcd" not in caught.value.message
    server.broken = False
    assert await bucket.get(NAME) is None


async def test_a_wrong_key_and_a_wrong_bucket_are_told_by_their_codes(server: BucketServer) -> None:
    for wrong, code in (
        ({"access_key": "stranger"}, "InvalidAccessKeyId"),
        ({"secret_key": "guessed"}, "SignatureDoesNotMatch"),
        ({"bucket": "others"}, "NoSuchBucket"),
    ):
        bucket = ImageBucket(settings(server, **wrong))
        with pytest.raises(StoreError, match=code):
            await bucket.get(NAME)
        await bucket.aclose()


async def test_a_storage_that_is_not_there_is_told() -> None:
    with bucket_server() as gone:
        pass
    bucket = ImageBucket(settings(gone))
    with pytest.raises(StoreError, match="does not answer"):
        await bucket.put(NAME, b"content", "image/png")
    await bucket.aclose()


def test_without_its_library_the_extra_is_named(server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"voxgate\[s3\]") as caught:
        ImageBucket(settings(server))
    assert caught.value.param == "images.bucket"


def test_images_lie_in_the_folder_where_no_bucket_is_named(server: BucketServer, tmp_path: Path) -> None:
    assert isinstance(image_storage(ImageSettings(), tmp_path), ImageFolder)
    assert isinstance(image_storage(settings(server), tmp_path), ImageBucket)


def test_settings_that_cannot_be_are_refused(server: BucketServer) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        settings(server, secret_key="")
    with pytest.raises(ValidationError, match="must be an address"):
        settings(server, endpoint_url="minio.example.com")
    assert settings(server, endpoint_url="https://minio.example.com/").endpoint_url == "https://minio.example.com"


def test_the_secret_is_shown_nowhere(server: BucketServer) -> None:
    assert SECRET not in repr(settings(server))
    loaded = load(ImageSettings, environ={"VOXGATE__ACCESS_KEY": "who", "VOXGATE__SECRET_KEY": SECRET})
    assert SECRET not in repr(loaded)
