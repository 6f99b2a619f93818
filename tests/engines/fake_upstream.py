"""A server that answers as a test tells it to, byte by byte, and notices who leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """One request that arrived."""

    line: str
    headers: dict[str, str]
    body: Any


Reply = Callable[[asyncio.StreamWriter, Received], Awaitable[None]]


@dataclass
class Upstream:
    """What the fake has seen."""

    url: str = ""
    reply: Reply | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a client closed its connection."""


@asynccontextmanager
async def upstream(reply: Reply) -> AsyncIterator[Upstream]:
    """A fake on a port of its own; `reply` writes each response."""
    fake = Upstream(reply=reply)
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fake.connections += 1
        try:
            while (received := await _request(reader)) is not None:
                fake.requests.append(received)
                assert fake.reply is not None
                answering = asyncio.ensure_future(fake.reply(writer, received))
                watching = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
                if watching.done():
                    fake.hung_up.set()
                    answering.cancel()
                    return
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await answering
                if writer.is_closing():
                    return
            fake.hung_up.set()
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        busy.add(task)
        task.add_done_callback(busy.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        server.close()
        for task in tuple(busy):
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(line, headers, json.loads(body) if body else None)


def head(status: int, content_type: str, length: int | None = None, **headers: str) -> bytes:
    """A response head; without a length the body is chunked."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{size}\r\n{more}\r\n".encode()


def say(status: int, body: Any, content_type: str = "application/json", **headers: str) -> Reply:
    """A whole response."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def reply(writer: asyncio.StreamWriter, _: Received) -> None:
        writer.write(head(status, content_type, len(data), **headers) + data)
        await writer.drain()

    return reply


def stream(*pieces: bytes, end: bool = True) -> Reply:
    """A streamed response, each piece a write of its own; `end=False` leaves it open."""

    async def reply(writer: asyncio.StreamWriter, _: Received) -> None:
        writer.write(head(200, "text/event-stream"))
        for piece in pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if not end:
            await asyncio.Event().wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return reply


def event(value: Any, end: str = "\n") -> bytes:
    """One server-sent event."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"data: {data}{end}{end}".encode()
