"""Random clients of the speech socket: whatever they send in whatever order, the server lives and bills every one."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.gateways.speech_client import SpeechHouse, house

pytestmark = pytest.mark.slow

CONFIG = """
[engines.scripted_tts]
word_ms = 20_000
piece_audio_ms = 1_000
fail_every = 97
busy_every = 89
[limits]
speech_ahead_s = 100_000
speech_queue = 3
speech_input_characters = 60
requests_per_minute_per_key = 1_000_000
requests_per_minute_per_address = 1_000_000
"""
"""Three words are a minute; now and then the voice fails or is full."""

MESSAGES: tuple[str | bytes, ...] = (
    *(
        json.dumps(message)
        for message in (
            {"type": "session.start", "voice": "alloy", "response_format": "pcm"},
            {"type": "session.start", "voice": "nobody"},
            {"type": "session.start", "speed": "fast"},
            {"type": "speech.create", "input": "one two"},
            {"type": "speech.create", "input": "one", "speechId": "mine"},
            {"type": "speech.create", "input": "x" * 61},
            {"type": "speech.append", "text": "one. two"},
            {"type": "speech.append", "text": " "},
            {"type": "speech.commit"},
            {"type": "speech.cancel"},
            {"type": "speech.cancel", "speechId": "mine"},
            {"type": "speak", "text": "one", "voice": "alloy", "audio_format": "pcm"},
            {"type": "speak", "text": "one", "audio_format": "midi"},
            {"token": "vg_late"},
            {"type": ["speak"]},
        )
    ),
    "{",
    "",
    b"\x00",
)
STOP = '{"type": "session.stop"}'
PCM_BYTES_A_MS = 48


class Told:
    """What one client was told and sent."""

    def __init__(self) -> None:
        self.session = ""
        self.audio = 0
        self.ended: list[dict[str, Any]] = []
        self.closed: dict[str, Any] | None = None
        self.code: int | None = None

    async def listen(self, wire: Any) -> None:
        """Take everything, until the socket closes."""
        current = None
        try:
            while True:
                message = await wire.recv()
                if isinstance(message, bytes):
                    assert current is not None, "audio of no speech"
                    self.audio += len(message)
                    continue
                event = json.loads(message)
                kind = event["type"]
                if kind == "session.created":
                    self.session = event["sessionId"]
                elif kind == "speech.started":
                    assert current is None
                    current = event["speechId"]
                elif kind in ("speech.finished", "speech.cancelled"):
                    current = None if event["speechId"] == current else current
                    self.ended.append(event)
                elif kind == "session.closed":
                    self.closed = event
        except ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd else None


async def one(server: SpeechHouse, key: str, seed: int) -> Told:
    """One client; it stops its session, or closes or breaks its connection in the middle of something."""
    dice, told = random.Random(seed), Told()
    url = f"{server.url}/v1/realtime/tts?api_key={key}"
    async with connect(url, max_size=None, close_timeout=2) as wire:
        listening = asyncio.create_task(told.listen(wire))
        try:
            await wire.send(MESSAGES[0])
            for message in dice.choices(MESSAGES, k=dice.randrange(12)):
                await wire.send(message)
                if dice.random() < 0.3:
                    await asyncio.sleep(dice.random() * 0.01)
            how = dice.choice(("stop", "stop", "close", "break"))
            if how == "stop":
                await wire.send(STOP)
            elif how == "close":
                await wire.close()
            else:
                wire.transport.abort()
        except ConnectionClosed:
            pass  # an engine failed: the listener has heard why
        await listening
    return told


@pytest.mark.parametrize("clients", [60, pytest.param(400, marks=pytest.mark.slow)])
async def test_random_clients(tmp_path: Path, clients: int) -> None:
    async with house(tmp_path, CONFIG) as server:
        key = await server.inside.new_key("rich", "100_000")
        seeds = iter(range(clients))

        async def some() -> list[Told]:
            return [await one(server, key, seed) for seed in seeds]

        everybody = [told for group in await asyncio.gather(*(some() for _ in range(8))) for told in group]
        assert len(everybody) == clients
        assert {told.code for told in everybody} <= {1000, 1011, 1013, None}
        async with asyncio.timeout(5):
            while (await server.balance(key))[1] > 0:
                await asyncio.sleep(0.01)
        charged = 0
        for told in everybody:
            usage = await server.usage(told.session, key) if told.session else []
            audio_ms = sum(units["audio_ms"] for units, _ in usage)
            credits_ = sum(int(credits_) for _, credits_ in usage)
            charged += credits_
            assert len(usage) <= 1
            assert credits_ == -(-audio_ms // 60_000)
            assert audio_ms >= told.audio / PCM_BYTES_A_MS - 1, "heard and not billed"
            if told.closed is not None and told.code == 1000:
                assert audio_ms == told.closed["durationMs"] == told.audio / PCM_BYTES_A_MS
                assert credits_ == told.closed["creditsUsed"] == sum(end["creditsUsed"] for end in told.ended)
        assert sum(told.closed is not None for told in everybody) > clients / 4
        assert (await server.balance(key))[0] == 100_000 - charged
