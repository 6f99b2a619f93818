"""What the end-to-end tests share: our own recordings, and what a running server tells about itself."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.conftest import ROOT, absent
from tests.serving import Server
from voxgate.text.wer import normalize

FIXTURES = ROOT / "tests" / "fixtures"
SPOKEN = {
    name: text for name, _, text in (line.split("|") for line in (FIXTURES / "spoken.txt").read_text().splitlines())
}
"""What each recording of `scripts/make-fixtures` says."""

SENTENCE = "The library opens at nine in the morning and closes late in the evening, except on every Sunday now"
"""99 characters: the sentence whose first audio is reported."""


def recording(name: str) -> Path:
    """A recording of our own, 16 kHz mono FLAC."""
    return FIXTURES / f"{name}.flac"


def said(text: str) -> list[str]:
    """The words of a text, as the error rate counts them."""
    return normalize(text)


def level(server: Server, name: str, engine: str) -> float:
    """A level of an engine, as `/metrics` tells it now."""
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    found = re.search(rf'^voxgate_engine_level{{engine="{engine}",level="{name}"}} (\S+)$', text, re.MULTILINE)
    assert found, f"/metrics has no {name} of {engine}"
    return float(found[1])


def until(true: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until something is so; an AssertionError where it does not become so in time."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"still not so after {within_s:g} s"
        time.sleep(0.05)


def resident_mib(pid: int) -> float:
    """Memory of a process that is in RAM, in MiB (proc(5), VmRSS)."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def alive(pids: list[int]) -> list[int]:
    """Those of the processes that still run; a zombie does not."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, state in rows if not state.startswith("Z")]


def start(folder: Path, config: str = "", environment: dict[str, str] | None = None) -> Server:
    """A server with real engines; skips or fails the test where their models are not there."""
    server = Server(folder, config, environment)
    ready = httpx.get(f"{server.url}/readyz", trust_env=False).json()
    if ready["missing"]:
        server.stop()
        absent("models", ", ".join(ready["missing"]))
    assert ready["problems"] == []
    return server


def stop(server: Server) -> None:
    """End a server and look back: a clean exit, nobody left over, no traceback, neither keys nor speech in its log."""
    children = server.children()
    assert children
    assert server.stop() == 0
    assert alive(children) == []
    look_through(server)


def look_through(server: Server) -> None:
    """No traceback, no key and nothing that was said or asked in the log."""
    assert "Traceback" not in server.log
    assert not re.search(r"vg_[\w-]{32,}", server.log)
    told = " ".join(said(server.log))
    for text in (*SPOKEN.values(), SENTENCE, "capital of France is"):
        assert " ".join(said(text)[:4]) not in told
