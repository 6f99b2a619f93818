import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.real import start, stop
from tests.postgres import empty_database
from tests.serving import Server

SHAKY = """
[server]
allowed_origins = ["https://shop.example"]
[routing]
stt = ["shaky_stt"]
tts = ["shaky_tts", "piper"]
llm = ["shaky_llm"]
vad = "scripted_vad"
turn = "scripted_turn"
[routing.models]
"gpt-busy" = "busy_llm"
"gpt-hang" = "hanging_llm"
"gpt-refused" = "upstream/status-403"
"gpt-limited" = "upstream/status-429"
[engines]
shaky_stt = {{plugin = "scripted_stt", fail_every = 2}}
shaky_tts = {{plugin = "scripted_tts", fail_every = 2}}
shaky_llm = {{plugin = "scripted_llm", fail_every = 2}}
busy_llm = {{plugin = "scripted_llm", busy_every = 1}}
hanging_llm = {{plugin = "scripted_llm", hang_every = 1}}
upstream = {{plugin = "openai", base_url = "{upstream}"}}
[prices]
chat_credits_per_1000_tokens = 1000
[voices]
commercial_only = true
[voices.aliases]
shaky = {{gender = "neutral", use = ["shaky_tts/tone"]}}
doubtful = {{gender = "male", use = ["piper/joe"]}}
"""
"""Every second request to an engine fails, others refuse or hang: what a client's error handling is made for."""


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The default configuration with the default models."""
    running = start(tmp_path_factory.mktemp("real"))
    yield running
    stop(running)


class _Refusing(BaseHTTPRequestHandler):
    """An upstream that answers every chat with the status in its model's name."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = int(body["model"].removeprefix("status-"))
        answer = json.dumps(
            {"error": {"message": "said the upstream", "type": "t", "code": "c", "param": None}}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Not into the output of the tests."""


@pytest.fixture(scope="session")
def shaky_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Engines that fail by a script, a chat that costs a credit a token, a voice that may not be used."""
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    serving = threading.Thread(target=upstream.serve_forever)
    serving.start()
    running = start(
        tmp_path_factory.mktemp("shaky"), SHAKY.format(upstream=f"http://127.0.0.1:{upstream.server_port}/v1")
    )
    yield running
    stop(running)
    upstream.shutdown()
    serving.join()
    upstream.server_close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an empty database."""
    with empty_database(request, request.param, tmp_path) as url:
        yield url
