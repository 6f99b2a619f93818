import asyncio
import json
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest
from fastapi import Request
from structlog.testing import capture_logs

from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.gateways.rest.answers import (
    ClientGoneError,
    Json,
    Production,
    error_response,
    sse,
    streamed,
    to_json,
    unless_gone,
)

Message = MutableMapping[str, Any]


class Peer:
    """The other end of one request: reads what it is sent, until it is told to hang up or to stop reading."""

    def __init__(self, *, reads: int = 1000) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Message] = []
        self._reads = reads

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if len(self.sent) >= self._reads:
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def request(self) -> Request:
        return Request({"type": "http", "headers": []}, self.receive)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def complete(self) -> bool:
        return self.sent[-1].get("more_body") is False


class Source:
    """Bytes that are counted as they are made, and how their making ended."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.made = 0
        self.closed = False
        self._pieces = pieces

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                self.made += 1
                yield piece
        finally:
            self.closed = True


async def answer(peer: Peer, source: Source, slow_reader_s: float = 5) -> None:
    response = await streamed(
        peer.request,
        source(),
        content_type="text/plain",
        slow_reader_s=slow_reader_s,
        headers=lambda: {"X-Made": str(source.made)},
    )
    await response({"type": "http"}, peer.receive, peer.send)


# errors


def test_an_error_carries_its_status_and_says_when_to_come_back() -> None:
    response = error_response(RefusedError("full", code=Code.BUSY, retry_after_s=3))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "3")
    assert json.loads(bytes(response.body))["error"]["code"] == "busy"
    assert error_response(RefusedError("who?", code=Code.INVALID_API_KEY)).headers["WWW-Authenticate"] == "Bearer"
    assert "Retry-After" not in error_response(PeerError("no")).headers


@pytest.mark.parametrize("value", ["ü", {"a": [1, None, 1.5]}, 1 << 80, "\ud83d", {"deep": "\udc00"}])
def test_whatever_an_upstream_said_can_be_sent_on(value: Any) -> None:
    assert json.loads(to_json(value)) == value
    assert json.loads(bytes(Json(value).body)) == value


# waiting for a result while the client may leave


async def test_work_that_is_done_is_handed_over() -> None:
    async def work() -> int:
        return 7

    assert await unless_gone(Peer().request, work()) == 7


async def test_what_work_raises_is_raised() -> None:
    async def work() -> int:
        raise PeerError("no")

    with pytest.raises(PeerError, match="no"):
        await unless_gone(Peer().request, work())


async def test_a_client_that_leaves_cancels_the_work() -> None:
    peer, cancelled = Peer(), asyncio.Event()

    async def work() -> None:
        peer.gone.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ClientGoneError):
        await unless_gone(peer.request, work())
    assert cancelled.is_set()


async def test_a_server_that_stops_cancels_the_work_too() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(unless_gone(Peer().request, work()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cancelled.is_set()


# answers that are made while they are sent


async def test_all_pieces_arrive_in_order_and_the_answer_ends() -> None:
    peer, source = Peer(), Source(b"a", b"b", b"c")
    await answer(peer, source)
    start = peer.sent[0]
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (200, b"text/plain; charset=utf-8")
    assert b"content-length" not in headers
    assert int(headers[b"x-made"]) >= 1, "headers are asked for once there is something to send"
    assert (peer.body, peer.complete, source.closed) == (b"abc", True, True)


async def test_an_answer_of_nothing_is_an_answer() -> None:
    peer = Peer()
    await answer(peer, Source())
    assert (peer.body, peer.complete) == (b"", True)


async def test_what_fails_before_the_first_byte_can_still_become_an_error() -> None:
    peer, source = Peer(), Source(RefusedError("no credits", code=Code.INSUFFICIENT_CREDITS))
    with pytest.raises(RefusedError, match="no credits"):
        await answer(peer, source)
    assert (peer.sent, source.closed) == ([], True)


async def test_what_fails_later_breaks_the_answer_off() -> None:
    peer, source = Peer(), Source(b"a", EngineError("died", engine="e"))
    with capture_logs() as logs:
        await answer(peer, source)
    assert (peer.body, peer.complete) == (b"a", False)
    assert [entry["event"] for entry in logs] == ["answer broken off"]


async def test_an_error_nobody_expected_is_not_swallowed() -> None:
    peer, source = Peer(), Source(b"a", ZeroDivisionError("bug"))
    with pytest.raises(ZeroDivisionError):
        await answer(peer, source)
    assert not peer.complete


async def test_a_client_that_leaves_before_the_first_byte() -> None:
    peer, closed = Peer(), asyncio.Event()

    async def never() -> AsyncGenerator[bytes, None]:
        peer.gone.set()
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.set()

    with pytest.raises(ClientGoneError):
        await streamed(peer.request, never(), content_type="a/b", slow_reader_s=1, headers=dict)
    assert closed.is_set()


async def test_a_client_that_leaves_in_the_middle_stops_the_making() -> None:
    peer, closed = Peer(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            yield b"a"
            peer.gone.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    response = await streamed(peer.request, endless(), content_type="a/b", slow_reader_s=1, headers=dict)
    await response({"type": "http"}, peer.receive, peer.send)
    assert closed.is_set()
    assert not peer.complete


async def test_a_reader_that_stops_is_left_and_little_is_made_ahead_of_it() -> None:
    peer, source = Peer(reads=2), Source(*[b"x"] * 100)
    with capture_logs() as logs:
        await answer(peer, source, slow_reader_s=0.02)
    assert [entry["event"] for entry in logs] == ["slow reader: connection closed"]
    assert source.closed
    assert source.made <= 5


async def test_a_production_can_be_closed_twice_and_before_it_began() -> None:
    source = Source(b"a")
    production = Production(source())
    await production.aclose()
    await production.aclose()
    assert source.made == 0


# server-sent events


async def events(*parts: bytes | Exception) -> AsyncGenerator[bytes, None]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


async def test_events_are_framed() -> None:
    assert [part async for part in sse(events(b'{"a":1}', b"[DONE]"))] == [b'data: {"a":1}\n\n', b"data: [DONE]\n\n"]


async def test_an_error_after_the_first_event_is_a_last_event() -> None:
    with capture_logs():
        first, last = [part async for part in sse(events(b"1", EngineError("died", engine="e")))]
    assert first == b"data: 1\n\n"
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "engine_error"


async def test_an_error_before_the_first_event_is_an_error() -> None:
    with pytest.raises(EngineError):
        [part async for part in sse(events(EngineError("died", engine="e")))]
