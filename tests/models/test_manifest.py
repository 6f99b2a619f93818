"""The manifest: what is believed at a start, and what is noticed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxgate.models.catalog import MANIFEST_NAME, Model
from voxgate.models.manifest import Manifest

CONVERT = {"name": "moonshine", "version": 3, "files": [{"name": "w"}]}


@pytest.fixture
def model(make_model: Callable[..., dict[str, Any]]) -> Model:
    return Model.model_validate({"name": "one", **make_model({"w": b"weights"})})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w").write_bytes(b"weights")
    (tmp_path / "LICENSE").write_text("MIT")
    return tmp_path


def _manifest(model: Model, folder: Path) -> Manifest:
    return Manifest.of(model, folder, licences=["LICENSE"], origin="here", warnings=["odd"])


def test_it_comes_back_as_it_was_written(model: Model, folder: Path) -> None:
    manifest = _manifest(model, folder)
    manifest.write(folder)
    assert Manifest.read(folder) == manifest
    assert [entry.name for entry in manifest.files] == ["w"]
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", MANIFEST_NAME, "w"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_a_damaged_one_is_none(folder: Path, content: bytes) -> None:
    (folder / MANIFEST_NAME).write_bytes(content)
    assert Manifest.read(folder) is None


def test_a_manifest_cannot_point_outside_its_folder(model: Model, folder: Path) -> None:
    _manifest(model, folder).write(folder)
    path = folder / MANIFEST_NAME
    path.write_text(path.read_text().replace('"name": "w"', '"name": "../w"'))
    assert Manifest.read(folder) is None


def test_no_folder_has_none(tmp_path: Path) -> None:
    assert Manifest.read(tmp_path / "nothing") is None


def test_another_format_source_or_converter_does_not_fit(
    model: Model, folder: Path, make_model: Callable[..., dict[str, Any]]
) -> None:
    manifest = _manifest(model, folder)
    assert manifest.fits(model)
    assert not manifest.model_copy(update={"format": 0}).fits(model)
    assert not manifest.fits(Model.model_validate({"name": "two", **make_model({"w": b"weights"})}))
    assert not manifest.fits(Model.model_validate({"name": "one", **make_model({"w": b"others"})}))
    converted = Model.model_validate({"name": "one", **make_model({"w": b"weights"}, convert=CONVERT)})
    assert not manifest.fits(converted)
    made = _manifest(converted, folder)
    assert made.fits(converted)
    newer = Model.model_validate({"name": "one", **make_model({"w": b"weights"}, convert={**CONVERT, "version": 4})})
    assert not made.fits(newer)


def test_an_untouched_file_is_believed_without_reading_it(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = _manifest(model, folder)
    monkeypatch.setattr("voxgate.models.manifest.hashlib.file_digest", None)
    assert manifest.damage(folder, thorough=False) == ""


def test_a_copied_file_is_read_once_and_believed(model: Model, folder: Path) -> None:
    manifest = _manifest(model, folder)
    os.utime(folder / "w", ns=(1, 1))
    assert manifest.damage(folder, thorough=False) == ""
    refreshed = manifest.refreshed(folder)
    assert refreshed != manifest
    assert refreshed.files[0].mtime_ns == 1
    assert refreshed.files[0].sha256 == manifest.files[0].sha256


def test_a_missing_file_and_another_size_are_noticed(model: Model, folder: Path) -> None:
    manifest = _manifest(model, folder)
    (folder / "w").write_bytes(b"longer weights")
    assert manifest.damage(folder, thorough=False) == "w has 14 bytes, 7 expected"
    (folder / "w").unlink()
    assert manifest.damage(folder, thorough=False) == "w is missing"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(place=st.integers(0, 6), value=st.integers(1, 255), thorough=st.booleans())
def test_any_changed_byte_is_noticed(model: Model, folder: Path, place: int, value: int, thorough: bool) -> None:
    (folder / "w").write_bytes(b"weights")
    manifest = _manifest(model, folder)
    data = bytearray(b"weights")
    data[place] ^= value
    (folder / "w").write_bytes(data)
    # A rewritten file has another time; where the clock is too coarse to show it, only a thorough look can tell.
    same_time = (folder / "w").stat().st_mtime_ns == manifest.files[0].mtime_ns
    assert manifest.damage(folder, thorough=thorough or same_time) == "w has changed (its sha256 differs)"
