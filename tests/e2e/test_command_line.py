"""The commands that talk to a server, as people see them: on a terminal, with real models."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.e2e.real import SPOKEN, recording, said
from tests.serving import Server

pytestmark = pytest.mark.slow


def on_a_terminal(server: Server, *arguments: str, interrupt_at: str = "") -> tuple[int, str]:
    """Exit status, and what a terminal is written; Ctrl-C is pressed as soon as `interrupt_at` is on it."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        environment = server.environment | {"VOXGATE_URL": server.url, "VOXGATE_API_KEY": server.key, "TERM": "xterm"}
        for name in ("NO_COLOR", "COLUMNS"):
            environment.pop(name, None)
        os.execve(sys.executable, [sys.executable, "-m", "voxgate", *arguments], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))  # rows, columns
    shown, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # Linux: the other end is closed
            break
        shown += data.decode()
        if interrupt_at and interrupt_at in shown:
            os.write(terminal, b"\x03")
            interrupt_at = ""
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def test_words_change_in_place_on_a_terminal(real_server: Server) -> None:
    status, shown = on_a_terminal(real_server, "listen", str(recording("lights")), "--language", "english")
    assert status == 0
    partials = re.findall(r"\r\x1b\[2m(.*?)\x1b\[0m\x1b\[K", shown)
    assert len(partials) >= 3
    assert partials[0].startswith("Please")
    assert partials[-1].startswith("…"), "the newest words, where not all fit"
    assert max(map(len, partials)) <= 39
    final, about = shown.rpartition("\r\x1b[K")[2].split("\r\n")[:2]
    assert said(final) == said(SPOKEN["lights"])
    assert re.fullmatch(r"heard 3\.\d s for 0\.06\d+ credits", about)
    assert shown.count("\n") == 2, "partials leave no lines behind"


def test_ctrl_c_keeps_what_was_said(real_server: Server) -> None:
    status, shown = on_a_terminal(real_server, "listen", str(recording("lights")), interrupt_at="Please turn off")
    assert status == 130
    final = shown.rpartition("heard")[0].split("\r\x1b[K")[-1]
    assert said(final)[:3] == said(SPOKEN["lights"])[:3]
    assert re.search(r"heard [1-3]\.\d s for 0\.0\d+ credits", shown)


def test_what_is_said_live_is_heard_live(real_server: Server, tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text(SPOKEN["lights"])
    remote = ("--url", real_server.url, "--key", real_server.key)
    run = [sys.executable, "-m", "voxgate"]
    say = [*run, "say", "--live", "-", "-o", str(tmp_path / "said.wav"), *remote]
    subprocess.run(say, input=SPOKEN["lights"].encode(), check=True)
    listened = [*run, "listen", "--fast", "said.wav", "--language", "english", *remote]
    heard = subprocess.run(listened, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said(heard.stdout) == said(SPOKEN["lights"])
    scored = [*run, "transcribe", "--live", "said.wav", "--language", "english", *remote]
    heard = subprocess.run(scored, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said(heard.stdout) == said(SPOKEN["lights"])
    assert "WER 0.000: 0 of 11 words" in heard.stderr
    assert re.search(r"final texts came \d+ ms \(p50\) and \d+ ms \(p95\) after the end of what they say", heard.stderr)
