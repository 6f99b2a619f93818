"""Small models, a server that can misbehave, and wheels built on the spot."""

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from voxgate.models.catalog import Catalog

ModelFactory = Callable[..., dict[str, Any]]
CatalogFactory = Callable[..., Catalog]
WheelFactory = Callable[..., Path]


@pytest.fixture
def make_model() -> ModelFactory:
    """A catalogue entry for files whose contents are given."""

    def make(
        files: Mapping[str, bytes],
        sources: Sequence[Mapping[str, Any]] = (),
        convert: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        digests = [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ]
        return {
            "task": "stt",
            "summary": "a model for tests",
            "languages": ["en"],
            "licence": "MIT",
            "commercial": True,
            "homepage": "https://example.org",
            "files": digests,
            "sources": sources or [{"kind": "hub", "repository": "some/one", "revision": "0" * 40}],
            **({"convert": convert} if convert else {}),
            **more,
        }

    return make


@pytest.fixture
def make_catalog() -> CatalogFactory:
    """A catalogue of such entries."""

    def make(bundles: Mapping[str, Sequence[str]] | None = None, **models: Any) -> Catalog:
        return Catalog.model_validate({"format": 1, "bundles": bundles or {}, "models": models})

    return make


@pytest.fixture
def make_wheel() -> WheelFactory:
    """A wheel that pip accepts, holding the given members."""

    def make(folder: Path, name: str, version: str, members: Mapping[str, bytes]) -> Path:
        info = f"{name}-{version}.dist-info"
        path = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for member, data in members.items():
                wheel.writestr(member, data)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        return path

    return make


@dataclass
class Server:
    """An HTTP server on the loopback that serves `pages` and does as it is told."""

    pages: dict[str, bytes] = field(default_factory=dict)
    status: int = 0
    """Answer everything with this status; 0 for the usual ones."""
    ranges: bool = True
    break_after: int | None = None
    """Bytes of a body after which the connection ends, for the next answer only."""
    hold_after: int | None = None
    """Bytes of a body after which nothing more comes until `release` is set."""
    release: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(path, Range header) of every request."""
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    server: "_Listening"

    def do_GET(self) -> None:
        told = self.server.told
        told.asked.append((self.path, self.headers.get("Range", "")))
        body = told.pages.get(self.path)
        if told.status or body is None:
            self.send_error(told.status or 404)
            return
        start = 0
        if told.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if told.break_after is not None:
            self.wfile.write(rest[: told.break_after])
            told.break_after = None
            self.close_connection = True
            return
        if told.hold_after is not None:
            self.wfile.write(rest[: told.hold_after])
            rest = rest[told.hold_after :]
            told.held.set()
            told.release.wait(timeout=60)
        try:
            self.wfile.write(rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Requests are remembered, not printed."""


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    told: Server


@pytest.fixture
def server() -> Iterator[Server]:
    listening = _Listening(("127.0.0.1", 0), _Handler)
    listening.told = Server(url=f"http://127.0.0.1:{listening.server_address[1]}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield listening.told
    listening.told.release.set()
    listening.shutdown()
    thread.join()
    listening.server_close()
