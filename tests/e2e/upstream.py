"""A language model of the tests' own, behind `OPENAI_BASE_URL`: it streams what a test tells it to answer."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answers = Callable[[list[dict[str, Any]]], str]
"""The messages of a request -> its answer."""


class _Answering(BaseHTTPRequestHandler):
    """Answers every chat word by word."""

    answers: Answers

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for word in type(self).answers(body["messages"]).split(" "):
                self._say({"delta": {"content": f"{word} "}})
            self._say({"delta": {}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has heard enough

    def _say(self, choice: dict[str, Any]) -> None:
        chunk = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice | {"index": 0}],
        }
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Not into the output of the tests."""


@contextmanager
def upstream(answers: Answers) -> Iterator[dict[str, str]]:
    """The environment of a server that asks this model."""
    handler = type("Answering", (_Answering,), {"answers": staticmethod(answers)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1", "OPENAI_API_KEY": "sk-test"}
        finally:
            server.shutdown()
            thread.join()
