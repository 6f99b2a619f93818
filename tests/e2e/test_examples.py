"""Every example runs as its page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.e2e.real import SPOKEN, recording, said
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

EXAMPLES: dict[str, list[str]] = {
    "three_calls.py": [sys.executable, "three_calls.py", str(recording("question")), "-o", "answer.wav"],
    "three-calls.sh": ["bash", "three-calls.sh", str(recording("question")), "answer.wav"],
}


def run(name: str, server: Server, folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    command, script, *arguments = EXAMPLES[name]
    environment = os.environ | {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": key}
    return subprocess.run(
        [command, ROOT / "examples" / script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_question_gets_a_spoken_answer(real_server: Server, tmp_path: Path, name: str) -> None:
    ran = run(name, real_server, tmp_path, real_server.key)
    assert ran.returncode == 0, ran.stderr
    heard, answered, spoke = ran.stdout.strip().split("\n")
    assert said(heard)[-len(said(SPOKEN["question"])) :] == said(SPOKEN["question"])
    answer = re.sub(r"^answered\W+([\d.]+ s)?\s*", "", answered)
    assert answer
    assert "answer.wav" in spoke
    with real_server.client() as client:
        again: httpx.Response = client.post(
            "/v1/audio/transcriptions",
            files={"file": (tmp_path / "answer.wav").read_bytes()},
            data={"model": "whisper-1", "response_format": "text"},
        )
    wrong, words = errors(answer, again.text)
    assert wrong <= max(2, words // 4), f"{answer!r} was heard as {again.text!r}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_key_is_told_in_the_servers_words(real_server: Server, tmp_path: Path, name: str) -> None:
    ran = run(name, real_server, tmp_path, "vg_" + "x" * 43)
    assert ran.returncode != 0
    assert "this API key is not valid" in ran.stderr


def test_every_example_is_on_the_page_and_is_run() -> None:
    files = {path.name for path in (ROOT / "examples").iterdir() if path.is_file() and path.name != "README.md"}
    page = (ROOT / "examples" / "README.md").read_text()
    assert files == set(EXAMPLES)
    assert all(f"`{name}`" in page for name in files)
