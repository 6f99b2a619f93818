"""`Idempotency-Key` on requests that charge: ASGI middleware behind the edge, in front of the routes."""

import asyncio
import hashlib
import tempfile
from collections.abc import Collection
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate.books import KeptAnswer
from voxgate.domain import Principal
from voxgate.errors import VoxgateError
from voxgate.gateways.rest.answers import ClientGoneError, error_response
from voxgate.services.idempotency import KEPT_BYTES, Attempt, Idempotency, check_key
from voxgate.services.metering import Meter

HEADER = "Idempotency-Key"

_SPOOL_BYTES = 1024 * 1024  # what of a body stays in memory; the rest lies in a file that has no name
_BLOCK_BYTES = 64 * 1024
_KEPT_HEADERS = ("content-type", "x-credits-used", "x-credits-remaining")


class Idempotent:
    """Answers a repeated POST as the first was answered."""

    def __init__(self, app: ASGIApp, *, idempotency: Idempotency, paths: Collection[str]) -> None:
        """`paths`: of the POSTs that charge; the header means nothing on others."""
        self._app = app
        self._idempotency = idempotency
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        key = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        if key is None or scope["method"] != "POST" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        scope["route"] = _Path(scope["path"])  # what metrics call a request that no route has seen
        state = scope["state"]
        principal: Principal = state["principal"]
        with _Body(scope) as body:
            try:
                check_key(key)
                fingerprint = await body.read(receive)
                attempt = await self._idempotency.begin(principal.org_id, key, fingerprint, state["request_id"])
            except VoxgateError as error:
                await error_response(error)(scope, receive, send)
                return
            if attempt.answer is not None:
                await _again(attempt.answer, send)
                return
            state["attempt"] = attempt
            answer = _Answer(attempt, scope, send)
            try:
                await self._app(scope, body.receive, answer.send)
            finally:
                if not answer.ended:
                    await attempt.interrupt()


@dataclass(frozen=True, slots=True)
class _Path:
    path: str


async def _again(answer: KeptAnswer, send: Send) -> None:
    headers = {**answer.headers, "content-length": str(len(answer.body)), "idempotent-replayed": "true"}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


class _Answer:
    """Watches an answer go out, and notes how it ended before its last byte leaves: a client may ask again at once."""

    def __init__(self, attempt: Attempt, scope: Scope, send: Send) -> None:
        self.ended = False
        self._attempt = attempt
        self._scope = scope
        self._send = send
        self._status = 0
        self._headers: dict[str, str] = {}
        self._kept: bytearray | None = None
        """The body so far, where it is to be kept."""

    async def send(self, message: Message) -> None:
        """ASGI's send."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = Headers(raw=message["headers"])
            self._headers = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            length = headers.get("content-length", "")
            media_type = headers.get("content-type", "").partition(";")[0]
            if length.isdecimal() and int(length) <= KEPT_BYTES and media_type in ("application/json", "text/plain"):
                self._kept = bytearray()
        elif message["type"] == "http.response.body":
            if self._kept is not None:
                self._kept += message.get("body", b"")
            if not message.get("more_body", False):
                self.ended = True
                await self._end()
        await self._send(message)

    async def _end(self) -> None:
        meter: Meter | None = self._scope["state"].get("meter")
        if not 200 <= self._status < 300:
            await self._attempt.forget()
        elif meter is not None and not meter.complete:
            await self._attempt.interrupt()  # a stream whose last event is an error
        else:
            kept = None if self._kept is None else KeptAnswer(self._status, self._headers, bytes(self._kept))
            await self._attempt.finish(kept)


class _Body:
    """A request's body: read once, hashed as it comes, and handed on from the start."""

    def __init__(self, scope: Scope) -> None:
        content_type = Headers(scope=scope).get("content-type", "")
        kind, options = parse_options_header(content_type)
        about = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        boundary = options.get(b"boundary") if kind == b"multipart/form-data" else None
        self._hash = _FormHash(boundary) if boundary else _PlainHash()
        self._hash.about(about.encode())
        self._file = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed by __exit__
        self._length = 0
        self._handed = 0
        self._receive: Receive | None = None

    def __enter__(self) -> "_Body":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    async def read(self, receive: Receive) -> str:
        """Read it whole; its fingerprint. Raises what the edge raises of bodies, ClientGoneError."""
        self._receive = receive
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            piece = message.get("body", b"")
            more = message.get("more_body", False)
            self._hash.update(piece)
            self._length += len(piece)
            if self._length > _SPOOL_BYTES:
                await asyncio.to_thread(self._file.write, piece)
            else:
                self._file.write(piece)
        self._file.seek(0)
        return self._hash.hexdigest()

    async def receive(self) -> Message:
        """ASGI's receive, from the body's first byte; behind its last, whatever the client does."""
        if self._handed == self._length and self._handed:
            assert self._receive is not None, "read first"
            return await self._receive()
        rolled = self._length > _SPOOL_BYTES
        piece = await asyncio.to_thread(self._file.read, _BLOCK_BYTES) if rolled else self._file.read(_BLOCK_BYTES)
        self._handed += len(piece)
        return {"type": "http.request", "body": piece, "more_body": self._handed < self._length}


class _PlainHash:
    """The bytes as they are."""

    def __init__(self) -> None:
        self._all = hashlib.sha256()

    def about(self, text: bytes) -> None:
        """What else belongs to the request."""
        self._all.update(len(text).to_bytes(8) + text)

    def update(self, piece: bytes) -> None:
        """More of the body."""
        self._all.update(piece)

    def hexdigest(self) -> str:
        """Once, at the end."""
        return self._all.hexdigest()


class _FormHash(_PlainHash):
    """The fields of a form, by name and content: clients choose another boundary each time they send it."""

    def __init__(self, boundary: bytes) -> None:
        super().__init__()
        self._part = hashlib.sha256()
        self._header = b""
        self._value = b""
        self._name = b""
        self._broken = False
        self._open = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_header,
                "on_header_value": self._on_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
            },
        )

    def update(self, piece: bytes) -> None:
        """More of the body. What is no form is hashed as it is; the route will refuse it."""
        if not self._broken:
            try:
                self._parser.write(piece)
            except FormParserError:
                self._broken = True
        if self._broken:
            super().update(piece)

    def hexdigest(self) -> str:
        """Once, at the end; a form that breaks off counts as far as it goes."""
        if self._open:
            self._part_end()
        return super().hexdigest()

    def _begin(self) -> None:
        self._part = hashlib.sha256()
        self._header = self._value = self._name = b""
        self._open = True

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._name = parse_options_header(self._value)[1].get(b"name", b"")
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._part.update(memoryview(data)[start:end])

    def _part_end(self) -> None:
        self.about(self._name)
        self._all.update(self._part.digest())
        self._open = False
