import asyncio
import os
import signal
import socket
import ssl
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.gateways.certificates import certificate
from tests.inside import listening
from voxgate.errors import ConfigError
from voxgate.gateways.http import HttpServer, read_tls


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """The smallest application."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_an_address_is_taken_and_told_as_a_browser_finds_it(host: str) -> None:
    with closing(HttpServer.bind(host, 0)) as server:
        shown, port = server.url.removeprefix("http://").rsplit(":", 1)
        assert shown == ("localhost" if host == "localhost" else "127.0.0.1")
        assert int(port) > 0


@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_addresses_of_ipv6_are_told_in_brackets(host: str) -> None:
    with closing(HttpServer.bind(host, 0)) as server:
        assert server.url.startswith("http://[::1]:")


def test_an_address_in_use_names_the_other_ways() -> None:
    with closing(HttpServer.bind("127.0.0.1", 0)) as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(ConfigError) as caught:
            HttpServer.bind("127.0.0.1", port)
    assert caught.value.param == "server.port"
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in caught.value.message
    assert "--port or VOXGATE_PORT" in caught.value.message
    HttpServer.bind("127.0.0.1", port).close()  # let go, it can be taken again at once


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7", ""])
def test_a_host_that_is_not_ours(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpServer.bind(host, 0)
    assert caught.value.param in ("server.host", "server.port")


async def test_requests_are_answered_without_a_word_about_the_software() -> None:
    async with listening(hello) as url:
        response = await get(url)
        assert (response.status_code, response.text) == (200, "hello")
        assert "server" not in response.headers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_and_leaves_the_process_alone(number: signal.Signals) -> None:
    with closing(HttpServer.bind("127.0.0.1", 0)) as server:
        beside = asyncio.create_task(asyncio.Event().wait())
        running = asyncio.create_task(server.run(hello, grace_s=1, beside=beside))  # type: ignore[arg-type]
        await get(server.url)  # it is up: the signal has its handler
        os.kill(os.getpid(), number)
        await asyncio.wait_for(running, 5)
        beside.cancel()


async def test_work_beside_that_is_done_lets_the_server_go_on() -> None:
    async def load() -> None:
        pass

    with closing(HttpServer.bind("127.0.0.1", 0)) as server:
        loading = asyncio.create_task(load())
        running = asyncio.create_task(server.run(hello, grace_s=1, beside=loading))
        await loading
        assert (await get(server.url)).text == "hello"
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 5)


async def test_work_beside_that_fails_ends_the_server_with_its_error() -> None:
    async def load() -> None:
        raise ConfigError("the engines cannot run")

    with (
        closing(HttpServer.bind("127.0.0.1", 0)) as server,
        pytest.raises(ConfigError, match="the engines cannot run"),
    ):
        await asyncio.wait_for(server.run(hello, grace_s=1, beside=asyncio.create_task(load())), 5)


async def test_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    signed, key = certificate(tmp_path, "own")
    async with listening(hello, tls=read_tls(signed, key)) as url:
        assert url.startswith("https://127.0.0.1:")
        verifying = ssl.create_default_context(cafile=signed)
        async with httpx.AsyncClient(trust_env=False, verify=verifying) as client:
            assert (await client.get(url)).text == "hello"
        async with httpx.AsyncClient(trust_env=False) as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(url)
        async with httpx.AsyncClient(trust_env=False) as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get(url.replace("https", "http"))


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path) -> None:
    assert read_tls(*certificate(tmp_path, "own")).minimum_version is ssl.TLSVersion.TLSv1_2


def test_certificates_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    signed, key = certificate(tmp_path, "own")
    _, other = certificate(tmp_path, "other")
    locked_signed, locked = certificate(tmp_path, "locked", "-passout", "pass:sesame")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for files, told in (
        ((tmp_path / "none.crt", key), "server.tls_certificate: .*none.crt cannot be read: No such file"),
        ((signed, tmp_path / "none.key"), "server.tls_key: .*none.key cannot be read: No such file"),
        ((signed, tmp_path), "server.tls_key: .* cannot be read: Is a directory"),
        ((signed, other), "other.key is not the key of .*own.crt"),
        ((empty, key), "empty.pem or .*own.key is no PEM file"),
        ((signed, empty), "own.crt or .*empty.pem is no PEM file"),
        ((locked_signed, locked), "locked with a password"),
    ):
        with pytest.raises(ConfigError, match=told) as caught:
            read_tls(*files)
        assert (caught.value.param or "").startswith("server.tls_")
        assert "PRIVATE" not in caught.value.message


async def test_nobody_is_believed_about_where_a_request_came_from() -> None:
    """uvicorn's own middleware believes whoever asks from this machine."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await hello(scope, receive, send)

    async with listening(app) as url, httpx.AsyncClient(trust_env=False) as client:
        await client.get(url, headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    assert (seen[0]["client"][0], seen[0]["scheme"]) == ("127.0.0.1", "http")
