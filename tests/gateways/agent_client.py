"""The voice agent's namespace on a real address with conversations of the test's own, and clients that keep all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import socketio

from tests.inside import Inside, inside, listening
from tests.serving import SCRIPTED
from voxgate.calls import CallEnded, CallInput, CallRequest, EndIn, EndReason
from voxgate.domain import Tier
from voxgate.errors import Code, PeerError
from voxgate.gateways.agent import Agent
from voxgate.gateways.agent_settings import AgentSettings
from voxgate.gateways.sockets import Sockets
from voxgate.ports import CallTransport

NAMESPACE = "/v1/audio/agent"
PATIENCE_S = 30
"""On a loaded machine; what goes well takes milliseconds."""


@dataclass
class Talk:
    """A conversation that keeps what comes in, says what the test sends through `transport`, and ends when told to."""

    request: CallRequest
    voice: str
    heard: list[CallInput] = field(default_factory=list)
    transport: CallTransport | None = None
    failure: Exception | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    hearing: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: nothing is taken from the transport."""

    async def run(self, transport: CallTransport) -> EndReason:
        self.transport = transport
        self.hearing.set()
        self.begun.set()
        async for given in transport.inputs():
            await self.hearing.wait()
            self.heard.append(given)
            self.news.set()
            if self.failure is not None:
                raise self.failure
            if isinstance(given, EndIn):
                transport.send(CallEnded(given.reason))
                return given.reason
        raise AssertionError("the inputs of a call do not end by themselves")

    def say(self, *outputs: Any) -> None:
        assert self.transport is not None
        for output in outputs:
            self.transport.send(output)

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until what was heard is as the test wants it."""
        async with asyncio.timeout(PATIENCE_S):
            while not ready():
                self.news.clear()
                await self.news.wait()


@dataclass
class Client:
    """python-socketio's own client; events are kept in order."""

    io: socketio.AsyncClient
    events: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)
    passed: list[tuple[str, Any]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def emit(self, event: str, *data: Any) -> None:
        await self.io.emit(event, data[0] if data else None, namespace=NAMESPACE)

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.events.get()

    async def until(self, event: str) -> Any:
        """What the next event of a name carries; an error on the way is a defect, unless one is waited for."""
        while (told := await self.next())[0] != event:
            assert told[0] != "error", told
            self.passed.append(told)
        return told[1]

    async def error(self) -> tuple[str, str, str | None]:
        """(type, code, param) of the next error; its message is for people."""
        told = await self.until("error")
        assert told["message"]
        return told["type"], told["code"], told.get("param")

    async def start(self, **options: Any) -> Any:
        """Start a session; what `session_started` carries."""
        await self.emit("start_session", {"voice": "alloy", **options})
        return await self.until("session_started")

    async def left(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(PATIENCE_S):
            await self.gone.wait()


@dataclass
class House:
    """A server, its address and the conversations that were begun."""

    inside: Inside
    agent: Agent
    url: str
    talks: list[Talk] = field(default_factory=list)

    @asynccontextmanager
    async def client(
        self,
        key: str | None = None,
        *,
        query: str | None = None,
        auth: Any = None,
        polling: bool = False,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[Client]:
        """A client that is connected to the namespace. `query`: what stands behind the question mark; None: the key."""
        io = socketio.AsyncClient(reconnection=False, request_timeout=PATIENCE_S)
        client = Client(io)

        async def keep(event: str, *data: Any) -> None:
            client.events.put_nowait((event, data[0] if data else None))

        async def gone(*_reason: Any) -> None:
            client.gone.set()

        io.on("*", keep, namespace=NAMESPACE)
        io.on("disconnect", gone, namespace=NAMESPACE)
        asked = f"?api_key={key or self.inside.key}" if query is None else query
        await io.connect(
            f"{self.url}{asked}",
            namespaces=[NAMESPACE],
            transports=["polling"] if polling else ["websocket"],
            auth=auth,
            headers=headers or {},
            wait_timeout=PATIENCE_S,
        )
        try:
            yield client
        finally:
            await io.disconnect()

    @asynccontextmanager
    async def started(self, key: str | None = None, **options: Any) -> AsyncIterator[tuple[Client, Talk]]:
        """A client whose session is started, and its conversation."""
        async with self.client(key) as client:
            await client.until("connected")
            await client.start(**options)
            yield client, self.talks[-1]

    async def new_key(self, org: str, credits_: str = "10", tier: str = "owner") -> str:
        """A key of an organization of some tier."""
        made = await self.inside.server.accounts.create_key(org, tier=Tier(tier), credits=Decimal(credits_))
        return made.key


@asynccontextmanager
async def house(
    folder: Path, config: str = "", *, agent: AgentSettings | None = None, origins: tuple[str, ...] = ("*",)
) -> AsyncIterator[House]:
    """A server whose conversations are the tests'; a voice called `mute` is refused."""
    talks: list[Talk] = []

    def converse(request: CallRequest, voice: str) -> Talk:
        if voice == "mute":
            raise PeerError("there is no voice 'mute'", code=Code.UNSUPPORTED_VOICE, param="voice")
        talks.append(Talk(request, voice))
        return talks[-1]

    async with inside(folder, SCRIPTED + config, ports=frozenset()) as server:
        sockets: Sockets = server.server.sockets
        own = Agent(sockets, agent or AgentSettings(), converse, server.server.record, allowed_origins=origins)
        try:
            async with listening(own.before(server.server.app)) as url:
                yield House(server, own, url, talks)
        finally:
            await own.aclose()
