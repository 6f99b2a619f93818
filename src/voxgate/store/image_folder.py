"""Contents of images as files below one folder."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from voxgate.errors import StoreError

T = TypeVar("T")


class ImageFolder:
    """`rooms.ImageStorage` in a folder, which is made when the first content comes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        await asyncio.to_thread(_told, lambda: _write(self._root / name, content))

    async def get(self, name: str) -> bytes | None:
        return await asyncio.to_thread(_told, lambda: _read(self._root / name))

    async def remove(self, names: Sequence[str]) -> None:
        def forget() -> None:
            for name in names:
                (self._root / name).unlink(missing_ok=True)

        await asyncio.to_thread(_told, forget)

    async def aclose(self) -> None:
        """Nothing is held."""


def _write(path: Path, content: bytes) -> None:
    """On disk for good, and under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, outlives a loss of power
    finally:
        os.close(folder)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _told(work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError("the disk that holds the images is full", retry_after_s=30) from error
        raise StoreError("the folder of the images cannot be read or written", retry_after_s=30) from error
