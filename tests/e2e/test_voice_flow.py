"""examples/voice-flow: speech, text, chat, speech, in Python, in Node and on a page in the browser."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.live import silence, spoken, wav
from tests.e2e.nodejs import at_home, in_chromium
from tests.e2e.real import SPOKEN, recording, said
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples" / "voice-flow"
Command = Callable[[Path], list[str]]
PROGRAMS: dict[str, Command] = {
    "voice_flow.py": lambda _: [
        *(sys.executable, str(EXAMPLES / "voice_flow.py"), str(recording("question")), "-o", "answer.mp3"),
    ],
    "voice-flow.mjs": lambda folder: [
        *at_home(EXAMPLES / "voice-flow.mjs", folder, "ws"),
        *(str(recording("question")), "answer.mp3"),
    ],
}
PAGE = "index.html"


def heard_again(server: Server, audio: bytes) -> str:
    with server.client() as client:
        form = {"model": "whisper-1", "response_format": "text", "language": "english"}
        return client.post("/v1/audio/transcriptions", files={"file": audio}, data=form).text


def is_spoken(server: Server, answer: str, audio: bytes) -> None:
    """The audio says the answer, as far as it can be told by hearing it again."""
    again = heard_again(server, audio)
    wrong, words = errors(answer, again)
    assert wrong <= max(2, words // 4), f"{answer!r} was heard as {again!r}"


def run(name: str, server: Server, folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VOXGATE_URL": server.url, "VOXGATE_API_KEY": key}
    command = PROGRAMS[name](folder)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_recorded_question_is_answered_aloud(real_server: Server, tmp_path: Path, name: str) -> None:
    ran = run(name, real_server, tmp_path, real_server.key)
    assert ran.returncode == 0, ran.stderr
    heard, answered, spoke = (re.sub(r"^\w+\s+[\d.]+ s  ", "", line) for line in ran.stdout.strip().split("\n"))
    assert said(heard) == said(SPOKEN["question"])
    assert answered
    assert spoke.startswith("answer.mp3 (first audio after ")
    is_spoken(real_server, answered, (tmp_path / "answer.mp3").read_bytes())


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_key_is_told_in_the_servers_words(real_server: Server, tmp_path: Path, name: str) -> None:
    ran = run(name, real_server, tmp_path, "vg_" + "x" * 43)
    assert ran.returncode != 0
    assert "this API key is not valid" in ran.stderr


def visit(server: Server, folder: Path, key: str, question: Path, how: str) -> dict[str, Any]:
    """What came of a visit to the page."""
    picture = os.environ.get("VOXGATE_PICTURES")
    where = [str(Path(picture) / f"voice-flow-{how}.png")] if picture else []
    page = str(EXAMPLES / PAGE)
    told = in_chromium("voice-flow-page.mjs", folder, page, server.url, key, str(question), how, *where)
    return dict(json.loads(told))


@pytest.mark.parametrize("how", ["talk", "choose"])
def test_the_page_answers_aloud(real_server: Server, tmp_path: Path, how: str) -> None:
    """By the microphone, where the page notices itself when the question is over, and with a file."""
    question = tmp_path / "question.wav"
    question.write_bytes(wav(silence(0.7) + spoken("question") + silence(4)))
    told = visit(real_server, tmp_path, real_server.key, question, how)
    assert told["complaints"] == []
    asked, answered = told["said"]
    assert (asked["who"], answered["who"]) == ("user", "assistant")
    assert said(asked["text"])[-5:] == said(SPOKEN["question"])[-5:]
    assert re.fullmatch(r"answered in [\d.]+ s, first sound after [\d.]+ s", answered["note"])
    assert told["states"] == [*(["listening"] * (how == "talk")), "thinking", "speaking", "idle"]
    assert all(-0.1 < gap < 60 for gap in told["gaps_ms"])
    pcm = base64.b64decode(told["played"])
    is_spoken(real_server, answered["text"], wav(pcm, rate=24_000))


def test_the_page_tells_of_a_wrong_key(real_server: Server, tmp_path: Path) -> None:
    told = visit(real_server, tmp_path, "vg_" + "x" * 43, recording("question"), "choose")
    [trouble] = told["said"]
    assert trouble["who"] == "trouble"
    assert "this API key is not valid" in trouble["text"]
    assert told["states"] == ["thinking", "idle"]


def test_every_file_is_on_the_page_of_examples_and_is_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {*PROGRAMS, PAGE}
    page = (ROOT / "examples" / "README.md").read_text()
    assert all(f"`voice-flow/{name}`" in page for name in (*PROGRAMS, PAGE))
