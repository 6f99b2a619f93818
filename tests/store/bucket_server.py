"""A storage that speaks as much of S3 as images need, on loopback: it answers only who signed with its key.

Signatures are computed anew, by Amazon's description of version 4:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHO, SECRET = "who", "a secret"
"""The one who may ask."""

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<who>\w+)/(?P<scope>\d{8}/here/s3/aws4_request), "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


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

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._may(content):
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

    def _may(self, content: bytes = b"") -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        signed = _AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        if self.server.broken:
            self._refuse(500, "InternalError")
        elif signed is None or signed["who"] != WHO:
            self._refuse(403, "InvalidAccessKeyId")
        elif self.headers["x-amz-content-sha256"] != hashlib.sha256(content).hexdigest():
            self._refuse(400, "XAmzContentSHA256Mismatch")
        elif not hmac.compare_digest(self._signature(signed), signed["signature"]):
            self._refuse(403, "SignatureDoesNotMatch")
        elif not self.path.startswith("/pictures/"):
            self._refuse(404, "NoSuchBucket")
        else:
            return True
        return False

    def _signature(self, signed: re.Match[str]) -> str:
        names = signed["headers"].split(";")
        headers = "".join(f"{name}:{self.headers[name].strip()}\n" for name in names)
        request = "\n".join(
            [self.command, self.path, "", headers, signed["headers"], self.headers["x-amz-content-sha256"]]
        )
        hashed = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], signed["scope"], hashed])
        key = f"AWS4{SECRET}".encode()
        for part in signed["scope"].split("/"):
            key = _sign(key, part)
        return _sign(key, text).hex()

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
