"""One conversation with a running server, from the caller's side: Socket.IO, by python-socketio's own client.

A connection that breaks is made again, and the conversation goes on in it, as long as the server waits for that.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from voxgate.cli.live_client import until
from voxgate.cli.remote import Remote
from voxgate.cli.sources import Source
from voxgate.errors import Code, PeerError, RefusedError, VoxgateError

INSTALL = "pip install 'voxgate[talk]'"
"""The command that adds what the client needs."""
QUIET_S = 2.0
"""How long nothing happens, after a recording has ended, before the conversation is over: more than the 700 ms of
missing audio and the silence that end a turn, so that the last answer is still heard."""

_ANSWER_S = 10.0  # a server that says nothing for so long to a connection or a beginning is not there
_END_S = 3.0  # how long `session_ended` is awaited
_TRIES = 5  # to connect again, 1, 2, 4, 5 and 5 s after one another: within the 30 s that the server waits

Told = Callable[[str, Mapping[str, Any]], None]
"""Is given every event of the server from `session_started` on, and what it carries."""


def refused(error: Mapping[str, Any]) -> VoxgateError:
    """The error that an `error` event stands for: PeerError where the command was wrong."""
    text = str(error.get("message"))
    match error.get("type"):
        case "validation_error":
            return PeerError(text, param=error.get("param"))
        case "authentication_error":
            return RefusedError(f"{text} (--key or VOXGATE_API_KEY gives the key)", code=Code.INVALID_API_KEY)
        case "authorization_error":
            return RefusedError(text)
        case _:
            return VoxgateError(text)


class Conversation:
    """A session that has begun. Use `conversation`."""

    def __init__(self, client: Any, namespace: str, url: str) -> None:
        self.session_id = ""
        self.sample_rate = 0
        """Samples per second of the bot's voice."""
        self._client = client
        self._namespace = namespace
        self._url = url
        self._events: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue()
        self._lost = asyncio.Event()
        self._error: Mapping[str, Any] | None = None  # the last event, where it was an error
        self._state = "listening"
        client.on("*", self._arrived, namespace=namespace)
        client.on("disconnect", _nothing, namespace=namespace)
        client.on("__disconnect_final", lambda *_: self._lost.set(), namespace=namespace)

    async def begin(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """What `session_started` tells. `options`: of `start_session`. Raises VoxgateError."""
        await self._expect("connected")
        await self.emit("start_session", dict(options))
        started = await self._expect("session_started")
        self.session_id, self.sample_rate = str(started["session_id"]), int(started["sample_rate"])
        return started

    async def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Send an event; while the connection is broken it is lost, as what is said then is."""
        from socketio.exceptions import SocketIOError

        try:
            await self._client.emit(event, dict(data), namespace=self._namespace)
        except SocketIOError:
            return

    async def run(self, source: Source, told: Told, stop: asyncio.Event, *, quiet_s: float) -> None:
        """Talk until the source has ended and nothing happens for `quiet_s`, `stop` is set, or the server ends it.

        Raises VoxgateError: what the source raised, or why the connection broke.
        """
        sending = asyncio.create_task(self._send(source, stop))
        try:
            ended = await self._listen(sending, told, stop, quiet_s)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if not ended:
            await self._end(told)
        if not sending.cancelled():
            sending.result()

    async def _send(self, source: Source, stop: asyncio.Event) -> None:
        async for piece in until(source.pieces, stop):
            if piece:
                await self.emit("audio_chunk", {"audio": piece, "format": "pcm16", "sample_rate": source.rate})

    async def _listen(self, sending: "asyncio.Task[None]", told: Told, stop: asyncio.Event, quiet_s: float) -> bool:
        """Whether the server has ended it."""
        stopping = asyncio.create_task(stop.wait())
        losing = asyncio.create_task(self._lost.wait())
        coming = asyncio.ensure_future(self._events.get())
        try:
            while not stop.is_set():
                over = sending.done() and self._state == "listening"
                watched = {coming, stopping, losing} | (set() if sending.done() else {sending})
                done, _ = await asyncio.wait(
                    watched, timeout=quiet_s if over else None, return_when=asyncio.FIRST_COMPLETED
                )
                if coming in done:
                    if self._tell(coming.result(), told):
                        return True
                    coming = asyncio.ensure_future(self._events.get())
                elif losing in done:
                    raise self._why_lost()
                elif not done or (sending.done() and sending.exception() is not None):
                    return False
            return False
        finally:
            for waiting in (stopping, losing, coming):
                waiting.cancel()
            await asyncio.gather(stopping, losing, coming, return_exceptions=True)

    async def _end(self, told: Told) -> None:
        await self.emit("end_session", {})
        try:
            async with asyncio.timeout(_END_S):
                while not self._tell(await self._events.get(), told):
                    pass
        except TimeoutError:
            raise VoxgateError(f"the server at {self._url} does not answer") from None

    def _tell(self, event: tuple[str, Mapping[str, Any]], told: Told) -> bool:
        """Whether that was the last."""
        kind, data = event
        if kind == "connected":  # once more, after the connection was lost
            if not data.get("resumed"):
                raise VoxgateError("the connection was lost for longer than the server waits: the conversation is over")
            return False
        self._error = data if kind == "error" else None
        if kind == "state":
            self._state = str(data["state"])
        told(kind, data)
        return kind == "session_ended"

    async def _expect(self, kind: str) -> Mapping[str, Any]:
        """The next event of a kind. Raises VoxgateError: an `error` that comes before it, or silence."""
        losing = asyncio.create_task(self._lost.wait())
        try:
            async with asyncio.timeout(_ANSWER_S):
                while True:
                    coming = asyncio.ensure_future(self._events.get())
                    await asyncio.wait({coming, losing}, return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        coming.cancel()
                        raise self._why_lost()
                    found, data = coming.result()
                    if found == "error":
                        raise refused(data)
                    if found == kind:
                        return data
        except TimeoutError:
            raise VoxgateError(f"the server at {self._url} does not answer") from None
        finally:
            losing.cancel()
            await asyncio.gather(losing, return_exceptions=True)

    def _why_lost(self) -> VoxgateError:
        if self._error is not None:
            return refused(self._error)
        return VoxgateError(f"the connection to {self._url} broke")

    def _arrived(self, event: str, *data: Any) -> None:
        self._events.put_nowait((event, data[0] if data and isinstance(data[0], dict) else {}))


@asynccontextmanager
async def conversation(remote: Remote, options: Mapping[str, Any]) -> AsyncIterator[Conversation]:
    """A conversation that has begun; left, the connection is closed.

    `options`: of `start_session`. Raises VoxgateError: no such server, not let in, or refused.
    """
    from voxgate.protocols.agent.messages import NAMESPACE

    async with _client() as client:
        begun = Conversation(client, NAMESPACE, remote.url)

        def credential() -> dict[str, str]:
            return {"api_key": remote.key} | ({"resume": begun.session_id} if begun.session_id else {})

        from socketio.exceptions import ConnectionError as NotConnectedError

        try:
            await client.connect(
                remote.url, auth=credential, namespaces=[NAMESPACE], transports=["websocket"], wait_timeout=_ANSWER_S
            )
        except NotConnectedError:
            raise VoxgateError(
                f"no server answers at {remote.url}: `voxgate serve` starts one, --url or VOXGATE_URL names another"
            ) from None
        await begun.begin(options)
        yield begun


@asynccontextmanager
async def _client() -> AsyncIterator[Any]:
    """A client of Socket.IO. Raises VoxgateError where what it needs is not installed."""
    try:
        import aiohttp
        import socketio
    except ModuleNotFoundError:
        raise VoxgateError(f"conversations need a package that is not installed; run: {INSTALL}") from None
    quiet = logging.Logger("socketio", logging.CRITICAL)  # what it logs repeats what is said
    quiet.addHandler(logging.NullHandler())
    async with aiohttp.ClientSession() as http:  # its own it leaves open where a connection fails
        client = socketio.AsyncClient(
            handle_sigint=False,
            reconnection_attempts=_TRIES,
            logger=quiet,
            engineio_logger=quiet,
            http_session=http,
        )
        try:
            yield client
        finally:
            await client.shutdown()


def _nothing(*_: Any) -> None:
    """A connection that broke is made again; whether that failed is told by another event."""
