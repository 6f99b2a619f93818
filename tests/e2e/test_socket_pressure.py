"""Clients who send too fast, never read, or lose their key: they are dealt with, and a neighbour notices nothing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.hostile import Neighbour
from tests.e2e.live import BYTES_A_MS, billed, silence, texts
from tests.e2e.real import look_through, resident_mib
from tests.gateways.live_client import speech
from tests.serving import SCRIPTED, Server

pytestmark = pytest.mark.slow

AHEAD_S = 1
CONFIG = (
    SCRIPTED
    + f"""
[routing.models]
steady = "steady_stt"
[engines.steady_stt]
plugin = "scripted_stt"
[engines.scripted_tts]
word_ms = 10_000
piece_audio_ms = 1_000
[limits]
audio_ahead_s = {AHEAD_S}
speech_ahead_s = 100_000
slow_reader_s = 1
"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("pressure"), CONFIG)
    yield running
    assert running.stop() == 0
    look_through(running)


@pytest.fixture
async def neighbour(server: Server) -> AsyncIterator[None]:
    """Somebody who talks while the test runs, and is answered in time."""
    somebody = Neighbour()
    async with somebody.talking(server):
        yield
    assert somebody.took_s
    assert sorted(somebody.took_s)[len(somebody.took_s) // 2] < 2


@asynccontextmanager
async def connected(server: Server, path: str, key: str) -> AsyncIterator[ClientConnection]:
    address = server.url.replace("http", "ws") + path
    headers = {"X-API-Key": key}
    async with connect(address, additional_headers=headers, compression=None, max_size=None, close_timeout=1) as wire:
        yield wire


async def until_told(wire: ClientConnection, kind: str) -> None:
    """Read on to a message of this kind."""
    while json.loads(await wire.recv())["type"] != kind:
        pass


@pytest.mark.usefixtures("neighbour")
async def test_ten_times_real_time_is_heard_in_real_time_and_loses_nothing(server: Server) -> None:
    key = await asyncio.to_thread(server.new_key, "fast", "10")
    audio = (speech(0.5) + silence(0.5)) * 5
    frame = 20 * BYTES_A_MS
    async with connected(server, "/v1/realtime", key) as wire:
        await wire.send('{"type": "session.start", "turn_detection": {"silence_ms": 300}, "stall_ms": 5000}')
        await until_told(wire, "session.ready")
        began = time.monotonic()
        for number, at in enumerate(range(0, len(audio), frame), start=1):
            await wire.send(audio[at : at + frame])
            await asyncio.sleep(max(0.0, began + number * 0.002 - time.monotonic()))
        await wire.send('{"type": "session.stop"}')
        told = [json.loads(message) async for message in wire]
        took_s = time.monotonic() - began
    assert len(texts(told)) == 5
    assert told[-1]["durationMs"] == 5000
    assert took_s > 5 - AHEAD_S - 0.1, "not sooner, however fast it was sent"


def frame(opcode: int, payload: bytes) -> bytes:
    """A message as a client puts it on the wire (RFC 6455, 5.2), with a mask of zeros."""
    return bytes((0x80 | opcode, 0x80 | 126)) + len(payload).to_bytes(2, "big") + bytes(4) + payload


@pytest.mark.parametrize(
    ("path", "start", "flood"),
    [
        ("/v1/realtime", {"language": "english"}, frame(1, b"{") * 400_000),
        (
            "/v1/realtime/tts",
            {"voice": "alloy", "response_format": "pcm"},
            frame(1, b'{"type": "speech.create", "input": "one two three four five"}') * 60,  # 144 MB of PCM
        ),
    ],
)
@pytest.mark.usefixtures("neighbour")
async def test_who_never_reads_is_broken_off_in_flat_memory(
    server: Server, path: str, start: dict[str, Any], flood: bytes
) -> None:
    key = await asyncio.to_thread(server.new_key, f"deaf on {path}", "1000")
    memory = resident_mib(server.process.pid)
    async with connected(server, path, key) as wire:
        await wire.send(json.dumps({"type": "session.start"} | start))
        await until_told(wire, "session.ready")
        if path == "/v1/realtime":
            await wire.send(speech(0.5))
        wire.transport.pause_reading()
        wire.transport.write(flood)
        kind = "transcription" if path == "/v1/realtime" else "speech"
        await asyncio.to_thread(billed, server, key, kind)  # the session is over, though nothing was read
        assert resident_mib(server.process.pid) - memory < 24
        wire.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await wire.recv()
    assert closed.value.rcvd is None, "it was broken off, not closed"


@pytest.mark.usefixtures("neighbour")
async def test_a_revoked_key_ends_both_sockets_within_five_seconds_one_in_the_middle_of_a_flood(server: Server) -> None:
    key, other = [await asyncio.to_thread(server.new_key, "revoked", "10") for _ in range(2)]
    memory = resident_mib(server.process.pid)
    async with connected(server, "/v1/realtime", key) as live, connected(server, "/v1/realtime/tts", key) as tts:
        for wire, start in ((live, {"turn_detection": None}), (tts, {"voice": "alloy"})):
            await wire.send(json.dumps({"type": "session.start"} | start))
            await until_told(wire, "session.ready")
        began = time.monotonic()
        live.transport.write(frame(2, speech(0.5)) * 1_000)  # 500 s
        await asyncio.to_thread(server.voxgate, "keys", "revoke", key[:11])
        async with asyncio.timeout(5):
            for wire in (live, tts):
                last = {}
                with pytest.raises(ConnectionClosed):
                    while True:
                        last = json.loads(await wire.recv())
                assert (last["type"], last["code"], wire.close_code) == ("error", "UNAUTHORIZED", 1008)
        took_s = time.monotonic() - began
        assert resident_mib(server.process.pid) - memory < 8
    audio_ms, _ = await asyncio.to_thread(billed, server, other, "transcription")
    assert AHEAD_S < audio_ms / 1_000 < AHEAD_S + took_s + 0.5
