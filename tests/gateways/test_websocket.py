"""What goes over a connection: tested on real ones, with a client that breaks rules as well as one that keeps them."""

import asyncio
import json
import logging
import ssl
import struct
from pathlib import Path

import pytest
import websockets
from websockets.frames import Frame, Opcode

from tests.gateways.certificates import certificate
from tests.gateways.socket_server import KEY, SPEECH, served
from voxgate.domain import Principal
from voxgate.gateways.http import read_tls
from voxgate.gateways.sockets import Peer

pytestmark = pytest.mark.slow

CLOSE, PING, PONG, TEXT, BINARY = Opcode.CLOSE, Opcode.PING, Opcode.PONG, Opcode.TEXT, Opcode.BINARY
NORMAL = struct.pack("!H", 1000)


async def echo(peer: Peer, _principal: Principal) -> None:
    while (message := await peer.receive()) is not None:
        peer.post(message)
        await peer.drained()


def code_of(frame: tuple[Opcode, bytes]) -> int:
    assert frame[0] is CLOSE
    return int.from_bytes(frame[1][:2])


def error_of(frame: tuple[Opcode, bytes]) -> str:
    assert frame[0] is TEXT
    told = json.loads(frame[1])
    assert told["type"] == "error"
    code: str = told["code"]
    return code


async def test_messages_come_back_as_they_were() -> None:
    async with served(echo) as server, websockets.connect(server.at()) as client:
        for message in ("", "Zoë 🎙", b"", b"\x00" * 640, "x" * 70_000, bytes(200_000)):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["in ", "three ", "parts"])
        assert await client.recv() == "in three parts"


async def test_a_client_closes_and_is_answered_with_its_own_code() -> None:
    async with served(echo) as server:
        client = await server.connect()
        client.send(CLOSE, struct.pack("!H", 4321) + b"enough")
        assert await client.rest() == [(CLOSE, struct.pack("!H", 4321) + b"enough")]
        client = await server.connect()
        client.send(CLOSE)
        assert await client.rest() == [(CLOSE, b"")]


async def test_pings_are_answered_while_the_session_is_busy() -> None:
    busy = asyncio.Event()

    async def stuck(peer: Peer, _principal: Principal) -> None:
        await busy.wait()

    async with served(stuck) as server:
        client = await server.connect()
        client.send(PING, b"there?")
        client.send(PONG, b"nobody asked")
        client.send(PING)
        assert [await client.read(), await client.read()] == [(PONG, b"there?"), (PONG, b"")]
        busy.set()


async def test_what_is_posted_reaches_a_client_that_has_closed_its_half() -> None:
    """Published clients close right after `session.stop`, and the last transcript is still on its way."""
    seen = asyncio.Event()

    async def last_words(peer: Peer, _principal: Principal) -> None:
        assert await peer.receive() == "stop"
        assert await peer.receive() is None
        assert await peer.receive() is None
        seen.set()
        await asyncio.sleep(0.05)  # the engine is still at work
        peer.post("final")

    async with served(last_words) as server:
        client = await server.connect()
        client.send(TEXT, b"stop")
        client.send(CLOSE, NORMAL)
        assert await client.rest() == [(TEXT, b"final"), (CLOSE, NORMAL)]
        assert seen.is_set()


async def test_the_wait_for_last_words_has_an_end() -> None:
    over = asyncio.Event()

    async def never(peer: Peer, _principal: Principal) -> None:
        while await peer.receive() is not None:
            pass
        await over.wait()
        peer.post("too late")

    async with served(never, socket_linger_s=0.05) as server:
        client = await server.connect()
        client.send(CLOSE, NORMAL)
        assert await client.rest() == [(CLOSE, NORMAL)]
        over.set()


async def test_a_connection_whose_client_only_stopped_sending_still_takes_messages() -> None:
    async def last_words(peer: Peer, _principal: Principal) -> None:
        while await peer.receive() is not None:
            pass
        peer.post("final")

    async with served(last_words) as server:
        client = await server.connect()
        client.send(TEXT, b"stop")
        client.writer.write_eof()
        assert await client.rest() == [(TEXT, b"final"), (CLOSE, NORMAL)]


async def test_a_client_that_vanishes_ends_its_session_with_everything_it_had_sent() -> None:
    heard: list[str | bytes] = []
    over = asyncio.Event()

    async def slow(peer: Peer, _principal: Principal) -> None:
        while (message := await peer.receive()) is not None:
            heard.append(message)
            await asyncio.sleep(0)
        over.set()

    async with served(slow) as server:
        client = await server.connect()
        for number in range(100):
            client.send(BINARY, bytes([number]))
        await client.writer.drain()
        client.writer.close()
        await asyncio.wait_for(over.wait(), 5)
    assert heard == [bytes([number]) for number in range(100)]
    assert server.measured('voxgate_socket_closes_total{code="1006",path="/v1/realtime"} 1.0') or server.measured(
        'voxgate_socket_closes_total{code="1000",path="/v1/realtime"} 1.0'
    )


async def test_a_message_at_the_limit_passes_and_one_above_it_is_dropped_and_told() -> None:
    sizes: list[int] = []

    async def measuring(peer: Peer, _principal: Principal) -> None:
        while True:
            try:
                message = await peer.receive()
            except Exception as error:
                assert getattr(error, "code", "") == "too_large"
                peer.error(error)  # type: ignore[arg-type]
                continue
            if message is None:
                return
            sizes.append(len(message))

    async with served(measuring, socket_message_bytes=1000, socket_frame_bytes=4000) as server:
        client = await server.connect()
        client.send(BINARY, bytes(1000))
        client.send(BINARY, bytes(1001))
        client.send(TEXT, b"x" * 4000)
        client.send(TEXT, b"goes on")
        client.send(BINARY, bytes(999), fin=False)
        client.send(Opcode.CONT, bytes(2))
        client.send(BINARY, bytes(1))
        client.send(CLOSE, NORMAL)
        frames = await client.rest()
    assert sizes == [1000, 7, 1]
    assert [error_of(frame) for frame in frames[:-1]] == ["MESSAGE_TOO_LARGE"] * 3
    assert code_of(frames[-1]) == 1000


@pytest.mark.parametrize(
    ("wire", "told", "code"),
    [
        (b"\x82\xfe\x0f\xa1mask" + bytes(4001), "MESSAGE_TOO_LARGE", 1009),
        (b"\x82\xff\x7f" + b"\xff" * 7 + b"mask", "MESSAGE_TOO_LARGE", 1009),
        (b"\x81\x82\x00\x00\x00\x00\xc3\x28", "INVALID_MESSAGE", 1007),
        (b"\x81\x02hi", "INVALID_MESSAGE", 1002),
    ],
)
async def test_what_cannot_be_read_on_ends_the_session_with_an_error_first(wire: bytes, told: str, code: int) -> None:
    async with served(echo, socket_message_bytes=1000, socket_frame_bytes=4000) as server:
        client = await server.connect()
        client.send(TEXT, b"before")
        client.writer.write(wire + b"and more that is not read" * 1000)
        frames = await client.rest()
    assert frames[0] == (TEXT, b"before")
    assert error_of(frames[1]) == told
    assert code_of(frames[2]) == code
    assert server.measured(f'voxgate_socket_closes_total{{code="{code}",path="/v1/realtime"}} 1.0')


async def test_a_peer_that_answers_no_ping_is_closed() -> None:
    async with served(echo, socket_ping_s=0.1, socket_silent_s=1) as server:
        frames = await (await server.connect()).rest()
    assert frames[0] == (PING, b"")
    assert error_of(frames[-2]) == "SESSION_TIMEOUT"
    assert code_of(frames[-1]) == 1008


async def test_a_peer_that_answers_pings_stays() -> None:
    async with served(echo, socket_ping_s=0.1, socket_silent_s=0.8) as server:
        client = await server.connect()
        for _ in range(10):
            assert await client.read() == (PING, b"")
            client.send(PONG)


async def test_any_byte_is_a_sign_of_life_even_one_of_a_message_that_is_not_complete() -> None:
    async with served(echo, socket_ping_s=0.1, socket_silent_s=0.8) as server:
        client = await server.connect()
        for byte in b"\x82\x85mask" + bytes(5):
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.1)
        while (frame := await client.read())[0] is PING:
            pass
        assert frame[0] is BINARY


async def test_silence_while_we_do_not_read_is_not_held_against_the_peer() -> None:
    go_on = asyncio.Event()
    heard: list[int] = []

    async def pausing(peer: Peer, _principal: Principal) -> None:
        await go_on.wait()
        while (message := await peer.receive()) is not None:
            heard.append(len(message))
        peer.post("all")

    async with served(pausing, socket_ping_s=0.05, socket_silent_s=0.1) as server:
        client = await server.connect()
        for _ in range(100):
            client.send(BINARY, bytes(100))
        client.send(CLOSE, NORMAL)
        await asyncio.sleep(0.5)  # five times the silence that is allowed: its pongs would not have been read either
        go_on.set()
        frames = [frame for frame in await client.rest() if frame[0] is not PING]
        assert frames == [(TEXT, b"all"), (CLOSE, NORMAL)]
    assert heard == [100] * 100


async def test_who_sends_faster_than_is_heard_is_held_up_and_loses_nothing() -> None:
    go_on = asyncio.Event()
    heard = 0
    size = 32_000

    async def pausing(peer: Peer, _principal: Principal) -> None:
        nonlocal heard
        await go_on.wait()
        while (message := await peer.receive()) is not None:
            assert message == bytes(size)
            heard += 1

    async with served(pausing) as server:
        client = await server.connect()
        taken = 0
        for _ in range(2_000):  # 64 MB
            client.send(BINARY, bytes(size))
            try:
                await asyncio.wait_for(client.writer.drain(), 0.2)
            except TimeoutError:
                break
            taken += 1
        assert taken * size < 16 << 20  # what both kernels' buffers take, and 16 messages
        go_on.set()
        await asyncio.wait_for(client.writer.drain(), 5)
        client.send(CLOSE, NORMAL)
        assert await client.rest() == [(CLOSE, NORMAL)]
    assert heard == taken + 1


async def test_who_does_not_read_is_broken_off_and_the_session_told() -> None:
    over = asyncio.Event()

    async def flood(peer: Peer, _principal: Principal) -> None:
        async with asyncio.TaskGroup() as group:

            async def send() -> None:
                while not over.is_set():
                    peer.post(bytes(100_000))
                    await peer.drained()

            group.create_task(send())
            assert await peer.receive() is None
            over.set()

    async with served(flood, slow_reader_s=0.1) as server:
        await server.connect(buffer=1000)
        await asyncio.wait_for(over.wait(), 5)
    assert server.measured('voxgate_socket_closes_total{code="1006",path="/v1/realtime"} 1.0')


async def test_who_pings_without_reading_fills_no_memory() -> None:
    """Each ping is answered, and who reads no answer is not listened to any more."""
    sizes: list[int] = []
    over = asyncio.Event()

    async def waiting(peer: Peer, _principal: Principal) -> None:
        wire = peer._wire
        while not over.is_set():
            sizes.append(wire._transport.get_write_buffer_size())  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)

    async with served(waiting) as server:
        client = await server.connect(buffer=1000)
        pings = Frame(PING, bytes(125)).serialize(mask=True) * 1000
        for _ in range(200):
            client.writer.write(pings)
            try:
                await asyncio.wait_for(client.writer.drain(), 0.3)
            except TimeoutError:
                break
        else:
            pytest.fail("25 MB of pings were taken")
        over.set()
    assert max(sizes) < 2 << 20


async def test_a_flood_of_tiny_messages_stops_nobody_else() -> None:
    async with served(echo) as server:
        flood = await server.connect()
        client = await server.connect()
        flood.writer.write(b"\x82\x80mask" * 40_000)
        loop = asyncio.get_running_loop()
        waits = []
        reading = asyncio.create_task(flood.rest())
        for _ in range(20):
            began = loop.time()
            client.send(TEXT, b"x")
            await client.read()
            waits.append(loop.time() - began)
        reading.cancel()
    assert sorted(waits)[10] < 0.1


async def test_the_server_stops_and_says_so() -> None:
    cleaned = asyncio.Event()

    async def until_ended(peer: Peer, _principal: Principal) -> None:
        try:
            await peer.receive()
        finally:
            cleaned.set()

    async with served(until_ended) as server:
        client = await server.connect()
        waiting = await server.connect(SPEECH, "")
        reading = asyncio.gather(client.rest(), waiting.rest())
        await asyncio.sleep(0.05)
    for frames in await reading:
        assert error_of(frames[0]) == "ENGINE_ERROR"
        assert "shutting down" in json.loads(frames[0][1])["message"]
        assert code_of(frames[1]) == 1001
    assert cleaned.is_set()


async def test_an_error_reaches_a_client_that_is_still_sending() -> None:
    """A connection that is closed on bytes nobody has read is reset, and takes the last words with it."""

    async def refuse(peer: Peer, _principal: Principal) -> None:
        await peer.receive()
        await peer.close(1008, "no")

    async with served(refuse) as server:
        client = await server.connect()
        for _ in range(400):
            client.send(BINARY, bytes(10_000))
        assert await client.read() == (CLOSE, struct.pack("!H", 1008) + b"no")
        client.send(CLOSE, struct.pack("!H", 1008))
        assert await client.rest() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-WebSocket-Version": "8"}, b"426"),
        ({"Sec-WebSocket-Key": "short"}, b"400"),
    ],
)
async def test_handshakes_that_fail_are_answered_as_http(headers: dict[str, str], status: bytes) -> None:
    async with served(echo) as server:
        client = await server.connect(headers=headers)
        assert client.head.split()[1] == status


async def test_no_address_is_logged_with_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(echo) as server:
        for headers in ({}, {"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "x"}, {"Origin": "x\xff"}):
            await server.connect(headers=headers)
        assert (await server.connect("/nowhere")).head.split()[1] == b"404"
    assert KEY not in caplog.text
    assert "api_key" not in caplog.text


async def test_over_tls(tmp_path: Path) -> None:
    signed, key = certificate(tmp_path, "own")
    outside = ssl.create_default_context(cafile=signed)
    async with (
        served(echo, tls=read_tls(signed, key)) as server,
        websockets.connect(server.at(), ssl=outside, server_hostname="localhost") as client,
    ):
        await client.send(bytes(500_000))
        assert await client.recv() == bytes(500_000)
