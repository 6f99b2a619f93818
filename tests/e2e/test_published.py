"""The published examples with nothing changed but address and key, and the same in Python, against real engines.

Where the pages they are from lie beside the checkout, `published/` is held to them, token by token.
"""

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.conftest import SHARED, absent
from tests.e2e.live import BYTES_A_MS, billed, silence, spoken, texts, wav
from tests.e2e.nodejs import HERE, at_home, in_chromium, ran
from tests.e2e.real import SPOKEN, said
from tests.e2e.test_curl import curl, probe
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

PUBLISHED = HERE / "published"
PAGES = {
    "live.cjs": "001_c8cb8042d8c8ed64.txt",
    "speech.cjs": "002_5f0b3d18a22fe60e.txt",
    "transcribe.sh": "000_ea0eb938bedf6284.txt",
    "chat.mjs": "000_ea0eb938bedf6284.txt",
    "browser.js": "000_ea0eb938bedf6284.txt",
}
KEYS = r"YOUR_(?:API_)?KEY"


def published(name: str, server: Server, key: str, folder: Path) -> Path:
    """An example with the address and the key of a server, in a folder of its own."""
    text = (PUBLISHED / name).read_text()
    text, addresses = re.subn(r"(http|ws)s://api\.valsea\.ai", server.url.replace("http", r"\1"), text)
    text, keys = re.subn(KEYS, key, text)
    assert (addresses, keys) == (1, 1)
    copy = folder / name
    copy.write_text(text)
    return copy


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_are_as_published(name: str) -> None:
    page = SHARED / "reference" / PAGES[name]
    if not page.exists():
        absent("shared", "shared/reference")
    tokens = "".join((PUBLISHED / name).read_text().split())
    assert tokens in "".join(page.read_text().split())


# live transcription


def two_sentences() -> bytes:
    """The first ends in a pause, the second with the file."""
    return spoken("question") + silence(1) + spoken("lights")


def test_live_in_node_sends_a_file_and_neither_commits_nor_stops(real_server: Server, tmp_path: Path) -> None:
    key = real_server.new_key("published live", "10")
    (tmp_path / "audio.raw").write_bytes(two_sentences())
    script = published("live.cjs", real_server, key, tmp_path)
    with subprocess.Popen(at_home(script, tmp_path, "ws"), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        finals = [said(client.stdout.readline().removeprefix("Final: ")) for _ in range(2)]
        client.kill()  # it would stay for ever
        assert client.stdout.read() == ""
    assert finals == [said(SPOKEN["question"]), said(SPOKEN["lights"])]
    sent_ms = -(-len(two_sentences()) // BYTES_A_MS)
    assert billed(real_server, key, "transcription")[0] == sent_ms


async def test_live_in_python_sends_a_file_and_neither_commits_nor_stops(real_server: Server) -> None:
    address = real_server.url.replace("http", "ws") + "/v1/realtime"
    finals: list[str] = []
    async with connect(address, additional_headers={"X-API-Key": real_server.key}) as ws:
        await ws.send(json.dumps({"type": "session.start", "model": "valsea-singlish-rtt"}))
        async for raw in ws:
            message = json.loads(raw)
            if message["type"] == "session.ready":
                audio = two_sentences()
                for at in range(0, len(audio), 65_536):
                    chunk = base64.b64encode(audio[at : at + 65_536]).decode()
                    await ws.send(json.dumps({"type": "audio.append", "audio": chunk}))
            elif message["type"] == "transcript.final":
                finals.append(message["text"])
                if len(finals) == 2:
                    break
    assert list(map(said, finals)) == [said(SPOKEN["question"]), said(SPOKEN["lights"])]


def test_stop_and_close_in_one_tick_lose_neither_the_final_nor_the_bill(real_server: Server, tmp_path: Path) -> None:
    key = real_server.new_key("in a hurry", "10")
    audio = spoken("lights")
    (tmp_path / "audio.raw").write_bytes(audio)
    address = real_server.url.replace("http", "ws") + "/v1/realtime"
    command = [*at_home(HERE / "stop-and-close.mjs", tmp_path, "ws"), address, key, "audio.raw"]
    *told, end = map(json.loads, ran(command, tmp_path).splitlines())
    assert list(map(said, texts(told))) == [said(SPOKEN["lights"])]
    assert told[-1]["type"] == "session.closed"
    assert end["closed"] in (1000, 1005)  # its own close frame named no code
    ms, credits_ = billed(real_server, key, "transcription")
    assert ms == told[-1]["durationMs"] == -(-len(audio) // BYTES_A_MS)
    assert float(credits_) == told[-1]["creditsUsed"]


# realtime speech


def test_speech_in_node_is_a_file_and_the_client_ends_by_itself(real_server: Server, tmp_path: Path) -> None:
    key = real_server.new_key("published speech", "10")
    ran(at_home(published("speech.cjs", real_server, key, tmp_path), tmp_path, "ws"), tmp_path)
    stream, seconds = probe(tmp_path / "speech.mp3")
    assert stream["codec_name"] == "mp3"
    ms, credits_ = billed(real_server, key, "speech")
    assert ms / 1000 == pytest.approx(seconds, abs=0.1)
    assert 1.5 < seconds < 8
    assert credits_ == "1"


async def test_speech_in_python(real_server: Server, tmp_path: Path) -> None:
    address = real_server.url.replace("http", "ws") + "/v1/realtime/tts"
    chunks = []
    async with connect(address, additional_headers={"Authorization": f"Bearer {real_server.key}"}) as ws:
        async for message in ws:
            if isinstance(message, bytes):
                chunks.append(message)
                continue
            event = json.loads(message)
            if event["type"] == "session.created":
                start = {"model": "valsea-tts-realtime", "language": "vietnamese", "voice": "valsea-neutral"}
                await ws.send(json.dumps({"type": "session.start", "response_format": "mp3"} | start))
            elif event["type"] == "session.ready":
                create = {"type": "speech.create", "input": "Xin chao, day la giong noi Valsea."}
                await ws.send(json.dumps(create))
            elif event["type"] == "speech.finished":
                await ws.send(json.dumps({"type": "session.stop"}))
    assert ws.close_code == 1000
    (tmp_path / "speech.mp3").write_bytes(b"".join(chunks))
    stream, seconds = probe(tmp_path / "speech.mp3")
    assert stream["codec_name"] == "mp3"
    assert 1.5 < seconds < 8


# the flow


def test_the_flow_as_written(real_server: Server, tmp_path: Path) -> None:
    """curl, fetch on Node, the browser's WebSocket. The question is English, as the first step is told."""
    (tmp_path / "utterance.wav").write_bytes(wav(spoken("question")))
    line = published("transcribe.sh", real_server, real_server.key, tmp_path).read_text()
    transcript = json.loads(curl(line.replace("language=vietnamese", "language=english"), tmp_path))["text"]
    assert said(transcript) == said(SPOKEN["question"])

    chat = published("chat.mjs", real_server, real_server.key, tmp_path)
    ask = f"const transcriptText = {json.dumps(transcript)};\n{chat.read_text()}\nconsole.log(assistantText);"
    chat.write_text(ask)
    answer = ran(at_home(chat, tmp_path), tmp_path).strip()
    assert answer

    socket = published("browser.js", real_server, real_server.key, tmp_path)
    told = json.loads(in_chromium("speak-in-a-page.mjs", tmp_path, str(socket), answer))
    kinds = [event["type"] for event in told["events"]]
    assert kinds[:2] == ["successful-authentication", "session.created"]
    assert kinds[-2:] == ["speech.started", "speech.finished"]
    assert told["frames"] > 1
    spoken_answer = base64.b64decode(told["file"])
    (tmp_path / "answer.mp3").write_bytes(spoken_answer)
    assert probe(tmp_path / "answer.mp3")[0]["codec_name"] == "mp3"
    with real_server.client() as client:
        again = client.post(
            "/v1/audio/transcriptions",
            files={"file": spoken_answer},
            data={"model": "whisper-1", "response_format": "text", "language": "english"},
        ).text
    wrong, words = errors(answer, again)
    assert wrong <= max(2, words // 4), f"{answer!r} was heard as {again!r}"


def test_the_line_for_vietnamese_as_written(real_server: Server, shared: Path, tmp_path: Path) -> None:
    (tmp_path / "utterance.wav").write_bytes((shared / "audio" / "vi_vivos01_006.wav").read_bytes())
    line = published("transcribe.sh", real_server, real_server.key, tmp_path).read_text()
    wrong, words = errors("trông thấy tàu cá đằng xa anh đã ấn còi cảnh báo", json.loads(curl(line, tmp_path))["text"])
    assert wrong <= 0.36 * words
