"""`voxgate talk` with a recording: a person who talks with the bot from a terminal, and interrupts it."""

import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.real import start, stop
from tests.e2e.test_agent_browser import LONG, TURNS, answer, conversation
from tests.e2e.upstream import upstream
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The default models, but for the language model."""
    with upstream(answer) as environment:
        running = start(tmp_path_factory.mktemp("talk"), "", environment)
        yield running
        stop(running)


def talk(server: Server, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = server.environment | {"VOXGATE_URL": server.url, "VOXGATE_API_KEY": server.key}
    command = [sys.executable, "-m", "voxgate", "talk", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_five_turns_and_two_interruptions_from_a_terminal(server: Server, tmp_path: Path) -> None:
    """As long as the recording is, which is sent as it was spoken."""
    recording, _ = conversation(tmp_path)
    done = talk(server, tmp_path, str(recording), "-o", "answers.wav", "--json")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]

    def of(event: str) -> list[dict[str, Any]]:
        return [each for each in told if each["event"] == event]

    assert of("error") == []
    finals = [each["text"] for each in of("transcription") if each["is_final"]]
    assert len(finals) == len(TURNS), finals
    for (_, text, _), final in zip(TURNS, finals, strict=True):
        wrong, words = errors(text, final)
        assert wrong <= 0.25 * words, (text, final)
    replies = of("response")
    assert [each["text"].split() for each in replies] == [answered.split() for *_, answered in TURNS]
    cut = of("interrupted")
    assert [each["response_id"] for each in cut] == [replies[0]["response_id"], replies[2]["response_id"]]
    assert all(LONG.startswith(each["spoken_text"].strip()) for each in cut)
    assert [each["total_ms"] is not None for each in of("latency")] == [True] * len(TURNS)
    assert told[-1]["event"] == "session_ended"
    with wave.open(str(tmp_path / "answers.wav")) as file:
        assert file.getnframes() / file.getframerate() > 2 * 2.5 + 3 * 1.0


def test_a_voice_that_is_not_there(server: Server, tmp_path: Path) -> None:
    recording, _ = conversation(tmp_path, 1)
    done = talk(server, tmp_path, str(recording), "--voice", "nobody")
    assert done.returncode == 2
    assert "there is no voice 'nobody'" in done.stderr
