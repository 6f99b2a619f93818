"""A client of live transcription that keeps what it is told, and a server with scripted engines for it."""

import base64
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
from voxgate.audio.framing import to_pcm16
from voxgate.testing.scripted import tone

PATH = "/v1/realtime"
SCRIPT = "This is what the script says."
FRAME = 640
"""Bytes of 20 ms at 16 kHz."""


def speech(seconds: float, *, rate: int = 16_000) -> bytes:
    """What the scripted engines take for speech, without a pause in it."""
    return to_pcm16(tone(1, word_ms=seconds * 1250, rate=rate)[: round(seconds * rate)])


def silence(seconds: float, *, rate: int = 16_000) -> bytes:
    """What they take for silence."""
    return bytes(2 * round(seconds * rate))


@dataclass
class Client:
    """One connection, and everything it was told."""

    wire: ClientConnection
    told: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.wire.send(json.dumps({"type": kind, **fields}))

    async def append(self, audio: bytes) -> None:
        """The audio in one `audio.append`."""
        await self.send("audio.append", audio=base64.b64encode(audio).decode())

    async def play(self, *audio: bytes, size: int = FRAME) -> None:
        """The audio in binary frames of this size, as fast as they are taken."""
        whole = b"".join(audio)
        for at in range(0, len(whole), size):
            await self.wire.send(whole[at : at + size])

    async def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.wire.recv())
        self.told.append(message)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; an error on the way is a defect, unless it is what is waited for."""
        while (message := await self.next())["type"] != kind:
            assert message["type"] != "error", message
        return message

    async def error(self) -> tuple[str, str | None]:
        """(code, param) of the next error; its message is for people."""
        message = await self.until("error")
        assert message["message"]
        return message["code"], message.get("param")

    async def start(self, **options: Any) -> str:
        """Start the session; its id."""
        await self.send("session.start", **options)
        return str((await self.until("session.ready"))["sessionId"])

    async def rest(self) -> tuple[list[dict[str, Any]], int | None]:
        """What is told until the socket closes, and the code it is closed with."""
        began = len(self.told)
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            return self.told[began:], closed.rcvd.code if closed.rcvd else None

    async def stop(self) -> list[dict[str, Any]]:
        """Stop the session; everything that is told after that, to a close with 1000."""
        await self.send("session.stop")
        rest, code = await self.rest()
        assert code == 1000
        return rest

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Everything of a kind that was told so far."""
        return [message for message in self.told if message["type"] == kind]


@dataclass
class LiveHouse(House):
    """One that hears."""

    @asynccontextmanager
    async def client(self, key: str | None = None, *, query: str = "", **options: Any) -> AsyncIterator[Client]:
        """A client whose session exists."""
        headers = {"X-API-Key": key or self.inside.key}
        async with connect(self.url + PATH + query, additional_headers=headers, max_size=None, **options) as wire:
            client = Client(wire)
            created = await client.next()
            assert created["type"] == "session.created"
            yield client


@asynccontextmanager
async def house(folder: Path, config: str = "", **environ: str) -> AsyncIterator[LiveHouse]:
    """A server whose ears are scripted."""
    async with (
        inside(folder, SCRIPTED + config, ports=frozenset({"stt", "vad"}), **environ) as server,
        listening(server.server.app) as url,
    ):
        yield LiveHouse(server, url.replace("http", "ws", 1))
