"""The three calls of the realtime flow, in Vietnamese: a recording is heard, answered by an upstream, and spoken."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.e2e.real import start, stop
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

ANSWER = "Xin chào, hôm nay trời rất đẹp và tôi muốn đi chơi."


class _Answering(BaseHTTPRequestHandler):
    """An upstream that answers in Vietnamese, and remembers what it was asked."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body["messages"][-1]["content"])
        message = {"role": "assistant", "content": ANSWER}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = json.dumps(
            {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "upstream", "choices": [choice]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Not into the output of the tests."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One whose language model is named by OPENAI_BASE_URL, as operators name theirs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as upstream:
        thread = threading.Thread(target=upstream.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{upstream.server_port}/v1"
            running = start(tmp_path / "vi", "", {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-test"})
            yield running
            stop(running)
        finally:
            upstream.shutdown()
            thread.join()


def test_a_vietnamese_question_comes_back_spoken_in_vietnamese(server: Server, shared: Path) -> None:
    audio = (shared / "audio" / "vi_vivos01_006.wav").read_bytes()
    with server.client() as client:
        heard = client.post(
            "/v1/audio/transcriptions",
            files={"file": ("utterance.wav", audio)},
            data={"model": "valsea-transcribe", "language": "vietnamese"},
        ).json()["text"]
        wrong, words = errors("trông thấy tàu cá đằng xa anh đã ấn còi cảnh báo", heard)
        assert wrong <= 0.36 * words

        messages = [
            {"role": "system", "content": "You are a helpful voice assistant."},
            {"role": "user", "content": heard},
        ]
        chat = client.post("/v1/chat/completions", json={"model": "valsea-fast", "messages": messages}).json()
        answer = chat["choices"][0]["message"]["content"]
        assert (answer, _Answering.asked[-1]) == (ANSWER, heard)

        spoken = client.post(
            "/v1/audio/speech", json={"model": "valsea-tts", "voice": "valsea-default", "input": answer}
        )
        assert spoken.headers["Content-Type"] == "audio/mpeg"
        again = client.post(
            "/v1/audio/transcriptions",
            files={"file": ("answer.mp3", spoken.content)},
            data={"model": "valsea-transcribe", "response_format": "verbose_json"},
        ).json()
    assert again["language"] == "vietnamese"  # nobody said which: it is told from the sound
    wrong, words = errors(ANSWER, again["text"])
    assert wrong <= 0.5 * words, again["text"]
