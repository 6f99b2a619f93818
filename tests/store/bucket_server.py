"""A storage that speaks as much of S3 as images need, on loopback: it answers only who signed with its key."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BucketServer(ThreadingHTTPServer):
    """One bucket, `pictures`, in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, tuple[str, bytes]] = {}
        """Path -> (media type, content)."""
        self.broken = False
        self.asked: list[str] = []
        """Method and path of every request."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: BucketServer
    protocol_version = "HTTP/1.1"
    _SIGNED = re.compile(
        r"AWS4-HMAC-SHA256 Credential=who/\d{8}/here/s3/aws4_request, SignedHeaders=\S+, Signature=\w{64}"
    )

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._may():
            self.server.objects[self.path] = (self.headers["Content-Type"], content)
            self._answer(200)

    def do_GET(self) -> None:
        if self._may():
            found = self.server.objects.get(self.path)
            if found is None:
                self._refuse(404, "NoSuchKey")
            else:
                self._answer(200, found[1])

    def do_DELETE(self) -> None:
        if self._may():
            self.server.objects.pop(self.path, None)
            self._answer(204)

    def _may(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.broken:
            self._refuse(500, "InternalError")
        elif not self._SIGNED.fullmatch(self.headers.get("Authorization", "")):
            self._refuse(403, "AccessDenied")
        elif not self.path.startswith("/pictures/"):
            self._refuse(404, "NoSuchBucket")
        else:
            return True
        return False

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>of {self.path}</Message></Error>".encode())

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the standard library calls it
        """Nothing is written to stderr."""


@contextmanager
def bucket_server() -> Iterator[BucketServer]:
    """A storage for as long as the block lasts."""
    with BucketServer() as server:
        running = threading.Thread(target=server.serve_forever, args=(0.01,))
        running.start()
        try:
            yield server
        finally:
            server.shutdown()
            running.join()
