"""What the speech socket adds to the voice behind it: `speech.create` to its first binary frame, less the engine's own.

    python -m benchmarks.speech_socket [--runs 40]

The server runs in this process, so that the engine's time to its first audio is known of the very request whose first
frame is timed; the client shares its event loop, which counts against us. Piper must be pulled. Also how soon a
cancel is told while speech flows.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.inside import inside, listening
from voxgate.domain import Speech, Utterance
from voxgate.engines.piper_tts import PiperTts
from voxgate.models.store import models_root

TEXTS = {
    "one word": "Sure.",
    "2 s clause": "Your appointment is tomorrow at three.",
    "99 characters": "The quick brown fox jumps over the lazy dogs "
    "and then runs all the way back to the forest to sleep.",
}
CONFIG = """
[routing]
tts = ["piper"]
optional = ["kokoro", "smart_turn"]
[limits]
speech_ahead_s = 100_000
[prices]
speech_credits_per_minute = 0
[log]
level = "warning"
"""


def p(values: Sequence[float], percent: int) -> float:
    """A percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


class Watched:
    """Piper's `open`, with the seconds from it to the first audio of the last utterance."""

    def __init__(self) -> None:
        self.first_s = 0.0
        self._open: Any = PiperTts.open

    @asynccontextmanager
    async def open(self, engine: PiperTts, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        """See ports.TextToSpeech."""
        began = time.perf_counter()
        async with self._open(engine, utterance) as pieces:
            yield self._timed(pieces, began)

    async def _timed(self, pieces: AsyncIterator[Speech], began: float) -> AsyncIterator[Speech]:
        first = True
        async for piece in pieces:
            if first:
                self.first_s = time.perf_counter() - began
                first = False
            yield piece


async def event(wire: ClientConnection, kind: str) -> None:
    """Read on until this message; audio on the way is thrown away."""
    while isinstance(message := await wire.recv(), bytes) or json.loads(message)["type"] != kind:
        assert isinstance(message, bytes) or json.loads(message)["type"] != "error", message


async def first_frame_s(wire: ClientConnection, text: str) -> float:
    """Seconds from `speech.create` to the first binary frame."""
    began = time.perf_counter()
    await wire.send(json.dumps({"type": "speech.create", "input": text}))
    while not isinstance(await wire.recv(), bytes):
        pass
    return time.perf_counter() - began


async def cancelled_s(wire: ClientConnection) -> float:
    """Seconds from `speech.cancel` in mid-speech to `speech.cancelled`."""
    await first_frame_s(wire, " ".join([TEXTS["99 characters"]] * 10))
    began = time.perf_counter()
    await wire.send('{"type": "speech.cancel"}')
    await event(wire, "speech.cancelled")
    return time.perf_counter() - began


async def first_frames(wire: ClientConnection, fmt: str, watched: Watched, runs: int) -> None:
    """Print a line a text."""
    for name, text in TEXTS.items():
        whole: list[float] = []
        added: list[float] = []
        for run in range(runs + 3):
            first = await first_frame_s(wire, text)
            if run >= 3:
                whole.append(first * 1000)
                added.append((first - watched.first_s) * 1000)
            await event(wire, "speech.finished")
        print(
            f"{fmt:<6}{name:<15}{p(whole, 50):>10.1f}{p(whole, 95):>7.1f}{p(added, 50):>15.1f}{p(added, 95):>7.1f}",
            flush=True,
        )


async def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    watched = Watched()
    PiperTts.open = lambda self, utterance: watched.open(self, utterance)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").symlink_to(models_root({}))
        async with (
            inside(folder, CONFIG, ports=frozenset({"tts"})) as server,
            listening(server.server.app) as url,
        ):
            address = f"{url.replace('http', 'ws', 1)}/v1/realtime/tts?api_key={server.key}"
            print("ms from speech.create        first frame p50    p95   less engine p50    p95")
            for fmt in ("mp3", "wav", "opus"):
                async with connect(address, max_size=None) as wire:
                    await wire.send(json.dumps({"type": "session.start", "voice": "onyx", "response_format": fmt}))
                    await event(wire, "session.ready")
                    await first_frames(wire, fmt, watched, runs)
                    told = [await cancelled_s(wire) * 1000 for _ in range(runs)]
                    print(f"{fmt:<6}cancel told after p50 {p(told, 50):.1f}, p95 {p(told, 95):.1f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
