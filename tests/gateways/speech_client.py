"""A client of the speech socket that keeps what it is told, and a server with scripted engines for it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.gateways.socket_house import House
from tests.inside import inside, listening
from tests.serving import SCRIPTED

QUICK = """
[engines.scripted_tts]
rate = 24_000
"""
"""A word is 250 ms of tone, which costs nothing to make."""


@dataclass
class Speech:
    """What came of one speech, from `speech.started` to the event that ended it."""

    id: str
    file: bytes
    frames: int
    end: dict[str, Any]


@dataclass
class Client:
    """One connection. `speeches` are those that ended, in order; events of no speech stay in `events`."""

    wire: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    _frames: dict[str, list[bytes]] = field(default_factory=dict)
    _current: str | None = None

    async def send(self, kind: str, **fields: Any) -> None:
        await self.wire.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next event; audio before it is kept. Audio outside of a speech is a defect."""
        while isinstance(message := await self.wire.recv(), bytes):
            assert self._current is not None, "audio of no speech"
            assert message, "an empty frame"
            self._frames[self._current].append(message)
        event: dict[str, Any] = json.loads(message)
        if event["type"] == "speech.started":
            assert self._current is None, "two speeches at once"
            self._current = event["speechId"]
            self._frames[event["speechId"]] = []
        elif event["type"] in ("speech.finished", "speech.cancelled") and event["speechId"] == self._current:
            self._current = None
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of a kind; an error on the way is a defect, unless it is an error that is waited for."""
        while (event := await self.next())["type"] != kind:
            assert event["type"] != "error", event
            self.events.append(event)
        return event

    async def speech(self) -> Speech:
        """The next speech that ends well."""
        end = await self.until("speech.finished")
        return self.ended(end)

    def ended(self, end: dict[str, Any]) -> Speech:
        """What was sent of a speech that is over."""
        frames = self._frames.pop(end["speechId"], [])
        return Speech(end["speechId"], b"".join(frames), len(frames), end)

    async def error(self) -> tuple[str, str | None]:
        """(code, param) of the next error; its message is for people."""
        event = await self.until("error")
        assert event["message"]
        return event["code"], event.get("param")

    async def closed(self) -> tuple[list[dict[str, Any]], int | None]:
        """The events that are left, and the code the socket is closed with."""
        events = []
        try:
            while True:
                events.append(await self.next())
        except ConnectionClosed as closed:
            return events, closed.rcvd.code if closed.rcvd else None

    async def start(self, **options: Any) -> str:
        """Start a session with the scripted voice; its id."""
        await self.send("session.start", **{"voice": "alloy", "response_format": "wav", **options})
        ready = await self.until("session.ready")
        return str(ready["sessionId"])


@dataclass
class SpeechHouse(House):
    """One that speaks."""

    @asynccontextmanager
    async def client(self, key: str | None = None) -> AsyncIterator[Client]:
        """A client whose session exists."""
        headers = {"Authorization": f"Bearer {key or self.inside.key}"}
        async with connect(f"{self.url}/v1/realtime/tts", additional_headers=headers, max_size=None) as wire:
            client = Client(wire)
            await client.until("session.created")
            yield client


@asynccontextmanager
async def house(folder: Path, config: str = QUICK, **environ: str) -> AsyncIterator[SpeechHouse]:
    """A server whose voice is scripted."""
    async with (
        inside(folder, SCRIPTED + config, ports=frozenset({"tts"}), **environ) as server,
        listening(server.server.app) as url,
    ):
        yield SpeechHouse(server, url.replace("http", "ws", 1))
