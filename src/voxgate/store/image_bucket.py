"""Contents of images as objects of a bucket: S3, or anything that speaks its protocol (MinIO, Ceph, R2, Garage)."""

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, field_validator, model_validator

from voxgate.config import Settings
from voxgate.errors import ConfigError, StoreError
from voxgate.rooms import ImageStorage
from voxgate.store.image_folder import ImageFolder

T = TypeVar("T")

_CONNECT_S, _ANSWER_S = 3.0, 10.0
"""How long the storage may take to accept a connection, and to answer: a bucket in the same region takes 0.05 s."""
_AT_ONCE = 4
"""Requests to the storage at once, each a thread: images are read once by a browser and kept there for a year."""


class ImageSettings(Settings):
    """`[images]`"""

    bucket: str = ""
    """Bucket of an S3-compatible storage that keeps the images of voicebots, and needs `voxgate[s3]`; empty: the folder
    `images` in the data directory keeps them."""
    prefix: str = ""
    """What names in the bucket begin with, such as `voxgate/`."""
    endpoint_url: str = ""
    """Address of the storage, such as `https://minio.example.com`, asked by path; empty: Amazon's."""
    region: str = ""
    """Region of the bucket; empty: as boto3 finds it."""
    access_key: SecretStr = SecretStr("")
    """Who asks; empty, with `secret_key`: as boto3 finds it (environment, profile, role of the machine)."""
    secret_key: SecretStr = SecretStr("")
    """Its secret."""

    @field_validator("endpoint_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must be an address such as https://minio.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _both_or_neither(self) -> "ImageSettings":
        if bool(self.access_key.get_secret_value()) != bool(self.secret_key.get_secret_value()):
            raise ValueError("access_key and secret_key belong together; one of them is missing")
        return self


def image_storage(settings: ImageSettings, folder: Path) -> ImageStorage:
    """Where images lie: in the bucket that is configured, else in `folder`. Raises ConfigError without boto3."""
    return ImageBucket(settings) if settings.bucket else ImageFolder(folder)


class ImageBucket:
    """`rooms.ImageStorage` in a bucket, through boto3, whose client blocks and may be used by many threads."""

    def __init__(self, settings: ImageSettings) -> None:
        """Asks nothing yet. Raises ConfigError where boto3 is not installed."""
        if importlib.util.find_spec("boto3") is None:
            raise ConfigError(
                "images.bucket is set, and what speaks to a bucket is not installed: pip install 'voxgate[s3]'",
                param="images.bucket",
            )
        self._settings = settings
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="images")
        self._making = threading.Lock()
        self._client: Any = None

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        def put(client: Any) -> None:
            client.put_object(**self._at(name), Body=content, ContentType=media_type)

        await self._ask(put)

    async def get(self, name: str) -> bytes | None:
        def get(client: Any) -> bytes | None:
            try:
                answer = client.get_object(**self._at(name))
            except client.exceptions.NoSuchKey:
                return None
            with answer["Body"] as body:
                content: bytes = body.read()
            return content

        return await self._ask(get)

    async def remove(self, names: Sequence[str]) -> None:
        def remove(client: Any) -> None:
            for name in names:  # one by one: not every storage takes a list
                client.delete_object(**self._at(name))

        await self._ask(remove)

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._settings.prefix + name}

    async def _ask(self, work: Callable[[Any], T]) -> T:
        """The storage's answer, in a thread of its own. Raises StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: self._told(work))

    def _told(self, work: Callable[[Any], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            with self._making:
                if self._client is None:
                    self._client = _connect(self._settings)
            return work(self._client)
        except ClientError as error:
            # By its code only: messages of storages repeat names and keys.
            code = error.response.get("Error", {}).get("Code", "an error")
            raise StoreError(f"the storage of the images answered {code}", retry_after_s=5) from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise StoreError("the storage of the images does not answer", retry_after_s=5) from error


def _connect(settings: ImageSettings) -> Any:
    import boto3
    from botocore.config import Config

    named = {
        "endpoint_url": settings.endpoint_url,
        "region_name": settings.region,
        "aws_access_key_id": settings.access_key.get_secret_value(),
        "aws_secret_access_key": settings.secret_key.get_secret_value(),
    }
    return boto3.session.Session().client(
        "s3",
        config=Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_ANSWER_S,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=_AT_ONCE,
            s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
            # Amazon's newer checksums travel in trailers, which other storages refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
        **{key: value for key, value in named.items() if value},
    )
