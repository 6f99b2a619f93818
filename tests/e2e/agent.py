"""python-socketio's own client of the voice agent, for tests."""

import asyncio
from typing import Any

import socketio

from tests.serving import Server
from voxgate.domain import SPEECH_RATE

AGENT = "/v1/audio/agent"
PATIENCE_S = 30


class Client:
    """python-socketio's own client, which keeps what it is told."""

    def __init__(self) -> None:
        self.io = socketio.AsyncClient(reconnection=False, request_timeout=PATIENCE_S)
        self.told: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        self.io.on("*", self._keep, namespace=AGENT)

    async def _keep(self, event: str, data: Any = None) -> None:
        self.told.append((event, data))
        self._news.set()

    async def connect(self, server: Server, *, transport: str = "websocket", **auth: str) -> None:
        auth = {"api_key": server.key, "voice": "alloy"} | auth
        await self.io.connect(
            server.url, auth=auth, namespaces=[AGENT], transports=[transport], wait_timeout=PATIENCE_S
        )
        await self.until("connected")

    async def emit(self, event: str, **data: Any) -> None:
        await self.io.emit(event, data, namespace=AGENT)

    async def until(self, event: str, count: int = 1) -> None:
        """Wait until so many events of this name have come."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.of(event)) < count:
                self._news.clear()
                await self._news.wait()

    def of(self, event: str) -> list[Any]:
        return [data for name, data in self.told if name == event]

    async def talk(self, pieces: list[bytes], every_s: float) -> None:
        """Recordings as a microphone hands them out."""
        for piece in pieces:
            await self.emit("audio_chunk", audio=piece, format="pcm16", sample_rate=SPEECH_RATE)
            await asyncio.sleep(every_s)
