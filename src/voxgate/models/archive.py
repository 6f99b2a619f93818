"""Named members out of wheels and tarballs that nobody vouches for.

Nothing is ever unpacked: a member is looked up by its exact name and streamed, so no name inside the archive becomes a
path on disk. What remains to be refused: links and other special members, encrypted ones, two members of one name,
members that grow beyond what is expected (bombs), and archives that end early.
"""

import errno
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from voxgate.models.fetching import SourceError

CHUNK = 1 << 20
"""Bytes read at once."""

MAX_MEMBERS = 100_000
"""More entries than any package has; a directory of millions is an attack on our memory."""

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What the wheel format uses; others are refused before their decoders are reached."""


class Archive(Protocol):
    """An open archive."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def has(self, member: str) -> bool:
        """Whether a member of exactly this name exists."""
        ...

    def read(self, member: str, limit: int) -> Iterator[bytes]:
        """The member's bytes, in pieces. Raises SourceError: absent, unsafe, damaged, or more than `limit` bytes."""
        ...


def open_archive(path: Path, *, unpacked_limit: int) -> Archive:
    """Open a wheel (`.whl`, a zip) or a tarball (`.tgz`), told apart by their content.

    `unpacked_limit`: bytes a tarball may hold altogether, for it is read from start to end. Raises SourceError.
    """
    with _damage_told(path.name):
        return _Zip(path) if zipfile.is_zipfile(path) else _Tar(path, unpacked_limit)


@contextmanager
def _damage_told(what: str) -> Iterator[None]:
    """Whatever zipfile and tarfile raise on damaged input, as one SourceError. (Fuzzing found every one of these.)"""
    try:
        yield
    except OSError as error:
        # A position before the start of the file is EINVAL, a broken gzip stream has no errno; the rest is the disk.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise SourceError(f"{what} is damaged ({error})") from error
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise SourceError(f"{what} is damaged ({error})") from error


class _Zip:
    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path)
        self._name = path.name
        self._members: dict[str, list[zipfile.ZipInfo]] = {}
        entries = self._file.infolist()
        if len(entries) > MAX_MEMBERS:
            self._file.close()
            raise SourceError(f"{path.name} has {len(entries)} members")
        for entry in entries:
            self._members.setdefault(entry.filename, []).append(entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def has(self, member: str) -> bool:
        return member in self._members

    def read(self, member: str, limit: int) -> Iterator[bytes]:
        entries = self._members.get(member, [])
        if len(entries) != 1:
            raise SourceError(f"{self._name} has {len(entries) or 'no'} members named {member}")
        entry = entries[0]
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or kind not in (0, stat.S_IFREG):
            raise SourceError(f"{member} in {self._name} is no plain file")
        if entry.flag_bits & 0x1:
            raise SourceError(f"{member} in {self._name} is encrypted")
        if entry.compress_type not in _COMPRESSIONS:
            raise SourceError(f"{member} in {self._name} is compressed in a way wheels are not")
        if entry.file_size > limit:
            raise SourceError(f"{member} in {self._name} has {entry.file_size} bytes, at most {limit} expected")
        with _damage_told(f"{member} in {self._name}"), self._file.open(entry) as stream:
            yield from _bounded(stream, member, limit)


class _Tar:
    def __init__(self, path: Path, unpacked_limit: int) -> None:
        self._file = tarfile.open(path, mode="r:gz")  # noqa: SIM115 - closed by __exit__
        self._name = path.name
        self._members: dict[str, list[tarfile.TarInfo]] = {}
        try:
            self._index(unpacked_limit)
        except BaseException:
            self._file.close()
            raise

    def _index(self, unpacked_limit: int) -> None:
        total = 0
        for count, entry in enumerate(self._file, start=1):
            total += max(entry.size, 0)
            if count > MAX_MEMBERS or total > unpacked_limit:
                raise SourceError(f"{self._name} unpacks to more than {unpacked_limit} bytes")
            self._members.setdefault(entry.name, []).append(entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def has(self, member: str) -> bool:
        return member in self._members

    def read(self, member: str, limit: int) -> Iterator[bytes]:
        entries = self._members.get(member, [])
        if len(entries) != 1:
            raise SourceError(f"{self._name} has {len(entries) or 'no'} members named {member}")
        entry = entries[0]
        if not entry.isreg() or entry.issparse():
            raise SourceError(f"{member} in {self._name} is no plain file")
        if entry.size > limit:
            raise SourceError(f"{member} in {self._name} has {entry.size} bytes, at most {limit} expected")
        with _damage_told(f"{member} in {self._name}"):
            stream = self._file.extractfile(entry)
            if stream is None:
                raise SourceError(f"{member} in {self._name} is no plain file")
            with stream:
                yield from _bounded(stream, member, limit)


def _bounded(stream: IO[bytes], member: str, limit: int) -> Iterator[bytes]:
    """Read to the end, but never much beyond `limit`: the sizes in an archive's directory may lie."""
    seen = 0
    while chunk := stream.read(CHUNK):
        seen += len(chunk)
        if seen > limit:
            raise SourceError(f"{member} is larger than the {limit} bytes expected")
        yield chunk
