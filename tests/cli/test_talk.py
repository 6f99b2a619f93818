import asyncio
import base64
import io
import json
import threading
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.agent_server import AgentServer, agent_server
from tests.cli.conftest import Voxgate
from tests.cli.fake_sound import Sounddevice, plug_in
from voxgate.cli import talk_client
from voxgate.cli.talk import Screen
from voxgate.cli.terminal import LiveLine

KEY = "vg_" + "k" * 40
VOICE = (np.arange(2400, dtype="<i2") * 7).tobytes()
LATENCY = {
    "response_id": "resp_1",
    "endpointing_ms": 212.4,
    "stt_final_ms": 3.0,
    "llm_first_token_ms": 80.6,
    "first_clause_ms": 40.0,
    "tts_first_audio_ms": None,
    "wire_ms": 1.2,
    "total_ms": 412.2,
    "starts_ms": {},
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_conversation_on_paper(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    told = Screen(LiveLine(out)).told
    told("session_started", {"session_id": "agent_1"})
    told("state", {"state": "hearing"})
    told("transcription", {"text": "What", "is_final": False, "language": "en"})
    told("transcription", {"text": "What time is it?", "is_final": True, "language": "en"})
    told("response_delta", {"text": "It is", "response_id": "resp_1"})
    told("response", {"text": "It is five.", "response_id": "resp_1", "interrupted": False, "language": "en"})
    told("audio_end", {"total_chunks": 3, "response_id": "resp_1"})
    told("latency", LATENCY)
    told("latency", LATENCY | {"total_ms": None})
    told("transcription", {"text": "", "is_final": True, "language": "en"})
    told("response", {"text": "Anything", "response_id": "resp_2", "interrupted": True, "language": "en"})
    told("interrupted", {"response_id": "resp_2", "spoken_text": ""})
    assert out.getvalue() == (
        "> What time is it?\n"
        "< It is five.\n"
        "  412 ms: end of turn 212, transcript 3, first token 81, first clause 40, wire 1\n"
        "< Anything …\n"
        "  interrupted; heard of it: nothing\n"
    )
    told("error", {"type": "audio_error", "code": "invalid_audio", "message": "the audio cannot be read"})
    told("session_expiring", {"reason": "credits", "secondsLeft": 20})
    assert capsys.readouterr().err == "the audio cannot be read\n20 s are left (credits)\n"


def test_on_a_terminal_it_shows_words_and_the_state_while_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    told = Screen(LiveLine(out)).told
    told("state", {"state": "hearing"})
    told("transcription", {"text": "What", "is_final": False, "language": "en"})
    told("response_delta", {"text": "It ", "response_id": "resp_1"})
    told("response_delta", {"text": "is", "response_id": "resp_1"})
    shown = [part.removesuffix("\x1b[K") for part in out.getvalue().split("\r")]
    assert shown == ["", "[hearing]", "> What", "< It ", "< It is"]


async def _answer(server: AgentServer, _data: Any) -> None:
    """To the first audio that is heard."""
    del server.on["audio_chunk"]
    await server.tell("transcription", text="What time is it?", is_final=True, language="en")
    await server.tell("response", text="It is five.", response_id="resp_1", interrupted=False, language="en")
    sound = base64.b64encode(VOICE).decode()
    for index in range(2):
        await server.tell(
            "audio_chunk", audio=sound, format="pcm16", sample_rate=24_000, index=index, response_id="resp_1"
        )
    await server.tell("audio_end", total_chunks=2, response_id="resp_1")
    await server.tell("latency", **LATENCY)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentServer]:
    """One in a thread of its own, for a command that has the event loop of this one; it answers one turn."""
    monkeypatch.setattr(talk_client, "QUIET_S", 0.3)
    started = threading.Event()
    found: list[AgentServer] = []
    over: list[Callable[[], object]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        over.append(partial(loop.call_soon_threadsafe, stop.set))
        async with agent_server() as server:
            server.on["audio_chunk"] = _answer
            found.append(server)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    monkeypatch.setenv("VOXGATE_URL", found[0].url)
    monkeypatch.setenv("VOXGATE_API_KEY", KEY)
    yield found[0]
    over[0]()
    thread.join()


@pytest.fixture
def recording(here: Path) -> str:
    with wave.open(str(here / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.zeros(3200, "<i2").tobytes())
    return "question.wav"


def test_a_recording_talks_and_the_answer_is_written(
    voxgate: Voxgate, here: Path, server: AgentServer, recording: str
) -> None:
    ran = voxgate(
        "talk", recording, "--voice", "aria", "--greeting", "Hi.", "--silence-ms", "300", "--echo", "-o", "answer.wav"
    )
    assert ran.exit_code == 0
    assert ran.stdout == (
        "> What time is it?\n"
        "< It is five.\n"
        "  412 ms: end of turn 212, transcript 3, first token 81, first clause 40, wire 1\n"
    )
    with wave.open(str(here / "answer.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(9999) == VOICE * 2
    assert server.connections == [{"api_key": KEY}]
    assert server.told[0] == (
        "start_session",
        {"voice": "aria", "greeting": "Hi.", "silence_ms": 300, "output_format": "pcm16", "echo_guard": True},
    )
    sent = [data for event, data in server.told if event == "audio_chunk"]
    assert sum(size for size, _, _ in sent) == 6400
    assert {each[1:] for each in sent} == {("pcm16", 16_000)}


def test_scripts_get_the_events_without_sound(voxgate: Voxgate, server: AgentServer, recording: str) -> None:
    lines = [json.loads(line) for line in voxgate("talk", recording, "--json").stdout.splitlines()]
    assert [line["event"] for line in lines] == [
        "transcription", "response", "audio_end", "latency", "session_ended",
    ]  # fmt: skip
    assert lines[0]["text"] == "What time is it?"


def test_a_microphone_is_heard_and_the_answer_played(
    voxgate: Voxgate, here: Path, server: AgentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    device = plug_in(monkeypatch, Sounddevice(b"\1\0" * 1600))

    async def answer(server: AgentServer, data: Any) -> None:
        await _answer(server, data)
        os.kill(os.getpid(), signal.SIGINT)  # after the answer was sent: it is played to its end all the same

    server.on["audio_chunk"] = answer
    ran = voxgate("talk", "microphone")
    assert ran.exit_code == 0, "a microphone ends in no other way"
    assert device.played == VOICE * 2
    assert server.told[-1] == ("end_session", {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.wav"], "there is no recording at nothing.wav"),
        (["voxgate.toml", "--device", "3"], "--device is for the microphone"),
        (["voxgate.toml", "-o", "no/folder/a.wav"], "no/folder/a.wav cannot be written"),
    ],
)
def test_what_cannot_be_is_refused(
    voxgate: Voxgate, here: Path, server: AgentServer, arguments: list[str], message: str
) -> None:
    ran = voxgate("talk", *arguments)
    assert ran.exit_code == 2
    assert message in ran.stderr


def test_a_key_is_needed(voxgate: Voxgate, recording: str) -> None:
    ran = voxgate("talk", recording)
    assert ran.exit_code == 2
    assert "there is no API key" in ran.stderr
