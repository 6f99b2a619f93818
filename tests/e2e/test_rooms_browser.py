"""examples/browser-call: its pages in Chromium, with a recorded question as the microphone and the default models."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.live import silence, spoken, wav
from tests.e2e.nodejs import HERE, in_chromium, node
from tests.e2e.real import SPOKEN, said
from tests.e2e.rooms import carried
from tests.serving import Server
from voxgate.testing.scripted import ScriptedSttSettings

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples" / "browser-call"
GREETING = "Hello! You can talk to me, or write."
PACKAGES = ("livekit-client", "@livekit/components-react", "esbuild", "react", "react-dom")


class Website:
    """`node server.mjs` of the example, in a folder where somebody typed `npm install`."""

    def __init__(self, folder: Path, server: Server, **environment: str) -> None:
        program = node(*PACKAGES)
        home = folder / "browser-call"
        shutil.copytree(EXAMPLE, home, ignore=shutil.ignore_patterns("node_modules"))
        (home / "node_modules").symlink_to(HERE / "node_modules")
        environment |= {"VOXGATE_URL": server.url, "VOXGATE_API_KEY": server.key, "PORT": "0"}
        self._process = subprocess.Popen(
            [program, "server.mjs"], cwd=home, env=os.environ | environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        found = re.search(r"http://\S+", self._process.stdout.readline())
        assert found, "it told no address"
        self.url = found[0]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def website(real_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    """Of a server with the default models, which carries its rooms itself."""
    running = Website(tmp_path_factory.mktemp("website"), real_server)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def livekit_website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    """Of one with scripted engines, whose rooms are LiveKit's."""
    folder = tmp_path_factory.mktemp("livekit")
    node(*PACKAGES)
    with carried("livekit", folder) as carrier:
        with carrier.server.client() as client:
            bot = {"name": "Greeter", "voice": "alloy", "greeting": GREETING}  # the one voice of these engines
            made = client.post("/v1/voicebots", json=bot).json()
        running = Website(folder, carrier.server, VOXGATE_VOICEBOT=made["id"])
        yield running
        running.stop()


def visit(website: Website, folder: Path, page: str, how: str) -> dict[str, Any]:
    question = folder / "question.wav"
    question.write_bytes(wav(silence(5) + spoken("question") + silence(20)))  # after the greeting
    picture = os.environ.get("VOXGATE_PICTURES")
    where = [str(Path(picture) / f"browser-call-{page or 'plain'}.png")] if picture else []
    address = f"{website.url}/{page}"
    return dict(json.loads(in_chromium("room-page.mjs", folder, address, str(question), how, *where, timeout_s=110)))


def is_whole(told: dict[str, Any], asked: str, how: str) -> None:
    """It was a conversation: greeted, asked, answered aloud, shown, and paid."""
    assert told["complaints"] == []
    lines = [(line["who"], line["text"]) for line in told["said"]]
    assert lines[0] == ("assistant", GREETING)
    assert lines[1][0] == "user"
    assert said(lines[1][1])[-5:] == said(asked)[-5:]
    assert lines[2][0] == "assistant"
    assert lines[2][1]
    assert len(lines) >= (5 if how == "write" else 3)
    assert told["loud"] > 2, "seconds of the bot's voice"
    states = [state for state in told["states"] if state in ("listening", "thinking", "speaking")]
    assert states[-1] == "listening"
    assert {"thinking", "speaking"} <= set(states)
    assert re.fullmatch(r"\d+ s, 1 credits\.", told["note"])


PAGES = pytest.mark.parametrize(("page", "how"), [("", "write"), ("react", "listen")], ids=["plain", "react"])


@PAGES
def test_a_spoken_question_is_answered_aloud(website: Website, tmp_path: Path, page: str, how: str) -> None:
    is_whole(visit(website, tmp_path, page, how), SPOKEN["question"], how)


@PAGES
def test_the_same_on_a_livekit_server(livekit_website: Website, tmp_path: Path, page: str, how: str) -> None:
    is_whole(visit(livekit_website, tmp_path, page, how), ScriptedSttSettings().text, how)


def test_every_file_is_on_the_page_of_examples() -> None:
    page = (EXAMPLE / "README.md").read_text()
    names = {path.name for path in EXAMPLE.iterdir() if path.is_file()} - {"README.md"}
    assert names
    assert all(f"`{name}`" in page for name in names)


def test_the_packages_are_those_that_are_tested() -> None:
    ours = json.loads((EXAMPLE / "package.json").read_text())["dependencies"]
    tested = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert ours == {name: tested[name] for name in PACKAGES}
