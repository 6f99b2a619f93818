"""A whole server inside the test's own process: everything but the process, for what needs no second one."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from voxgate.app import Assembled, assemble
from voxgate.gateways.http import HttpServer
from voxgate.planning import load_settings, plan


class StoppedError(Exception):
    """The test is over."""


@dataclass(frozen=True)
class Inside:
    """A server whose engines are running, and a key for it."""

    server: Assembled
    key: str
    credits_: str

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """A client that calls the application itself: no socket, and each answer in one piece."""
        transport = httpx.ASGITransport(self.server.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.AsyncClient(transport=transport, base_url="http://inside", headers=headers)

    async def new_key(self, org: str, credits_: str) -> str:
        """A key of an organization with so many credits."""
        return (await self.server.accounts.create_key(org, credits=Decimal(credits_))).key


@asynccontextmanager
async def inside(
    folder: Path, config: str, *, ports: frozenset[str] | None = None, **environ: str
) -> AsyncIterator[Inside]:
    """A server made from a configuration, with the engines of some ports, or all. `folder` holds data and models."""
    path = folder / "voxgate.toml"
    path.write_text(config)
    environ = {"VOXGATE_DATA_DIR": str(folder / "data"), "VOXGATE_MODELS_DIR": str(folder / "models")} | environ
    what = await plan(load_settings(path, environ), environ)
    async with assemble(what) as server:
        if ports is None or ports:
            await server.room.start(ports)
        made = await server.accounts.create_key("acme", credits=Decimal(100))
        yield Inside(server, made.key, "100")


@asynccontextmanager
async def listening(app: ASGIApp, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a socket that the application answers on, for what only a socket shows."""
    stop = asyncio.Event()

    async def until_stopped() -> None:
        await stop.wait()
        raise StoppedError

    listener = HttpServer.bind("127.0.0.1", 0, tls=tls)
    running = asyncio.create_task(listener.run(app, grace_s=1, beside=asyncio.create_task(until_stopped())))
    try:
        yield listener.url
    finally:
        stop.set()
        with pytest.raises(StoppedError):
            await running
        listener.close()
