"""The wheel in a clean environment, without and with the extra, and `make serve` in an empty clone."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, absent
from tests.e2e.real import SPOKEN, alive, recording, said, until
from tests.serving import Server
from voxgate.app import HELLO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str | Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that sees no source tree of ours."""
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VOXGATE__", "OPENAI_"))}
    ran = subprocess.run(
        list(map(str, command)), cwd=ROOT.root, env=cleaned | environment, capture_output=True, text=True
    )
    assert not check or ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would be."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel and no extra."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
    return folder


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    inside = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    source = ROOT / "src"
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not tracked:
        absent("git", "a git checkout")
    assert {f"src/{name}" for name in inside} >= set(tracked)
    assert all((source / name).is_file() and "__pycache__" not in name for name in inside)
    assert {"voxgate/models/catalog.toml", "voxgate/py.typed", "voxgate/store/migrations/env.py"} <= inside
    assert {"espeak", "postgres", "dev"} <= set(re.findall(r"^Provides-Extra: (\S+)$", metadata, re.MULTILINE))


def test_a_clean_environment_hears_and_says_how_to_speak(venv: Path, wheel: Path, tmp_path: Path) -> None:
    python = venv / "bin/python"
    assert "voxgate serve" in run(venv / "bin/voxgate", "--help").stdout
    assert str(venv) in run(python, "-c", "import voxgate; print(voxgate.__file__)").stdout
    checked = run(venv / "bin/voxgate", "check", "--json", check=False, VOXGATE_DATA_DIR=str(tmp_path / "check"))
    assert checked.returncode == 1
    problems = json.loads(checked.stdout)["problems"]
    assert {"piper", "espeak"} <= {problem.split(":")[0] for problem in problems}
    assert all("pip install 'voxgate[espeak]'" in problem for problem in problems)

    server = Server(tmp_path, "", {"PYTHONPATH": ""}, python=str(python))
    try:
        with server.client() as client:
            missing = client.get("/readyz").json()["missing"]
            if missing:
                absent("models", ", ".join(missing))
            assert hear(client, recording("question").read_bytes()) == said(SPOKEN["question"])
            refused = speak(client)
            assert refused.status_code == 503
            error = refused.json()["error"]
            assert error["code"] == "engine_unavailable"
            command = re.findall(r"`(pip install [^`]+)`", error["message"])[0]
    finally:
        assert server.stop() == 0

    # the very command the error names, where the wheel can be found
    constraints = str(ROOT / "constraints.txt")
    run(python, "-m", *shlex.split(command), "-q", PIP_FIND_LINKS=str(wheel.parent), PIP_CONSTRAINT=constraints)
    key = server.key
    server = Server(tmp_path, "", {"PYTHONPATH": ""}, python=str(python))
    try:
        with server.client(key) as client:
            spoken = speak(client)
            assert spoken.status_code == 200
            assert hear(client, spoken.content) == said(SPOKEN["lights"])
    finally:
        assert server.stop() == 0
    assert run(venv / "bin/voxgate", "check", VOXGATE_DATA_DIR=str(tmp_path / "check")).returncode == 0


def hear(client: httpx.Client, audio: bytes) -> list[str]:
    answer = client.post("/v1/audio/transcriptions", files={"file": ("a", audio)}, data={"model": "whisper-1"})
    assert answer.status_code == 200, answer.text
    return said(answer.json()["text"])


def speak(client: httpx.Client) -> httpx.Response:
    body = {"model": "tts-1", "voice": "onyx", "input": SPOKEN["lights"], "response_format": "wav"}
    return client.post("/v1/audio/speech", json=body)


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """An empty clone, as `git clone` leaves it."""
    for tool in ("git", "make"):
        if shutil.which(tool) is None:
            absent(tool, tool)
    folder = tmp_path / "voxgate"
    if run("git", "clone", "-q", ROOT, folder, check=False).returncode:
        absent("git", "a git checkout")
    yield folder
    shutil.rmtree(folder)


def test_make_serve_in_an_empty_clone(clone: Path, tmp_path: Path) -> None:
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VOXGATE__", "OPENAI_", "MAKE"))}
    output = tmp_path / "out.txt"
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["make", "serve", f"PYTHON={sys.executable}", "ARGS=--port 0"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=clone,
            env={k: v for k, v in cleaned.items() if k != "VOXGATE_DATA_DIR"},
            start_new_session=True,
        )
    group: list[int] = []
    try:
        until(lambda: process.poll() is not None or "curl -s" in output.read_text(), within_s=200)
        told = output.read_text()
        assert process.poll() is None, told
        [line] = re.findall(r"^\s*(curl .*)$", told, re.MULTILINE)
        pasted = subprocess.run(["bash", "-c", line], cwd=clone, capture_output=True, text=True, timeout=60)
        assert said(json.loads(pasted.stdout)["text"]) == said(HELLO)
        assert len(re.findall(r"vg_[\w-]{32,}", told)) == 2  # alone, and in the line
        group = pids_of(process.pid)
        assert len(group) > 5
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        process.wait(30)
    until(lambda: alive(group) == [])
    untracked = run("git", "-C", clone, "status", "--porcelain").stdout
    assert untracked == ""


def pids_of(session: int) -> list[int]:
    """The processes of a session."""
    return list(map(int, run("ps", "-o", "pid=", "--sid", str(session)).stdout.split()))
