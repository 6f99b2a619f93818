"""The store: complete or not there, whatever happens on the way."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.models.conftest import Server
from voxgate.errors import Code, ModelError
from voxgate.models import conversion
from voxgate.models.catalog import MANIFEST_NAME, Catalog, Conversion, Model
from voxgate.models.fetching import Patience, Step
from voxgate.models.store import Health, ModelStore, models_root

WEIGHTS = b"weights" * 1000
PATIENCE = Patience(silent_s=3.0)
URL = f"/some/one/resolve/{'0' * 40}"


@pytest.fixture
def catalog(make_model: Callable[..., dict[str, Any]], make_catalog: Callable[..., Catalog]) -> Catalog:
    """Two models on the hub, and a bundle of both."""
    licensed = {"kind": "hub", "repository": "some/one", "revision": "0" * 40, "licences": ["LICENSE"]}
    return make_catalog(
        bundles={"both": ["one", "two"]},
        one=make_model({"w": WEIGHTS, "c": b"{}"}, sources=[licensed]),
        two=make_model({"v": b"vocabulary"}),
    )


@pytest.fixture
def store(tmp_path: Path, catalog: Catalog, server: Server) -> ModelStore:
    server.pages |= {f"{URL}/w": WEIGHTS, f"{URL}/c": b"{}", f"{URL}/v": b"vocabulary", f"{URL}/LICENSE": b"MIT"}
    return ModelStore(tmp_path / "models", catalog=catalog, hub=server.url, patience=PATIENCE)


def _tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.name.endswith(".lock"))


def test_nothing_is_there_before_a_pull(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="`voxgate models pull one`") as caught:
        store.path("one")
    assert caught.value.code is Code.MODEL_MISSING
    assert [status.health for status in store.overview()] == [Health.MISSING, Health.MISSING]
    assert store.verify() == []
    assert not store.root.exists()


def test_a_pull_installs_files_licence_and_manifest_and_nothing_else(store: ModelStore, server: Server) -> None:
    one, two = store.pull(["both"])
    assert (one.health, two.health) == (Health.READY, Health.READY)
    assert one.origin == "hub (some/one)"
    assert one.bytes == len(WEIGHTS) + 2
    assert one.licences == (store.root / "one" / "LICENSE",)
    assert store.path("one") == store.root / "one"
    assert _tree(store.root) == [
        ".work",
        "one",
        "one/LICENSE",
        "one/c",
        "one/manifest.json",
        "one/w",
        "two",
        "two/manifest.json",
        "two/v",
    ]
    assert (store.root / "one" / "w").read_bytes() == WEIGHTS


def test_a_second_pull_asks_nobody(store: ModelStore, server: Server) -> None:
    store.pull(["both"])
    asked = len(server.asked)
    store.pull(["both"])
    assert len(server.asked) == asked


def test_a_folder_that_may_only_be_read_needs_no_pull(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pull(["both"])
    shutil.rmtree(store.root / ".work")
    store.pull(["both"])
    assert not (store.root / ".work").exists()


def test_force_fetches_everything_again(store: ModelStore, server: Server) -> None:
    store.pull(["two"])
    store.pull(["two"], force=True)
    assert [path for path, _ in server.asked] == [f"{URL}/v"] * 2
    assert store.path("two").is_dir()


def test_an_unknown_name_is_refused_before_anything_is_fetched(store: ModelStore, server: Server) -> None:
    with pytest.raises(ModelError, match="no model 'onne'; did you mean 'one'"):
        store.pull(["two", "onne"])
    assert server.asked == []


def test_a_repair_fetches_only_what_is_broken(store: ModelStore, server: Server) -> None:
    store.pull(["one"])
    server.asked.clear()
    (store.root / "one" / "c").write_bytes(b"[]")
    with pytest.raises(ModelError, match="broken: c has changed") as caught:
        store.path("one")
    assert caught.value.code is Code.MODEL_BROKEN
    store.pull(["one"])
    assert [path for path, _ in server.asked] == [f"{URL}/c", f"{URL}/LICENSE"]
    assert (store.path("one") / "c").read_bytes() == b"{}"


def test_verify_hashes_what_path_believes(store: ModelStore) -> None:
    store.pull(["both"])
    path = store.root / "two" / "v"
    before = path.stat()
    path.write_bytes(b"vocabularx")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.path("two")
    assert [(status.model.name, status.health) for status in store.verify()] == [
        ("one", Health.READY),
        ("two", Health.BROKEN),
    ]
    assert [status.health for status in store.verify(["two"])] == [Health.BROKEN]


def test_a_copied_installation_is_ready_and_remembers_its_times(store: ModelStore, tmp_path: Path) -> None:
    store.pull(["one"])
    elsewhere = ModelStore(tmp_path / "copy", catalog=store.catalog)
    shutil.copytree(store.root, elsewhere.root, copy_function=shutil.copyfile)
    assert elsewhere.path("one")
    recorded = json.loads((elsewhere.root / "one" / MANIFEST_NAME).read_text())["files"]
    assert {each["name"]: each["mtime_ns"] for each in recorded} == {
        name: (elsewhere.root / "one" / name).stat().st_mtime_ns for name in ("c", "w")
    }


def test_a_folder_without_a_manifest_is_broken_and_is_taken_over_by_a_pull(store: ModelStore, server: Server) -> None:
    (store.root / "two").mkdir(parents=True)
    (store.root / "two" / "v").write_bytes(b"vocabulary")
    assert store.status("two").health is Health.BROKEN
    (status,) = store.pull(["two"])
    assert status.health is Health.READY
    assert server.asked == []


def test_another_catalogue_makes_an_installation_outdated(
    store: ModelStore, make_model: Callable[..., dict[str, Any]], make_catalog: Callable[..., Catalog]
) -> None:
    store.pull(["two"])
    newer = ModelStore(store.root, catalog=make_catalog(two=make_model({"v": b"VOCABULARY"})))
    assert newer.status("two").health is Health.OUTDATED
    with pytest.raises(ModelError, match=r"another version .*`voxgate models pull two`") as caught:
        newer.path("two")
    assert caught.value.code is Code.MODEL_MISSING


def test_one_that_fails_does_not_keep_the_others(store: ModelStore, server: Server) -> None:
    del server.pages[f"{URL}/w"]
    with pytest.raises(ModelError, match=r"one could not be fetched: .*404") as caught:
        store.pull(["both"])
    assert caught.value.code is Code.MODEL_BROKEN
    assert store.path("two")
    assert not (store.root / "one").exists()


def test_every_failure_is_a_line(store: ModelStore, server: Server) -> None:
    server.pages.clear()
    with pytest.raises(ModelError) as caught:
        store.pull(["both"])
    lines = caught.value.message.splitlines()
    assert [line.split()[0] for line in lines] == ["one", "two"]


def test_a_wrong_digest_leaves_nothing(store: ModelStore, server: Server) -> None:
    server.pages[f"{URL}/v"] = b"VOCABULARY"
    with pytest.raises(ModelError, match="v is not the file expected"):
        store.pull(["two"])
    assert _tree(store.root) == [".work"]


def test_a_failed_replacement_keeps_what_was_there(store: ModelStore, server: Server) -> None:
    store.pull(["two"])
    server.pages[f"{URL}/v"] = b"VOCABULARY"
    with pytest.raises(ModelError):
        store.pull(["two"], force=True)
    assert store.path("two")


def test_a_piece_that_an_earlier_pull_left_is_gone_on_with(store: ModelStore, server: Server) -> None:
    partial = store.root / ".work" / "one" / "partial"
    partial.mkdir(parents=True)
    (partial / "w").write_bytes(WEIGHTS[:2500])
    store.pull(["one"])
    assert (f"{URL}/w", "bytes=2500-") in server.asked
    assert (store.path("one") / "w").read_bytes() == WEIGHTS


def test_interrupting_leaves_only_the_piece_of_the_download(store: ModelStore, server: Server) -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(["one"], interrupt)
    assert _tree(store.root) == [".work", ".work/one", ".work/one/partial", ".work/one/partial/w"]
    store.pull(["one"])
    assert "one/w" in _tree(store.root)
    assert ".work/one" not in _tree(store.root)


def test_remove_frees_the_space_and_what_a_download_left(store: ModelStore) -> None:
    store.pull(["both"])
    (store.root / ".work" / "one" / "partial").mkdir(parents=True)
    assert store.remove(["one"]) > len(WEIGHTS)
    assert store.status("one").health is Health.MISSING
    assert store.status("two").health is Health.READY
    assert not (store.root / ".work" / "one").exists()
    assert store.remove(["one"]) == 0


def test_too_little_room_is_told_before_anything_is_fetched(
    store: ModelStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000))
    with pytest.raises(ModelError, match=r"disk is full: pulling one needs 0 MB, .* has 0 MB left") as caught:
        store.pull(["both"])
    assert caught.value.code is Code.DISK_FULL
    assert server.asked == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_on_the_way_is_one_line(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr("voxgate.models.store.Manifest.of", full)
    with pytest.raises(ModelError, match="disk is full: no room left below") as caught:
        store.pull(["two"])
    assert caught.value.code is Code.DISK_FULL
    assert _tree(store.root) == [".work"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ModelStore(tmp_path / "file" / "models", catalog=catalog)
    with pytest.raises(ModelError, match="cannot be used: Not a directory"):
        store.pull(["one"])


def test_a_conversion_leaves_what_engines_need_and_remembers_its_sources(
    tmp_path: Path,
    server: Server,
    make_model: Callable[..., dict[str, Any]],
    make_catalog: Callable[..., Catalog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.pages |= {f"{URL}/raw": b"raw"}
    versions = [
        make_catalog(one=make_model({"raw": b"raw"}, convert={"name": "piper", "version": n, "files": [{"name": "m"}]}))
        for n in (1, 2)
    ]

    def convert(model: Model, how: Conversion, source: Path, target: Path) -> tuple[str, ...]:
        (target / "m").write_bytes(b"made of " + (source / "raw").read_bytes())
        return ("it came out differently",)

    monkeypatch.setattr(conversion, "convert", convert)
    store = ModelStore(tmp_path / "models", catalog=versions[0], hub=server.url, patience=PATIENCE)
    (status,) = store.pull(["one"])
    assert status.warnings == ("it came out differently",)
    assert _tree(store.path("one")) == ["m", MANIFEST_NAME]
    newer = ModelStore(store.root, catalog=versions[1], hub=server.url, patience=PATIENCE)
    assert newer.status("one").health is Health.OUTDATED
    assert newer.pull(["one"])[0].health is Health.READY


def test_a_conversion_that_fails_leaves_nothing(
    store: ModelStore,
    server: Server,
    make_model: Callable[..., dict[str, Any]],
    make_catalog: Callable[..., Catalog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def convert(*_: object) -> tuple[str, ...]:
        raise ModelError("one: its conversion failed", code=Code.MODEL_BROKEN)

    monkeypatch.setattr(conversion, "convert", convert)
    entry = make_model({"v": b"vocabulary"}, convert={"name": "piper", "version": 1, "files": [{"name": "m"}]})
    broken = ModelStore(store.root, catalog=make_catalog(one=entry), hub=server.url, patience=PATIENCE)
    with pytest.raises(ModelError, match="its conversion failed"):
        broken.pull(["one"])
    assert _tree(store.root) == [".work"]


def test_an_export_is_a_mirror_for_another_machine(store: ModelStore, server: Server, tmp_path: Path) -> None:
    made = store.export(["both"], tmp_path / "mirror")
    assert made == [tmp_path / "mirror" / "one", tmp_path / "mirror" / "two"]
    assert _tree(tmp_path / "mirror") == ["one", "one/LICENSE", "one/c", "one/w", "two", "two/v"]
    isolated = ModelStore(
        tmp_path / "isolated", catalog=store.catalog, mirror=str(tmp_path / "mirror"), hub="http://127.0.0.1:1"
    )
    asked = len(server.asked)
    one, two = isolated.pull(["both"])
    assert one.health is two.health is Health.READY
    assert one.licences[0].read_text() == "MIT"
    assert len(server.asked) == asked
    store.export(["both"], tmp_path / "mirror")
    assert [path for path, _ in server.asked[asked:]] == []


@pytest.mark.parametrize(
    ("environ", "configured", "expected"),
    [
        ({"VOXGATE_MODELS_DIR": "/a", "XDG_DATA_HOME": "/b"}, "/c", "/a"),
        ({"XDG_DATA_HOME": "/b"}, "/c", "/c"),
        ({"XDG_DATA_HOME": "/b"}, "", "/b/voxgate/models"),
        ({"XDG_DATA_HOME": "relative"}, "", "~/.local/share/voxgate/models"),
        ({"XDG_DATA_HOME": "", "VOXGATE_MODELS_DIR": ""}, "", "~/.local/share/voxgate/models"),
        ({"VOXGATE_MODELS_DIR": "~/m"}, "", "~/m"),
    ],
)
def test_where_models_lie(environ: dict[str, str], configured: str, expected: str) -> None:
    assert models_root(environ, configured) == Path(expected).expanduser()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting needs root")
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(
    tiny_disk: Path,
    server: Server,
    make_model: Callable[..., dict[str, Any]],
    make_catalog: Callable[..., Catalog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    big = bytes(range(256)) * 400
    server.pages[f"{URL}/big"] = big
    store = ModelStore(tiny_disk, catalog=make_catalog(one=make_model({"big": big})), hub=server.url)
    with pytest.raises(ModelError, match="pulling one needs") as early:
        store.pull(["one"])
    assert early.value.code is Code.DISK_FULL
    monkeypatch.setattr(ModelStore, "_require_space", lambda self, model: None)
    with pytest.raises(ModelError, match="disk is full: no room left") as late:
        store.pull(["one"])
    assert late.value.code is Code.DISK_FULL
    assert store.status("one").health is Health.MISSING
    store.remove(["one"])
    assert _tree(tiny_disk) == [".work"]
