"""`/v1/audio/agent`, a Socket.IO namespace: who is connected.

Events reach the client they belong to one after the other (`async_handlers=False`: handlers only queue), and a client
that sends faster than it is heard is read no further.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from starlette.types import ASGIApp

from voxgate.gateways.agent_calls import AgentCalls, Converse, Record
from voxgate.gateways.agent_client import AgentClient
from voxgate.gateways.agent_settings import AgentSettings
from voxgate.gateways.socketio import PING_S, PONG_S, SocketIo
from voxgate.gateways.sockets import Sockets
from voxgate.protocols.agent.messages import NAMESPACE
from voxgate.protocols.agent.session import Event


class Agent:
    """The namespace."""

    def __init__(
        self,
        sockets: Sockets,
        settings: AgentSettings,
        converse: Converse,
        record: Record,
        *,
        allowed_origins: Sequence[str] = ("*",),
    ) -> None:
        """`allowed_origins`: of pages that may connect."""
        import socketio  # not before a server is made: it takes a tenth of a second

        self.calls = AgentCalls(sockets, converse, record)
        """The conversations that are held."""
        quiet = logging.Logger("socketio", logging.CRITICAL)  # its lines repeat what clients send
        quiet.addHandler(logging.NullHandler())
        self.engine = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,
            always_connect=True,  # who is refused is told why by an event, and events need a connection
            namespaces=[NAMESPACE],
            cors_allowed_origins="*" if "*" in allowed_origins else list(allowed_origins),
            cors_credentials=False,
            max_http_buffer_size=sockets.limits.socket_frame_bytes,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            logger=quiet,
            engineio_logger=quiet,
        )
        self.engine.on("connect", self._connect, namespace=NAMESPACE)
        self.engine.on("disconnect", self._disconnect, namespace=NAMESPACE)
        self.engine.on("*", self._event, namespace=NAMESPACE)
        self._sockets = sockets
        self._settings = settings
        self._origins = tuple(allowed_origins)
        self._below: SocketIo
        self._clients: dict[str, AgentClient] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application with this namespace before it. Once, with a running event loop."""
        self._below = SocketIo(app, self.engine, self._sockets, allowed_origins=self._origins)
        self._spawn(self._below.sweep())
        return self._below

    async def aclose(self) -> None:
        """End every conversation and every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.calls.aclose()
        await self.engine.shutdown()

    # agent_client.Namespace

    async def emit(self, sid: str, event: Event) -> None:
        """Tell a client something; waits where it does not take what it is sent."""
        name, told = event
        await self.engine.emit(name, told, to=sid, namespace=NAMESPACE)

    async def dismiss(self, sid: str) -> None:
        """Take a client out of the namespace: it does not connect again by itself."""
        await self.engine.disconnect(sid, NAMESPACE)

    async def drop(self, client: AgentClient, code: int) -> None:
        """Close the connection of a client, after everything that was sent to it."""
        self._clients.pop(client.sid, None)
        await self._below.close(client.eio_sid, client.link, code)

    # what python-socketio calls

    async def _connect(self, sid: str, _environ: Any, auth: Any = None) -> None:
        eio_sid = self.engine.manager.eio_sid_from_sid(sid, NAMESPACE)
        if sid in self._clients or eio_sid is None:  # an event of a client's that is called "connect"
            return
        scope = self.engine.environ[eio_sid]["asgi.scope"]
        link = self._below.link(eio_sid, scope)
        client = AgentClient(
            self, self.calls, self._sockets, self._settings, sid=sid, eio_sid=eio_sid, link=link, scope=scope, auth=auth
        )
        self._clients[sid] = client
        self._spawn(client.run())

    async def _disconnect(self, sid: str, *_reason: Any) -> None:
        if self.engine.manager.is_connected(sid, NAMESPACE):  # an event of a client's that is called "disconnect"
            return
        client = self._clients.pop(sid, None)
        if client is not None:
            client.gone()

    async def _event(self, event: str, sid: str, *arguments: Any) -> None:
        client = self._clients.get(sid)
        if client is not None:
            await client.put((event, arguments))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
