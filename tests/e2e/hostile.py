"""Clients of the two sockets who send anything in any order, what they are owed all the same, and their neighbour."""

import asyncio
import base64
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

from tests.e2e.live import BYTES_A_MS
from tests.serving import Server

STOP = '{"type": "session.stop"}'
NOT_JSON = ("", "{", "null", "[]", '"session.start"', "1e999", '{"type": 7}', '{"a": ' * 500, "\x00", "{}", "\ud7ff")
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, "", "x", "x" * 3_000, "\u202e\x00", [], ["en"], [[]], {}, {"type": "x"}),
)
"""What fields are set to; numbers, texts and shapes of every kind."""

Message = str | bytes


def _json(**fields: Any) -> str:
    return json.dumps(fields)


@dataclass
class Hostile:
    """One connection, from a seed: what it sends, how it ends, and what it was told."""

    seed: int
    session: str = ""
    code: int | None = None
    """What the server closed with, if it said so."""
    closed: dict[str, Any] | None = None
    """`session.closed`."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    end: str = ""
    begun: bool = False
    """It has sent what surely begins a session."""
    messages: int = 0

    path: ClassVar[str]
    BEGIN: ClassVar[str]
    VALID: ClassVar[tuple[dict[str, Any], ...]]

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.sequences = self.dice.randrange(1, 8)
        self.careful = self.dice.random() < 0.3  # never sends what might mean something else than it says

    async def run(self, url: str, key: str) -> None:
        """Connect, send, end; the connection is over when this returns."""
        dice = self.dice
        wrong_key = dice.random() < 0.03
        with contextlib.suppress(InvalidHandshake):
            async with connect(
                url + self.path,
                additional_headers={"X-API-Key": "vg_" + "w" * 43 if wrong_key else key},
                compression=None,
                ping_interval=None,
                max_size=None,
                close_timeout=10,
            ) as wire:
                listening = asyncio.create_task(self._listen(wire))
                with contextlib.suppress(ConnectionClosed):
                    await self._send_all(wire)
                    await self._leave(wire)
                await listening

    async def _send_all(self, wire: ClientConnection) -> None:
        dice = self.dice
        for _ in range(self.sequences):
            if not self.begun and dice.random() < 0.3:
                await wire.send(self.BEGIN)
                self.begun = True
            for _ in range(dice.randrange(1, 12)):
                await wire.send(self._message())
                self.messages += 1
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() * 0.02)

    def _message(self) -> Message:
        dice, what = self.dice, self.dice.random()
        if what < 0.1:
            return dice.choice(NOT_JSON)
        if what < 0.11:
            return "x" * dice.choice((70_000, 70_000, 140_000))  # above the limits of this server's messages
        if self.careful or (self.begun and what > 0.4):
            return self._valid()
        return self._mutated()

    def _valid(self) -> Message:
        """A message that does what it says once a session has begun."""
        raise NotImplementedError

    def _mutated(self) -> str:
        """A valid message of which something was changed: it may still mean something."""
        message = dict(self.dice.choice(self.VALID))
        for _ in range(self.dice.randrange(1, 4)):
            name = self.dice.choice((*message, "type", "other"))
            if self.dice.random() < 0.3:
                message.pop(name, None)
            else:
                message[name] = self.dice.choice(VALUES)
        return json.dumps(message)

    async def _leave(self, wire: ClientConnection) -> None:
        self.end = self.dice.choices(("stop", "close", "break", "junk"), (5, 2, 2, 1))[0]
        if self.end == "stop":
            await wire.send(STOP)
        elif self.end == "close":
            await wire.close(self.dice.choice((1000, 1001, 3000, 4999)))
        elif self.end == "break":
            wire.transport.abort()
        elif wire.state is State.OPEN:
            wire.transport.write(self.dice.randbytes(self.dice.randrange(1, 400)))  # frames of no meaning
            wire.transport.write_eof()

    async def _listen(self, wire: ClientConnection) -> None:
        try:
            while True:
                message = await wire.recv()
                if isinstance(message, bytes):
                    self._audio(message)
                else:
                    self._told(json.loads(message))
        except ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd else None

    def _audio(self, data: bytes) -> None:
        raise AssertionError("audio where none is sent")

    def _told(self, event: dict[str, Any]) -> None:
        assert self.closed is None, f"{event} after the end"
        match event["type"]:
            case "session.created":
                assert self.session == ""
                self.session = event["sessionId"]
            case "session.closed":
                self.closed = event
            case "error":
                self.errors.append((event["code"], event["message"]))

    def owed(self, units: dict[str, int], credits_: float) -> None:
        """Compare a usage record (zeros where there is none) with what was sent or received."""
        if self.closed is not None:
            assert units.get("audio_ms", 0) == self.closed["durationMs"], self
            assert credits_ == self.closed["creditsUsed"], self


@dataclass
class LiveClient(Hostile):
    """Of live transcription."""

    sent: int = 0
    """Bytes of audio."""

    path = "/v1/realtime"
    BEGIN = '{"type": "session.start", "language": "english"}'
    VALID = (
        {"type": "session.start", "language": "english"},
        {"type": "session.start", "encoding": "opus", "hint_text": "Voxgate", "words": True, "partials": "calm"},
        {"type": "session.start", "turn_detection": None, "sample_rate": 8000, "encoding": "mulaw"},
        {"type": "session.start", "turn_detection": {"silence_ms": 300, "threshold": 0.4}, "stall_ms": 300},
        {"type": "session.start", "encoding": "opus_packets", "language": ["en", "de"]},
        {"type": "audio.append", "audio": base64.b64encode(bytes(960)).decode()},
        {"type": "audio.commit"},
    )
    SOUND: ClassVar[bytes] = b"\x00\x40\x00\xc0" * 4_000  # half a second that the scripted detector takes for speech

    def _valid(self) -> Message:
        what = self.dice.random()
        if what < 0.25:
            return _json(type="audio.commit")
        audio = self.SOUND[: self.dice.choice((640, 641, 3_200, 16_000))]
        if what < 0.4:
            audio = bytes(len(audio))
        self.sent += len(audio) * self.begun
        return audio if what < 0.8 else _json(type="audio.append", audio=base64.b64encode(audio).decode())

    def owed(self, units: dict[str, int], credits_: float) -> None:
        super().owed(units, credits_)
        failed = any(code == "ENGINE_ERROR" for code, _ in self.errors)
        if self.careful and self.begun and not failed and self.end in ("stop", "close") and not self._refused:
            assert units.get("audio_ms", 0) == -(-(self.sent // 2 * 2) // BYTES_A_MS), self

    @property
    def _refused(self) -> bool:
        return any(code in ("UNAUTHORIZED", "RATE_LIMITED", "MESSAGE_TOO_LARGE") for code, _ in self.errors)


@dataclass
class SpeechClient(Hostile):
    """Of realtime speech."""

    received: int = 0
    """Bytes of audio."""
    speaking: str | None = None

    path = "/v1/realtime/tts"
    BEGIN = '{"type": "session.start", "voice": "alloy", "response_format": "pcm"}'
    VALID = (
        {"type": "session.start", "voice": "alloy", "response_format": "mp3", "speed": 1.5, "audio_quality": 64},
        {"type": "speech.create", "input": "one two", "speechId": "mine"},
        {"type": "speech.append", "text": "one. two "},
        {"type": "speech.commit"},
        {"type": "speech.cancel", "speechId": "mine"},
        {"type": "speak", "text": "one", "voice": "alloy", "audio_format": "wav"},
        {"token": "vg_late"},
    )
    BYTES_A_MS: ClassVar[int] = 48

    def _valid(self) -> Message:
        return self.dice.choice(
            (
                _json(type="speech.create", input="one two"),
                _json(type="speech.create", input="one", speechId="mine"),
                _json(type="speech.create", input="x" * 61),
                _json(type="speech.append", text="one. two"),
                _json(type="speech.commit"),
                _json(type="speech.cancel"),
                _json(type="speech.cancel", speechId="mine"),
                _json(type="speak", text="one", voice="alloy", audio_format="pcm"),
                b"\x00",
            )
        )

    def _audio(self, data: bytes) -> None:
        assert self.speaking is not None, "audio of no speech"
        self.received += len(data)

    def _told(self, event: dict[str, Any]) -> None:
        super()._told(event)
        if event["type"] == "speech.started":
            assert self.speaking is None
            self.speaking = event["speechId"]
        elif event["type"] in ("speech.finished", "speech.cancelled") and event["speechId"] == self.speaking:
            self.speaking = None

    def owed(self, units: dict[str, int], credits_: float) -> None:
        super().owed(units, credits_)
        assert credits_ == -(-units.get("audio_ms", 0) // 60_000), self
        if self.careful:
            assert units.get("audio_ms", 0) >= self.received / self.BYTES_A_MS - 1, f"heard and not billed: {self}"


class Neighbour:
    """A well-behaved session beside the others: it says something, commits, and waits for its final."""

    def __init__(self) -> None:
        self.took_s: list[float] = []
        """From each commit to its final."""

    @contextlib.asynccontextmanager
    async def talking(self, server: Server) -> AsyncIterator[None]:
        """While the block runs, all the time."""
        address = server.url.replace("http", "ws") + "/v1/realtime"
        over = asyncio.Event()
        task = asyncio.create_task(self._talk(address, server.key, over))
        yield
        over.set()
        await task

    async def _talk(self, address: str, key: str, over: asyncio.Event) -> None:
        async with connect(address, additional_headers={"X-API-Key": key}) as ws:

            async def until_told(kind: str) -> dict[str, Any]:
                while (message := json.loads(await ws.recv()))["type"] != kind:
                    assert message["type"] != "error", message
                return dict(message)

            await ws.send('{"type": "session.start", "model": "steady", "turn_detection": null}')
            await until_told("session.ready")
            while not over.is_set():
                await ws.send(LiveClient.SOUND)
                await ws.send('{"type": "audio.commit"}')
                began = time.monotonic()
                assert (await until_told("transcript.final"))["text"] == "This is what the script says."
                self.took_s.append(time.monotonic() - began)
                await asyncio.sleep(0.5)
            await ws.send('{"type": "session.stop"}')
            await until_told("session.closed")
