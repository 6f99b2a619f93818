"""Archives from strangers: what is wanted comes out, everything else is refused."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxgate.models import archive
from voxgate.models.archive import open_archive
from voxgate.models.fetching import SourceError

LIMIT = 1 << 20


def _take(path: Path, member: str, limit: int = LIMIT) -> bytes:
    with open_archive(path, unpacked_limit=8 * LIMIT) as opened:
        return b"".join(opened.read(member, limit))


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def _tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as out:
        for entry, data in entries:
            out.addfile(entry, io.BytesIO(data))
    return path


def _entry(name: str, size: int, kind: bytes = tarfile.REGTYPE, linkname: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = size, kind, linkname
    return entry


def test_a_zip_gives_its_member(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.whl", {"in/weights": b"w" * 3000, "other": b"o"})
    assert _take(path, "in/weights") == b"w" * 3000


def test_a_tarball_gives_its_members_in_any_order(tmp_path: Path) -> None:
    path = _tar(tmp_path / "a.tgz", (_entry("p/a", 3), b"aaa"), (_entry("p/b", 2), b"bb"))
    with open_archive(path, unpacked_limit=LIMIT) as opened:
        assert opened.has("p/a")
        assert not opened.has("a")
        assert b"".join(opened.read("p/b", 2)) == b"bb"
        assert b"".join(opened.read("p/a", 3)) == b"aaa"


def test_names_that_escape_are_only_names(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = _zip(inner / "a.whl", {"../escaped": b"evil", "/etc/escaped": b"evil", "good": b"g"})
    assert _take(path, "good") == b"g"
    assert [found.name for found in tmp_path.rglob("*escaped*")] == []


@pytest.mark.parametrize("name", ["a.whl", "a.tgz"])
def test_an_absent_member_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("whl"):
        _zip(path, {"x": b"x"})
    else:
        _tar(path, (_entry("x", 1), b"x"))
    with pytest.raises(SourceError, match="no members named y"):
        _take(path, "y")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("w", b"one")
        with pytest.warns(UserWarning, match="Duplicate"):
            out.writestr("w", b"two")
    with pytest.raises(SourceError, match="2 members"):
        _take(path, "w")
    tarred = _tar(tmp_path / "a.tgz", (_entry("w", 1), b"1"), (_entry("w", 1), b"2"))
    with pytest.raises(SourceError, match="2 members"):
        _take(tarred, "w")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    link = zipfile.ZipInfo("w")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match="no plain file"):
        _take(path, "w")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_what_is_no_file_in_a_tarball_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = _tar(tmp_path / "a.tgz", (_entry("w", 0, kind, "/etc/passwd"), b""))
    with pytest.raises(SourceError, match="no plain file"):
        _take(path, "w")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.whl", {"w": b"w"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 0x1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="encrypted"):
        _take(path, "w")


def test_an_unusual_compression_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.whl", {"w": b"w" * 100}, zipfile.ZIP_LZMA)
    with pytest.raises(SourceError, match="compressed in a way"):
        _take(path, "w")


def test_a_bomb_is_refused_by_what_it_says(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.whl", {"w": bytes(10 * LIMIT)})
    assert path.stat().st_size < LIMIT
    with pytest.raises(SourceError, match="at most 1048576 expected"):
        _take(path, "w")
    tarred = _tar(tmp_path / "a.tgz", (_entry("w", 2 * LIMIT), bytes(2 * LIMIT)))
    with pytest.raises(SourceError, match="at most 1048576 expected"):
        _take(tarred, "w")


def test_a_bomb_that_lies_about_its_size_ends_at_the_limit(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.whl", {"w": bytes(10 * LIMIT)})
    data = path.read_bytes().replace((10 * LIMIT).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(SourceError):
        _take(path, "w", limit=100)


def test_a_tarball_that_unpacks_without_end_is_left_early(tmp_path: Path) -> None:
    path = _tar(tmp_path / "a.tgz", (_entry("filler", 9 * LIMIT), bytes(9 * LIMIT)), (_entry("w", 1), b"w"))
    with pytest.raises(SourceError, match="unpacks to more than"):
        _take(path, "w")


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(SourceError, match="3 members"):
        _take(_zip(tmp_path / "a.whl", {"a": b"", "b": b"", "c": b""}), "a")
    with pytest.raises(SourceError, match="more than"):
        _take(_tar(tmp_path / "a.tgz", *((_entry(name, 0), b"") for name in "abc")), "a")


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.whl", {"w": b"0123456789"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780"))
    with pytest.raises(SourceError, match="damaged"):
        _take(path, "w")


@pytest.mark.parametrize("keep", [0, 10, 100, 3000])
def test_truncated_archives_are_refused(tmp_path: Path, keep: int) -> None:
    noise = bytes(hash((n, "noise")) % 251 for n in range(6000))
    for path in (
        _zip(tmp_path / "a.whl", {"w": noise}, zipfile.ZIP_STORED),
        _tar(tmp_path / "a.tgz", (_entry("w", len(noise)), noise)),
    ):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(SourceError):
            _take(path, "w")


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_archive(tmp_path / "nothing.whl", unpacked_limit=1)


def _sound(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("w", b"weights" * 50)
            zipped.writestr("v", b"v")
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as tarred:
            tarred.addfile(_entry("w", 350), io.BytesIO(b"weights" * 50))
    return out.getvalue()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["zip", "tar"]),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=6),
    cut=st.integers(0, 2000),
)
def test_damage_of_any_kind_is_a_source_error_and_never_more_than_the_limit(
    tmp_path: Path, kind: str, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(_sound(kind))
    for place, value in flips:
        data[place % len(data)] ^= value
    path = tmp_path / "fuzzed"
    path.write_bytes(data[: len(data) - cut % 50 if cut % 3 == 0 else len(data)])
    try:
        taken = _take(path, "w", limit=350)
    except SourceError:
        return
    assert len(taken) <= 350
