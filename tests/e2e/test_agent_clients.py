"""The voice agent by stock clients, as other people's programs use it: socket.io-client on Node, python-socketio.

And the programs of `examples/voice-agent` and of the agent's page, as they stand there.
"""

import asyncio
import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.agent import Client
from tests.e2e.live import silence, spoken, wav
from tests.e2e.nodejs import HERE, at_home, node, ran
from tests.e2e.real import SPOKEN, level, said, until
from tests.e2e.test_socket_pages import program
from tests.recordings import cut, packed
from tests.recordings import spoken as sentence
from tests.serving import SCRIPTED, Server
from voxgate.audio.codecs.container import decode
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE

pytestmark = pytest.mark.slow

SAYS = "This is what the script says."
ANSWER = "This is the scripted answer. It is always the same."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Scripted engines in a process of its own; who goes away is waited for a second."""
    running = Server(tmp_path_factory.mktemp("agent"), f"{SCRIPTED}[turns]\ngrace_s = 1\n")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert running.key not in running.log


def check_turn(client: Client) -> None:
    """One spoken turn of the script, and its answer."""
    finals = [told["text"] for told in client.of("transcription") if told["is_final"]]
    assert finals == [SAYS]
    assert "".join(told["text"] for told in client.of("response_delta")) == ANSWER
    assert client.of("response")[-1]["text"] == ANSWER
    chunks = client.of("audio_chunk")
    assert [told["index"] for told in chunks] == list(range(len(chunks)))
    assert client.of("audio_end")[-1] == {"total_chunks": len(chunks), "response_id": "resp_1"}
    assert client.of("error") == []


RECORDINGS = {
    "websocket": lambda: list(cut(to_pcm16(sentence()), 6_400)),
    "polling": lambda: list(cut(packed("webm", "libopus", (("live", "1"),)), 3_000)),
}


@pytest.mark.parametrize("transport", RECORDINGS)
async def test_python_socketio(server: Server, transport: str) -> None:
    """PCM, and the WebM of a browser under the same label: each chunk of the answer is an MP3 file."""
    client = Client()
    await client.connect(server, transport=transport)
    assert client.io.transport() == transport
    await client.emit("start_session")
    await client.until("session_started")
    await client.talk(RECORDINGS[transport](), 0.2)
    await client.until("latency")
    check_turn(client)
    for chunk in client.of("audio_chunk"):
        assert sum(map(len, decode(io.BytesIO(base64.b64decode(chunk["audio"])), max_seconds=5))) > 0
    await client.emit("end_session")
    await client.until("session_ended")
    await client.io.disconnect()


@pytest.mark.parametrize("state", ["listening", "hearing", "thinking", "speaking", "paused"])
async def test_a_client_that_vanishes_leaves_nothing_behind(server: Server, state: str) -> None:
    """Without a word of goodbye, in whatever state: the conversation is over when the grace is."""
    client = Client()
    await client.connect(server)
    await client.emit("start_session", greeting="Good morning to you." if state == "speaking" else "")
    await client.until("session_started")
    if state == "hearing":
        await client.talk(list(cut(to_pcm16(sentence()), 6_400))[:4], 0.05)
        await client.until("speech_started")
    elif state == "thinking":
        await client.emit("text", text="Hello?")
    elif state == "speaking":
        await client.until("audio_chunk")
    elif state == "paused":
        await client.emit("control", action="pause")
        await client.until("control_ack")
    assert level(server, "conversations", "agent") >= 1
    client.io.eio.ws._response.connection.transport.abort()
    await asyncio.to_thread(until, lambda: level(server, "conversations", "agent") == 0)


@pytest.mark.parametrize("transports", ["websocket", "polling,websocket"])
def test_socket_io_client_on_node(server: Server, tmp_path: Path, transports: str) -> None:
    recording = tmp_path / "turn.raw"
    recording.write_bytes(to_pcm16(sentence()))
    out = ran(
        [node("socket.io-client"), str(HERE / "agent-session.mjs"), transports, str(recording)],
        tmp_path,
        VOXGATE_URL=server.url,
        VOXGATE_KEY=server.key,
    )
    told = [(event, data) for event, data in map(json.loads, out.splitlines())]

    def of(event: str) -> list[dict[str, Any]]:
        return [data for name, data in told if name == event]

    assert of("error") == []
    finals = [data["text"] for data in of("transcription") if data["is_final"]]
    assert finals == [SAYS]
    first, cut_short, last = of("response")
    assert (first["text"], last["text"]) == (ANSWER, ANSWER)
    (interrupted,) = of("interrupted")
    assert interrupted["response_id"] == cut_short["response_id"] == "resp_2"
    after = [data for name, data in told[told.index(("interrupted", interrupted)) :] if name == "audio_chunk"]
    assert "resp_2" not in {data["response_id"] for data in after}
    assert [data["action"] for data in of("control_ack")] == ["interrupt", "pause", "resume"]
    connected, again = of("connected")
    assert "resumed" not in connected
    assert again["resumed"] is True
    started, continued = of("session_started")
    assert started == continued
    chunks = [data for data in of("audio_chunk") if data["response_id"] == "resp_3"]
    assert all(one["index"] + 1 == other["index"] for one, other in pairwise(chunks))
    assert sum(data["audio"] for data in chunks) / 48_000 == pytest.approx(2.76, abs=0.25)
    assert told[-1] == ("session_ended", {"session_id": started["session_id"], "status": "ended"})


# examples, and the program of the page

EXAMPLES = ROOT / "examples" / "voice-agent"
Command = Callable[[Path, Path], list[str]]
PROGRAMS: dict[str, tuple[Command, str]] = {
    "voice_agent.py": (
        lambda question, _: [sys.executable, str(EXAMPLES / "voice_agent.py"), str(question), "-o", "answer.wav"],
        "answer.wav",
    ),
    "voice-agent.mjs": (
        lambda question, folder: [
            *at_home(EXAMPLES / "voice-agent.mjs", folder, "socket.io-client"),
            *(str(question), "answer.mp3"),
        ],
        "answer.mp3",
    ),
}


def example(name: str, server: Server, folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    question = folder / "question.wav"
    question.write_bytes(wav(silence(0.3) + spoken("question")))
    environment = os.environ | {"VOXGATE_URL": server.url, "VOXGATE_API_KEY": key}
    command = PROGRAMS[name][0](question, folder)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_holds_a_conversation(real_server: Server, tmp_path: Path, name: str) -> None:
    done = example(name, real_server, tmp_path, real_server.key)
    assert done.returncode == 0, done.stderr
    heard, answered, spoke = (line.partition(" ")[2].strip() for line in done.stdout.splitlines())
    assert said(heard) == said(SPOKEN["question"])
    assert answered
    assert spoke.endswith("ms after the last word")
    with (tmp_path / PROGRAMS[name][1]).open("rb") as file:
        seconds = sum(map(len, decode(file, max_seconds=120))) / SPEECH_RATE
    assert 0.5 < seconds < 60


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_tells_of_a_wrong_key(real_server: Server, tmp_path: Path, name: str) -> None:
    done = example(name, real_server, tmp_path, "vg_" + "x" * 43)
    assert done.returncode != 0
    assert "authentication_error: this API key is not valid" in done.stderr


def test_the_program_of_the_page(real_server: Server, tmp_path: Path) -> None:
    script = program("agent.md", "js", real_server, tmp_path / "agent.mjs")
    told = ran(at_home(script, tmp_path, "socket.io-client"), tmp_path, VOXGATE_KEY=real_server.key)
    assert told.startswith("bot: ")


def test_every_file_is_on_the_page_of_examples_and_is_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(PROGRAMS)
    page = (ROOT / "examples" / "README.md").read_text()
    assert all(f"`voice-agent/{name}`" in page for name in PROGRAMS)
