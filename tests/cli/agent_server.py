"""A voice agent for tests of its client: it tells what a script says, and remembers what it was told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import socketio
from aiohttp import web

NAMESPACE = "/v1/audio/agent"
STARTED = {
    "session_id": "agent_1",
    "voice": "aria",
    "language": None,
    "output_format": "pcm16",
    "sample_rate": 24_000,
}


class AgentServer:
    """`on`: event of the client -> what is done, with this server and what the event carries."""

    def __init__(self) -> None:
        self.engine = socketio.AsyncServer(async_mode="aiohttp", namespaces=[NAMESPACE], always_connect=True)
        self.told: list[tuple[str, Any]] = []
        """Events of clients, in their order; of audio, only how many bytes of what."""
        self.connections: list[dict[str, str]] = []
        """What each connection brought as `auth`."""
        self.on: dict[str, Callable[[AgentServer, Any], Awaitable[None]]] = {
            "start_session": _start,
            "end_session": _end,
        }
        self.url = ""
        self._sid = ""
        self._request: Any = None
        self.engine.on("connect", self._connect, namespace=NAMESPACE)
        self.engine.on("*", self._event, namespace=NAMESPACE)

    async def tell(self, event: str, **data: Any) -> None:
        """Tell the client."""
        await self.engine.emit(event, data, to=self._sid, namespace=NAMESPACE)

    async def disconnect(self) -> None:
        """As a server does that has said why."""
        await self.engine.disconnect(self._sid, namespace=NAMESPACE)

    def break_off(self) -> None:
        """As a network does: the connection is gone, without a word."""
        self._request.transport.abort()

    async def _connect(self, sid: str, environ: Any, auth: dict[str, str]) -> None:
        self._sid, self._request = sid, environ["aiohttp.request"]
        self.connections.append(auth)
        if act := self.on.get("connect"):
            await act(self, auth)
        else:
            told = {"resumed": True} if "resume" in auth else {}
            await self.tell("connected", status="connected", sid=sid, **told)

    async def _event(self, event: str, sid: str, data: Any) -> None:
        if event == "audio_chunk":
            assert sid == self._sid
            self.told.append((event, (len(data["audio"]), data["format"], data["sample_rate"])))
        else:
            self.told.append((event, data))
        if act := self.on.get(event):
            await act(self, data)


async def _start(server: AgentServer, _data: Any) -> None:
    await server.tell("session_started", **STARTED)


async def _end(server: AgentServer, _data: Any) -> None:
    await server.tell("session_ended", session_id="agent_1", status="ended")


@asynccontextmanager
async def agent_server() -> AsyncIterator[AgentServer]:
    """One that listens."""
    server = AgentServer()
    app = web.Application()
    server.engine.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await server.engine.shutdown()
        await runner.cleanup()
