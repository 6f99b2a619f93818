import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from voxgate.cli.remote import Remote, credits_used, refused, remote
from voxgate.errors import PeerError, RefusedError, VoxgateError

KEY = "vg_" + "k" * 43


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXGATE_URL", raising=False)
    monkeypatch.delenv("VOXGATE_API_KEY", raising=False)


@pytest.mark.parametrize(
    ("given", "url", "socket_url"),
    [
        (None, "http://127.0.0.1:8080", "ws://127.0.0.1:8080"),
        ("voice.example", "http://voice.example", "ws://voice.example"),
        ("127.0.0.1:9000/", "http://127.0.0.1:9000", "ws://127.0.0.1:9000"),
        ("https://voice.example/v1", "https://voice.example", "wss://voice.example"),
        ("https://example/voice/v1/", "https://example/voice", "wss://example/voice"),
        ("wss://[::1]:8443", "wss://[::1]:8443", "wss://[::1]:8443"),
    ],
)
def test_an_address_as_people_write_it(given: str | None, url: str, socket_url: str) -> None:
    named = remote(given, KEY)
    assert (named.url, named.socket_url, named.key) == (url, socket_url, KEY)


@pytest.mark.parametrize(
    "url", ["ftp://example", "http://", "http://a:x", "http://a:99999", "http://a:0", "http://a?b=c"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(PeerError, match="is no address of a server") as caught:
        remote(url, KEY)
    assert caught.value.param == "url"


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGATE_URL", "http://there")
    monkeypatch.setenv("VOXGATE_API_KEY", KEY)
    assert remote(None, None) == Remote("http://there", KEY)
    assert remote("http://here", "vg_other") == Remote("http://here", "vg_other")
    assert KEY not in repr(remote(None, None))


@pytest.mark.parametrize(("key", "told"), [(None, "voxgate keys create --org development"), ("vg_ü", "characters")])
def test_a_key_is_needed(key: str | None, told: str) -> None:
    with pytest.raises(PeerError, match=told):
        remote(None, key)


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("UNSUPPORTED_LANGUAGE", PeerError, "what the server said"),
        ("UNSUPPORTED_VOICE", PeerError, "what the server said"),
        ("INVALID_MESSAGE", PeerError, "what the server said"),
        ("INPUT_TOO_LONG", PeerError, "what the server said"),
        ("UNAUTHORIZED", RefusedError, "what the server said (--key or VOXGATE_API_KEY gives the key)"),
        ("INSUFFICIENT_CREDITS", RefusedError, "what the server said (`voxgate credits add` adds some)"),
        ("ENGINE_ERROR", RefusedError, "what the server said"),
    ],
)
def test_what_an_error_message_becomes(code: str, kind: type[VoxgateError], told: str) -> None:
    error = refused({"type": "error", "code": code, "message": "what the server said"})
    assert (type(error), error.message) == (kind, told)


@pytest.mark.parametrize(("used", "told"), [(1, "1 credit"), (0, "0 credits"), (0.033333, "0.033333 credits")])
def test_credits_in_words(used: float, told: str) -> None:
    assert credits_used({"creditsUsed": used}) == told


# a connection


@asynccontextmanager
async def serving(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Remote]:
    async with serve(handler, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Remote(f"http://127.0.0.1:{port}", KEY)


async def test_messages_come_as_they_were_sent_and_then_nothing() -> None:
    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.headers["Authorization"] == f"Bearer {KEY}"
        assert await connection.recv() == '{"type":"hello","name":"k"}'
        assert await connection.recv() == b"sound"
        await connection.send('{"type": "one"}')
        await connection.send(b"two")
        await connection.send('{"type": "three"}')
        await connection.close()

    async with serving(handler) as there, there.open("/x") as wire:
        await wire.send("hello", name="k")
        await wire.send_audio(b"sound")
        assert await wire.receive() == {"type": "one"}
        assert await wire.until("three") == {"type": "three"}
        assert await wire.receive() is None
        await wire.send("too late")
        with pytest.raises(VoxgateError, match="ended early"):
            await wire.until("four")


async def test_little_audio_is_in_flight_where_the_server_does_not_read() -> None:
    taken, reading = 0, asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        server = ServerProtocol(max_size=None)
        while data := await reader.read(1 << 16):
            server.receive_data(data)
            for event in server.events_received():
                if isinstance(event, Request):
                    server.send_response(server.accept(event))
                    writer.writelines(filter(None, server.data_to_send()))
                    await reading.wait()
                elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                    taken += len(event.data)
            writer.writelines(filter(None, server.data_to_send()))
            if server.close_expected():
                break
        writer.close()

    async with await asyncio.start_server(handler, "127.0.0.1", 0) as tcp:
        port = tcp.sockets[0].getsockname()[1]
        async with Remote(f"http://127.0.0.1:{port}", KEY).open("/x") as wire:
            sent = 0

            async def send() -> None:
                nonlocal sent
                for _ in range(100):
                    await wire.send_audio(bytes(10_000))
                    sent += 10_000

            sending = asyncio.create_task(send())
            while sent < 130_000:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert sent == 130_000, "the frame that fills the second 64 KiB waits"
            reading.set()
            await sending
    assert taken == 1_000_000


async def test_an_error_message_is_raised() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send('{"type": "error", "code": "UNSUPPORTED_MODEL", "message": "no such", "param": "model"}')

    async with serving(handler) as there, there.open("/x") as wire:
        with pytest.raises(PeerError, match="no such") as caught:
            await wire.receive()
    assert caught.value.param == "model"


@pytest.mark.parametrize(("code", "told"), [(1011, "was closed with 1011"), (None, "broke")])
async def test_a_connection_that_ends_without_a_word(code: int | None, told: str) -> None:
    async def handler(connection: ServerConnection) -> None:
        if code is None:
            connection.transport.abort()
        else:
            await connection.close(code)

    async with serving(handler) as there, there.open("/x") as wire:
        with pytest.raises(VoxgateError, match=told):
            await wire.receive()


async def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        there = Remote(f"http://127.0.0.1:{taken.getsockname()[1]}", KEY)
        with pytest.raises(VoxgateError, match="`voxgate serve` starts one"):
            async with there.open("/x"):
                pass


@pytest.mark.parametrize(
    ("answer", "scheme", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "http", "has no /x: no Voxgate, or an old one"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "http", "answers with HTTP 502"),
        (b"220 mail.example\r\n", "http", "is no Voxgate"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "https", "speaks no TLS"),
    ],
)
async def test_somebody_else_there(answer: bytes, scheme: str, told: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(VoxgateError, match=told):
            async with Remote(f"{scheme}://127.0.0.1:{port}", KEY).open("/x"):
                pass
