import errno
import os
from pathlib import Path

import pytest

from voxgate.errors import StoreError
from voxgate.store.image_folder import ImageFolder

NAME = "ab/abcd-01.png"


async def test_a_content_is_kept_until_it_is_removed(tmp_path: Path) -> None:
    folder = ImageFolder(tmp_path / "images")
    assert await folder.get(NAME) is None
    await folder.put(NAME, b"content", "image/png")
    await folder.put("ab/other.png", b"other", "image/png")
    assert await ImageFolder(tmp_path / "images").get(NAME) == b"content"
    assert sorted(path.name for path in (tmp_path / "images" / "ab").iterdir()) == ["abcd-01.png", "other.png"]
    await folder.remove([NAME, "cd/never-there.png"])
    assert await folder.get(NAME) is None
    assert await folder.get("ab/other.png") == b"other"
    await folder.aclose()


async def test_a_disk_that_is_full_leaves_no_half_a_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    folder = ImageFolder(tmp_path)
    with pytest.raises(StoreError, match="full"):
        await folder.put(NAME, b"content", "image/png")
    assert list((tmp_path / "ab").iterdir()) == []
    assert await folder.get(NAME) is None


async def test_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file")
    folder = ImageFolder(tmp_path / "images")
    for work in (folder.put(NAME, b"content", "image/png"), folder.get(NAME), folder.remove([NAME])):
        with pytest.raises(StoreError, match="folder of the images"):
            await work
