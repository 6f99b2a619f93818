"""Answers that carry an error, and answers that are made while they are sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import orjson
import structlog
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from voxgate.errors import Code, VoxgateError
from voxgate.protocols.rest.errors import envelope
from voxgate.protocols.status import STATUS, retry_after_s

log = structlog.get_logger(__name__)

T = TypeVar("T")


def to_json(content: Any) -> bytes:
    """The content as JSON.

    What orjson refuses goes out as the standard library writes it: numbers beyond 64 bits, and halves of surrogate
    pairs, which upstreams send where they cut an emoji between two chunks.
    """
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        return json.dumps(content).encode()


class Json(JSONResponse):
    """A JSON answer."""

    def render(self, content: Any) -> bytes:
        """The content as UTF-8 JSON."""
        return to_json(content)


def error_response(error: VoxgateError) -> Response:
    """The error as OpenAI's envelope, with its status and headers."""
    headers = {}
    if (seconds := retry_after_s(error)) is not None:
        headers["Retry-After"] = str(seconds)
    if error.code is Code.INVALID_API_KEY:
        headers["WWW-Authenticate"] = "Bearer"
    return Json(envelope(error), status_code=STATUS[error.code].http, headers=headers)


class ClientGoneError(Exception):
    """The client closed the connection before its answer was made; there is nobody to tell."""


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled as soon as the client hangs up. Raises ClientGoneError then.

    Call it after the body was read: from then on the only thing a client can say is goodbye.
    """
    task = asyncio.ensure_future(work)
    goodbye = asyncio.ensure_future(_goodbye(request.receive))
    try:
        await asyncio.wait({task, goodbye}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        await _end(task)
        await _end(goodbye)


async def _goodbye(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(task: "asyncio.Future[Any]") -> None:
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


class Production:
    """Bytes that a task of its own makes, at most a few ahead of whoever takes them.

    The source lives in one task from its first byte to its last, so that whatever it has open is closed there.
    """

    def __init__(self, source: AsyncGenerator[bytes, None], *, ahead: int = 2) -> None:
        self._queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(ahead)
        self._ended = False
        self._task = asyncio.get_running_loop().create_task(self._run(source))

    async def _run(self, source: AsyncGenerator[bytes, None]) -> None:
        try:
            async for piece in source:
                await self._queue.put(piece)
        except Exception as error:
            await self._queue.put(error)
        else:
            await self._queue.put(None)
        finally:
            await source.aclose()

    async def next(self) -> bytes | None:
        """The next bytes; None at the end, however often it is asked for. Raises what the source raised."""
        if self._ended:
            return None
        piece = await self._queue.get()
        self._ended = not isinstance(piece, bytes)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    async def aclose(self) -> None:
        """Stop making more. Idempotent."""
        await _end(self._task)


class StreamedAnswer(Response):
    """An answer whose first bytes exist and whose rest follows as it is made.

    A client that hangs up, or leaves the answer unread for `slow_reader_s`, ends the production. A source that fails
    breaks the connection off, so that no client takes half an answer for a whole one.
    """

    def __init__(
        self,
        first: bytes,
        rest: Production,
        *,
        content_type: str,
        slow_reader_s: float,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers=dict(headers), media_type=content_type)
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._slow_reader_s = slow_reader_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        pump = asyncio.ensure_future(self._pump(send))
        goodbye = asyncio.ensure_future(_goodbye(receive))
        try:
            await asyncio.wait({pump, goodbye}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
        except TimeoutError:
            log.warning("slow reader: connection closed", after_s=self._slow_reader_s)
        except VoxgateError as error:
            log.warning("answer broken off", code=error.code, error=error.message)
        finally:
            await _end(pump)
            await _end(goodbye)
            await self._rest.aclose()

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        piece: bytes | None = self._first
        while piece is not None:
            async with asyncio.timeout(self._slow_reader_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await self._rest.next()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def streamed(
    request: Request,
    source: AsyncGenerator[bytes, None],
    *,
    content_type: str,
    slow_reader_s: float,
    headers: Callable[[], Mapping[str, str]],
) -> Response:
    """An answer made from `source`; its headers are asked for once the first bytes exist.

    What the source raises before its first bytes is raised here, so that it can still become an error answer.
    """
    production = Production(source)
    try:
        first = await unless_gone(request, production.next())
    except BaseException:
        await production.aclose()
        raise
    return StreamedAnswer(
        first or b"", production, content_type=content_type, slow_reader_s=slow_reader_s, headers=headers()
    )


async def sse(events: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Server-sent events out of JSON documents; a VoxgateError after the first becomes a last event of its own."""
    sent = False
    try:
        async for event in events:
            yield b"data: " + event + b"\n\n"
            sent = True
    except VoxgateError as error:
        if not sent:
            raise
        log.warning("stream ended with an error", code=error.code, error=error.message)
        yield b"data: " + orjson.dumps(envelope(error)) + b"\n\n"
