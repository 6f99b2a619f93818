"""What every test may use. What is required (VOXGATE_REQUIRE) and absent fails its tests; anything else skips them."""

import fcntl
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import Postgres, installed
from voxgate.errors import ModelError
from voxgate.models.store import ModelStore, models_root

# These machines are noisy: an example that takes long is no defect. CI tries the same examples every time; people's
# machines try new ones. `make check` tries a fifth of them.
settings.register_profile("voxgate", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("quick", settings.get_profile("voxgate"), max_examples=20)
settings.load_profile("quick" if "VOXGATE_QUICK" in os.environ else "voxgate")

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("VOXGATE_SHARED", ROOT.parent / "shared"))
REQUIRED = frozenset(filter(None, os.environ.get("VOXGATE_REQUIRE", "").split(",")))


def absent(kind: str, what: str) -> None:
    """Skip the test because `what` is missing, or fail it where `kind` is required here."""
    if kind in REQUIRED:
        pytest.fail(f"{what} is missing, and VOXGATE_REQUIRE names {kind!r}")
    pytest.skip(f"{what} is missing")


def stored(model: str) -> Path:
    """The model's folder in this machine's store, whether it is there or not."""
    return models_root(os.environ) / model


@functools.cache
def published(model: str) -> Path:
    """The folder with a model's files as its makers publish them; fetched once, into the checkout's ignored cache."""
    folder = ROOT / ".cache" / "published"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "published.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side, in processes of their own
        if not (folder / model).is_dir():
            try:
                ModelStore(models_root(os.environ)).export([model], folder)
            except ModelError as error:
                absent("models", f"the published model {model} ({error.message})")
    return folder / model


@pytest.fixture
def shared() -> Path:
    """The folder with recorded speech and its transcripts."""
    if not (SHARED / "audio" / "transcripts.tsv").exists():
        absent("shared", "shared/audio")
    return SHARED


class Recorder:
    """A `ports.Metrics` that remembers."""

    def __init__(self) -> None:
        self.observed: list[tuple[str, str]] = []
        self.counted: list[tuple[str, str]] = []
        self.gauges: dict[tuple[str, str], float] = {}

    def observe(self, stage: str, seconds: float, *, engine: str) -> None:
        self.observed.append((stage, engine))

    def count(self, event: str, *, engine: str, times: int = 1) -> None:
        self.counted += [(event, engine)] * times

    def gauge(self, name: str, value: float, *, engine: str) -> None:
        self.gauges[name, engine] = value


@pytest.fixture
def metrics() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that runs for all the tests that want one."""
    if not installed():
        absent("postgres", "PostgreSQL (Debian: postgresql)")
    with tempfile.TemporaryDirectory(prefix="voxgate-postgres-") as folder:
        server = Postgres(Path(folder))
        yield server
        server.stop()
