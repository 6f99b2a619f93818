import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.cli.test_remote import serving
from voxgate.cli.live_client import hear, until
from voxgate.cli.sources import Source
from voxgate.errors import PeerError, RefusedError

CLOSED = {"type": "session.closed", "sessionId": "rtt_1", "durationMs": 0, "creditsUsed": 0}


class Server:
    """Answers as a session does, and keeps what it was sent."""

    def __init__(self, *refusal: dict[str, Any]) -> None:
        self.start: dict[str, Any] = {}
        self.audio: list[bytes] = []
        self.stopped = False
        self._refusal = refusal

    async def __call__(self, connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created"}')
        self.start = json.loads(await connection.recv())
        for message in self._refusal:
            await connection.send(json.dumps(message))
        if self._refusal:
            await connection.close(1008)
            return
        await connection.send('{"type": "session.ready"}')
        async for raw in connection:
            if isinstance(raw, bytes):
                self.audio.append(raw)
                await connection.send(json.dumps({"type": "transcript.partial", "text": raw.decode()}))
            else:
                assert json.loads(raw) == {"type": "session.stop"}
                self.stopped = True
                await connection.send(json.dumps(CLOSED))
                await connection.close()


async def said(*words: bytes, then: Exception | None = None, forever: bool = False) -> AsyncGenerator[bytes]:
    for word in words:
        yield word
    if then:
        raise then
    if forever:
        await asyncio.Event().wait()


async def test_a_source_is_sent_to_its_end_and_everything_told() -> None:
    server, told = Server(), list[dict[str, Any]]()
    async with serving(server) as there:
        await hear(there, {"words": True}, Source(said(b"one", b"", b"two"), 8_000), told.append)
    assert server.start == {"type": "session.start", "words": True, "sample_rate": 8_000}
    assert (server.audio, server.stopped) == ([b"one", b"two"], True)
    kinds = ["session.ready", "transcript.partial", "transcript.partial", "session.closed"]
    assert [message["type"] for message in told] == kinds


async def test_stopping_ends_the_session_and_not_the_connection() -> None:
    server, told, stop = Server(), list[dict[str, Any]](), asyncio.Event()

    def tell(message: dict[str, Any]) -> None:
        told.append(message)
        if message["type"] == "transcript.partial":
            stop.set()

    async with serving(server) as there:
        await hear(there, {}, Source(said(b"one", forever=True)), tell, stop)
    assert server.stopped
    assert told[-1] == CLOSED


async def test_what_is_wrong_with_a_source_is_raised_when_all_before_it_was_heard() -> None:
    server, told = Server(), list[dict[str, Any]]()
    async with serving(server) as there:
        with pytest.raises(PeerError, match="damaged"):
            await hear(there, {}, Source(said(b"one", then=PeerError("damaged"))), told.append)
    assert server.stopped
    assert told[-1] == CLOSED


async def test_a_refusal_is_raised_and_nothing_sent() -> None:
    server = Server({"type": "error", "code": "RATE_LIMITED", "message": "too many"})
    async with serving(server) as there:
        with pytest.raises(RefusedError, match="too many"):
            await hear(there, {}, Source(said(b"one", forever=True)), print)
    assert server.audio == []


async def test_a_listener_that_fails_is_not_waited_for() -> None:
    def broken(message: dict[str, Any]) -> None:
        if message["type"] == "transcript.partial":
            raise BrokenPipeError

    async with serving(Server()) as there:
        with pytest.raises(BrokenPipeError):
            await hear(there, {}, Source(said(b"one", forever=True)), broken)


async def test_pieces_until_a_signal() -> None:
    stop, left = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            left.set()

    seen = 0
    async for _ in until(endless(), stop):
        seen += 1
        if seen == 3:
            stop.set()
    assert seen == 3
    assert left.is_set()
