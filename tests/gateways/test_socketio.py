"""Engine.IO on our sockets: what does not even reach a namespace, and who says nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gateways.agent_client import House, house

pytestmark = pytest.mark.slow

LIMITS = """
[limits]
socket_unauthenticated_s = 1
requests_per_minute_per_address = 100_000
"""
PATIENCE_S = 30
NAMESPACE = "/v1/audio/agent"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, LIMITS, origins=("https://shop.example",)) as server:
        yield server


def address(server: House, **query: str) -> str:
    asked = "&".join(f"{name}={value}" for name, value in {"EIO": "4", "transport": "websocket", **query}.items())
    return f"{server.url.replace('http', 'ws')}/socket.io/?{asked}"


async def poll(server: House, **query: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"{server.url}/socket.io/", params={"EIO": "4", "transport": "polling", **query})


async def frame(socket: ClientConnection) -> str:
    async with asyncio.timeout(PATIENCE_S):
        told = await socket.recv()
    assert isinstance(told, str)
    return told


async def until_closed(socket: ClientConnection) -> int:
    """The code it was closed with."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code


async def until_empty(server: House) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while server.agent.engine.eio.sockets:
            await asyncio.sleep(0.05)


async def test_the_handshake_says_how_engine_io_pings(server: House) -> None:
    async with connect(address(server)) as socket:
        opened = json.loads((await frame(socket))[1:])
        assert (opened["pingInterval"], opened["pingTimeout"]) == (20_000, 300_000)
        assert opened["maxPayload"] == 8 << 20


async def test_who_asks_for_no_namespace_is_closed_in_time(server: House) -> None:
    async with connect(address(server)) as socket:
        await frame(socket)
        assert await until_closed(socket) == 1008
    await until_empty(server)


async def test_two_hundred_that_poll_once_and_never_again_are_cleared(server: House) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(200):
            answered = await http.get(f"{server.url}/socket.io/", params={"EIO": "4", "transport": "polling"})
            assert answered.status_code == 200
    assert len(server.agent.engine.eio.sockets) == 200
    await until_empty(server)
    assert server.agent._below._links == {}


@pytest.mark.parametrize(
    ("query", "status"), [({"EIO": "3"}, 400), ({"sid": "nobody"}, 400), ({"transport": "pigeon"}, 400)]
)
async def test_what_is_no_handshake_is_refused_before_it_is_a_socket(
    server: House, query: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address(server, **query)):
            pass
    assert refused.value.response.status_code == status
    body = json.loads(refused.value.response.body)
    assert body["error"]["code"] == "invalid_value"
    assert (await poll(server, **({"transport": "polling"} | query))).status_code == status


@pytest.mark.parametrize(("origin", "enters"), [("https://shop.example", True), ("https://evil.example", False)])
async def test_pages_of_other_origins(server: House, origin: str, enters: bool) -> None:
    async with httpx.AsyncClient(trust_env=False, headers={"Origin": origin}) as http:
        answered = await http.get(f"{server.url}/socket.io/", params={"EIO": "4", "transport": "polling"})
    assert answered.status_code == (200 if enters else 403)
    if enters:
        assert answered.headers["Access-Control-Allow-Origin"] == origin
        async with connect(address(server), additional_headers={"Origin": origin}) as socket:
            assert (await frame(socket)).startswith("0{")
        return
    assert answered.json()["error"]["code"] == "permission_denied"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address(server), additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("nonsense", ["9", "42", '42["x"', "4" * 100, '42/nowhere,["x"]', "\x00", "b!!!"])
async def test_what_is_no_packet_is_told_or_passed_over(server: House, nonsense: str) -> None:
    key = await server.new_key("packets")
    async with connect(address(server, api_key=key)) as socket:
        await frame(socket)
        await socket.send(f"40{NAMESPACE},")
        while not (await frame(socket)).startswith(f'42{NAMESPACE},["connected"'):
            pass
        await socket.send(nonsense)
        await socket.send(f'42{NAMESPACE},["dance"]')
        told = ""
        while "there is no event 'dance'" not in told:
            told = await frame(socket)
            assert told.startswith(f'42{NAMESPACE},["error"'), told


async def test_what_comes_in_place_of_a_binary_part_is_dropped_and_told(server: House) -> None:
    key = await server.new_key("parts")
    async with connect(address(server, api_key=key)) as socket:
        await frame(socket)
        await socket.send(f"40{NAMESPACE},")
        while not (await frame(socket)).startswith(f'42{NAMESPACE},["connected"'):
            pass
        await socket.send(f'451-{NAMESPACE},["dance",{{"_placeholder":true,"num":0}}]')
        await socket.send(f'42{NAMESPACE},["sing"]')
        assert "the binary part of an event is missing" in await frame(socket)
        await socket.send(b"shoes")
        assert "there is no event 'dance'" in await frame(socket)


async def test_a_message_that_is_too_large_for_anything_closes(server: House) -> None:
    key = await server.new_key("large")
    async with connect(address(server, api_key=key), max_size=None) as socket:
        await frame(socket)
        await socket.send(f"40{NAMESPACE},")
        await frame(socket)
        with pytest.raises(ConnectionClosed):  # it may be closed while it is still being sent
            await socket.send("4" * (9 << 20))
            await socket.recv()
            await socket.recv()
        assert socket.close_code == 1009


async def test_everything_else_goes_to_the_application_behind(server: House) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{server.url}/healthz")).status_code == 200
        assert (await http.get(f"{server.url}/socket.iox/")).status_code == 404
