"""The page at `GET /`: what is served, and that nothing of it comes from anywhere else."""

import hashlib
import re
from importlib.resources import files

import httpx
import pytest
from fastapi import FastAPI

from voxgate.gateways.page.site import router

STATIC = files("voxgate.gateways.page") / "static"
SCRIPTS = ("page.js", "call.js", "sound.js", "transcript.js", "worklets.js")
SOCKET_IO = "771c3872e7d9bf81020615fda67ef0fd2aa61fcaf1990100714a46fa2c39f8a1"
"""SHA-256 of dist/socket.io.esm.min.js in the npm package socket.io-client 4.8.4."""


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(router())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://page")


async def test_the_page_and_all_it_asks_for(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    asked = re.findall(r'(?:src|href)="([\w./-]+\.\w+)"', page.text)
    assert {"page.css", "page.js", "icon.svg"} <= set(asked)
    for path in (*asked, *SCRIPTS):
        answer = await client.get(f"/{path}")
        assert answer.status_code == 200, path
        for imported in re.findall(r"from '\./([^']+)'", answer.text):
            assert (await client.get(f"/{imported}")).headers["content-type"] == "text/javascript; charset=utf-8"


async def test_it_is_asked_for_again_and_sent_once(client: httpx.AsyncClient) -> None:
    first = await client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await client.get("/", headers={"If-None-Match": '"another"'})
    assert other.content == first.content
    head = await client.head("/")
    assert (head.status_code, head.content) == (200, b"")


async def test_only_its_own_files_run(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_the_client_of_socket_io_is_the_published_one_with_its_licence() -> None:
    [script] = [entry for entry in (STATIC / "vendor").iterdir() if entry.name.endswith(".js")]
    assert script.name == "socket.io-4.8.4.js"
    assert hashlib.sha256(script.read_bytes()).hexdigest() == SOCKET_IO
    assert "MIT" in (STATIC / "vendor" / "socket.io-LICENSE.txt").read_text()


async def test_it_is_no_part_of_the_described_api() -> None:
    app = FastAPI()
    app.include_router(router())
    assert app.openapi()["paths"] == {}
