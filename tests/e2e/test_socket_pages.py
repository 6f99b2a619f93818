"""The programs on the pages of the two sockets, with nothing changed but the address."""

import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.live import spoken
from tests.e2e.nodejs import at_home, ran
from tests.e2e.real import SPOKEN, said
from tests.e2e.test_curl import probe
from tests.serving import Server

pytestmark = pytest.mark.slow

PAGES = ROOT / "docs" / "protocols"


def program(page: str, language: str, server: Server, path: Path) -> Path:
    """The first program in a language on a page, for this server."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE)
    text, addresses = re.subn(r"ws://127\.0\.0\.1:8080", server.url.replace("http", "ws"), blocks[0])
    assert addresses == 1
    path.write_text(text)
    return path


def test_live_in_node(real_server: Server, tmp_path: Path) -> None:
    (tmp_path / "audio.raw").write_bytes(spoken("lights"))
    script = program("live.md", "js", real_server, tmp_path / "live.cjs")
    told = ran(at_home(script, tmp_path, "ws"), tmp_path, VOXGATE_API_KEY=real_server.key).strip()
    assert told.startswith("1000 ")
    assert said(told.removeprefix("1000 ")) == said(SPOKEN["lights"])


def test_live_in_python(real_server: Server, tmp_path: Path) -> None:
    (tmp_path / "audio.raw").write_bytes(spoken("lights"))
    script = program("live.md", "python", real_server, tmp_path / "live.py")
    told = ran([sys.executable, str(script), "audio.raw"], tmp_path, VOXGATE_API_KEY=real_server.key)
    assert said(told) == said(SPOKEN["lights"])


def test_speech_in_node(real_server: Server, tmp_path: Path) -> None:
    script = program("speech.md", "js", real_server, tmp_path / "speech.mjs")
    assert ran(at_home(script, tmp_path, "ws"), tmp_path, VOXGATE_API_KEY=real_server.key) == ""
    stream, seconds = probe(tmp_path / "speech.mp3")
    assert stream["codec_name"] == "mp3"
    assert 1 < seconds < 6
