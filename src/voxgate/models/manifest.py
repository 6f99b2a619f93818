"""What an installed model says about itself: `manifest.json` beside its files.

It makes a start cheap: files whose size and time of change are as recorded are taken as they were when their digests
were found right. A folder that was copied has other times; it is hashed once and its manifest brought up to date.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from voxgate.models.catalog import FORMAT, MANIFEST_NAME, Model, PlainName


class Entry(BaseModel):
    """One installed file."""

    model_config = ConfigDict(frozen=True)

    name: PlainName
    bytes: int
    sha256: str
    mtime_ns: int
    """Time of the last change, nanoseconds since 1970, as the file system tells it."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """The entry of a file as it is now."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found = os.fstat(stream.fileno())
        return cls(name=path.name, bytes=found.st_size, sha256=digest, mtime_ns=found.st_mtime_ns)


class Manifest(BaseModel):
    """Everything that is known about an installed model."""

    model_config = ConfigDict(frozen=True)

    format: int
    model: str
    sources: dict[str, str]
    """Name and sha256 of every file that was fetched, also of those that only served to make the installed ones."""
    converter: str
    """`NAME VERSION` of the converter; empty where the files are as they were fetched."""
    files: tuple[Entry, ...]
    licences: tuple[str, ...]
    """File names of the licence texts in the folder."""
    origin: str
    """Which source gave the files."""
    warnings: tuple[str, ...]
    """What the operator should know: a conversion that came out differently, and passed its self-test."""

    @classmethod
    def of(cls, model: Model, folder: Path, *, licences: Iterable[str], origin: str, warnings: Iterable[str]) -> Self:
        """The manifest of a folder whose files have just been put there; hashes every one."""
        texts = tuple(licences)
        installed = sorted(path for path in folder.iterdir() if path.name not in {*texts, MANIFEST_NAME})
        return cls(
            format=FORMAT,
            model=model.name,
            sources=source_digests(model),
            converter=converter_of(model),
            files=tuple(Entry.of(path) for path in installed),
            licences=texts,
            origin=origin,
            warnings=tuple(warnings),
        )

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest in `folder`; None where there is none that can be read."""
        try:
            return cls.model_validate_json((folder / MANIFEST_NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def write(self, folder: Path) -> None:
        """Write it into `folder`, whole or not at all."""
        growing = folder / f".{MANIFEST_NAME}.{os.getpid()}"
        with growing.open("w", encoding="utf-8") as out:
            out.write(self.model_dump_json(indent=2) + "\n")
            out.flush()
            os.fsync(out.fileno())
        growing.replace(folder / MANIFEST_NAME)

    def fits(self, model: Model) -> bool:
        """Whether this is what the catalogue would install today."""
        return (
            self.format == FORMAT
            and self.model == model.name
            and self.sources == source_digests(model)
            and self.converter == converter_of(model)
        )

    def damage(self, folder: Path, *, thorough: bool) -> str:
        """What is wrong with the files, in one line; empty where nothing is.

        Not `thorough`: a file whose size and time are as recorded is believed.
        """
        for entry in self.files:
            path = folder / entry.name
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return f"{entry.name} is missing"
            if found.st_size != entry.bytes:
                return f"{entry.name} has {found.st_size} bytes, {entry.bytes} expected"
            if (thorough or found.st_mtime_ns != entry.mtime_ns) and Entry.of(path).sha256 != entry.sha256:
                return f"{entry.name} has changed (its sha256 differs)"
        return ""

    def refreshed(self, folder: Path) -> Self:
        """The same manifest with the times the files have now."""
        files = tuple(
            entry.model_copy(update={"mtime_ns": (folder / entry.name).stat().st_mtime_ns}) for entry in self.files
        )
        return self.model_copy(update={"files": files})


def source_digests(model: Model) -> dict[str, str]:
    """File name -> sha256 of everything that is fetched for `model`."""
    return {file.name: file.sha256 for file in model.files}


def converter_of(model: Model) -> str:
    """`NAME VERSION` of the converter `model` needs; empty for none."""
    return f"{model.convert.name} {model.convert.version}" if model.convert else ""
