"""What the server itself costs in live transcription: real sockets, real voice detector, engines that cost nothing.

    python -m benchmarks.live [sessions] [connect] [memory] [--count 50] [--seconds 20]

The server has a core to itself, and this process, with all the clients, another; what the server uses is read from the
system. Audio is sent in binary frames of 20 ms, in real time but for `memory`. The scripted recognizer shows a word
every 250 ms of speech, at once: a partial's lag is from sending the frame that ends it to reading it, and all of it is
ours. `memory` sends ten minutes of speech to each session as fast as it is heard (`limits.audio_ahead_s` out of the
way), after as many sessions that are not counted: what a session keeps follows from its audio, not from the clock.
VOXGATE_SHARED names the recordings. Exits with 1 where a target is missed.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop
from websockets.frames import Frame, Opcode

from benchmarks.moonshine import SHARED, read, transcripts, verdict
from tests.serving import SCRIPTED, Server
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE, Samples

FRAME = SPEECH_RATE // 50
"""20 ms."""
_WORDS = "The train to the coast leaves from platform nine at half past seven today so please be there early"
CONFIG = f"""{SCRIPTED.replace("scripted_vad", "silero")}
[engines.scripted_stt]
text = "{_WORDS}"
"""
_NO_HURRY = """
[limits]
audio_ahead_s = 100_000
"""
_SETTLED_S = 2.0
"""After all have begun to send, before anything is measured."""

Told = Callable[[dict[str, Any], float], None]
"""A message of the server, and when it was read (`time.perf_counter`)."""


class Caller(asyncio.Protocol):
    """A client that costs next to nothing, so that fifty of them keep the time."""

    def __init__(self, key: str, told: Told) -> None:
        self._told = told
        self._key = key
        self._held = b""
        self._upgraded = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._ready = asyncio.Event()
        self._ready.set()
        self.transport: asyncio.Transport
        self.over: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """The code the server closed with; None where the connection broke."""

    @classmethod
    async def connect(cls, server: Server, told: Told = lambda _message, _at: None) -> "Caller":
        """A connection whose handshake is done."""
        address = urlsplit(server.url)
        _, caller = await asyncio.get_running_loop().create_connection(
            lambda: cls(server.key, told), address.hostname, address.port
        )
        await caller._upgraded.wait()
        return caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(
            b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"X-API-Key: " + self._key.encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        held = self._held + data
        if not self._upgraded.is_set() and b"\r\n\r\n" in held:
            held = held.partition(b"\r\n\r\n")[2]
            self._upgraded.set()
        while self._upgraded.is_set() and len(held) >= 2:
            length, begin = held[1], 2
            if length == 126:
                length, begin = int.from_bytes(held[2:4]), 4
            if len(held) < begin + length:
                break
            self._frame(held[0] & 0x0F, held[begin : begin + length], at)
            held = held[begin + length :]
        self._held = held

    def connection_lost(self, exc: Exception | None) -> None:
        self._ready.set()
        if not self.over.done():
            self.over.set_result(None)
        for waiting in self._waiting.values():
            waiting.cancel()

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    async def drained(self) -> None:
        """Wait until most of what was sent has been taken."""
        await self._ready.wait()

    def send(self, **message: Any) -> None:
        """One JSON message."""
        self.transport.write(Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True))

    async def next(self, kind: str) -> dict[str, Any]:
        """The next message of a kind. Cancelled where the connection ends before."""
        self._waiting[kind] = asyncio.get_running_loop().create_future()
        return await self._waiting[kind]

    async def start(self, **options: Any) -> None:
        """Start the session, and wait until it is ready."""
        self.send(type="session.start", **options)
        await self.next("session.ready")

    async def stop(self) -> None:
        """Stop it, and wait until it is closed."""
        self.send(type="session.stop")
        assert await self.over == 1000

    def _frame(self, opcode: int, payload: bytes, at: float) -> None:
        if opcode == Opcode.TEXT:
            message = json.loads(payload)
            self._told(message, at)
            waiting = self._waiting.pop(message["type"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif opcode == Opcode.PING:
            self.transport.write(Frame(Opcode.PONG, payload).serialize(mask=True))
        elif opcode == Opcode.CLOSE:
            self.over.set_result(int.from_bytes(payload[:2]))
            self.transport.close()


def frames(audio: Samples) -> list[bytes]:
    """The audio as it goes over the wire, a frame each 20 ms."""
    pcm = to_pcm16(audio[: len(audio) // FRAME * FRAME])
    step = 2 * FRAME
    return [Frame(Opcode.BINARY, pcm[at : at + step]).serialize(mask=True) for at in range(0, len(pcm), step)]


def room(dbfs: float = -65.0, seconds: int = 20) -> Samples:
    """A quiet room that stays as it is: white noise of that level."""
    return np.random.default_rng(1).normal(0, 10 ** (dbfs / 20), seconds * SPEECH_RATE).astype(np.float32)


def talk(pause_s: float = 1.0, language: str = "en") -> Samples:
    """All recordings in one language, with pauses long enough to end a segment."""
    pause = room(seconds=1)[: round(pause_s * SPEECH_RATE)]
    clips = [read(SHARED / "audio" / file) for file, spoken, _ in transcripts() if spoken == language]
    return np.concatenate([part for clip in clips for part in (clip, pause)])


@contextmanager
def served(config: str, *, alone: bool = True) -> Iterator[Server]:
    """A server; if `alone`, on the first of our cores, and this process runs on the others from here on."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, cores[:1] if alone else cores)
        server = Server(Path(folder), config)
        os.sched_setaffinity(0, (alone and cores[1:]) or cores)
        try:
            yield server
        finally:
            server.stop()
            os.sched_setaffinity(0, cores)


def busy_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int) -> int:
    """Memory of its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "Private_" in line)


def p(values: Sequence[float], percent: int) -> float:
    """A percentile; 0 of nothing."""
    return float(np.percentile(values, percent)) if values else 0.0


class Lags:
    """How late partials come, of one caller that sends from its session's beginning on."""

    def __init__(self) -> None:
        self.sent: list[float] = []
        """When each frame was."""
        self.partial_s: list[float] = []

    def told(self, message: dict[str, Any], at: float) -> None:
        """See Told."""
        if message["type"] == "transcript.partial":
            self.partial_s.append(at - self.sent[-(-message["timestampMs"] // 20) - 1])


async def play(
    callers: Sequence[Caller], spoken: list[bytes], seconds: float, sent: Callable[[int, float], None] | None = None
) -> None:
    """All of them send at once, each in its own place of the same audio, evenly spread over the 20 ms of a frame.

    `sent`: told of each frame, by whom and when. Callers whose connection is gone are left out.
    """
    count, began = len(callers), time.perf_counter()
    places = [number * len(spoken) // count for number in range(count)]
    for tick in range(round(seconds * 50) * count):
        late = time.perf_counter() - began - tick / (50 * count)
        if late < 0:
            await asyncio.sleep(-late)
        number = tick % count
        caller = callers[number]
        if caller.over.done():
            continue
        if sent is not None:
            sent(number, time.perf_counter())
        caller.transport.write(spoken[(places[number] + tick // count) % len(spoken)])


async def sessions(options: argparse.Namespace) -> bool:
    """Processor time of sessions in which nobody, somebody, or everybody speaks, and how late their partials are."""
    rooms = {"a steady room": room(), "an office": read(SHARED / "audio" / "noise_office.wav"), "talking": talk()}
    count, seconds = options.count, options.seconds
    print(f"| {count} sessions | % of a core each | frame to partial, p50 / p95 ms | partials |\n|---|--:|--:|--:|")
    costs, lags = dict[str, float](), list[float]()
    for name, audio in rooms.items():
        with served(CONFIG) as server:
            watches = [Lags() for _ in range(count)]
            callers = [await Caller.connect(server, watch.told) for watch in watches]
            await asyncio.gather(*(caller.start() for caller in callers))
            playing = asyncio.create_task(
                play(
                    callers,
                    frames(audio),
                    seconds + _SETTLED_S,
                    lambda number, at, watches=watches: watches[number].sent.append(at),  # type: ignore[misc]
                )
            )
            await asyncio.sleep(_SETTLED_S)
            busy, began = busy_s(server.process.pid), time.perf_counter()
            await playing
            costs[name] = 100 * (busy_s(server.process.pid) - busy) / (time.perf_counter() - began) / count
            lags = [lag * 1000 for watch in watches for lag in watch.partial_s]
            await asyncio.gather(*(caller.stop() for caller in callers))
        lag = f"{p(lags, 50):.1f} / {p(lags, 95):.1f}" if lags else ""
        print(f"| {name} | {costs[name]:.2f} | {lag} | {len(lags) or ''} |", flush=True)
    met = [
        verdict("% of a core, idle in a steady room", costs["a steady room"], 0.7),
        verdict("% of a core, idle in an office", costs["an office"], 0.7),
        verdict("frame to partial, 95th percentile, ms", p(lags, 95), 20),
    ]
    return all(met)


@asynccontextmanager
async def session(server: Server) -> AsyncIterator[float]:
    """One session that is ready; the seconds that took, from the first byte of its connection on."""
    began = time.perf_counter()
    caller = await Caller.connect(server)
    await caller.start()
    yield time.perf_counter() - began
    await caller.stop()


async def connect(options: argparse.Namespace) -> bool:
    """From connecting to `session.ready`, and what 1,000 sessions leave behind."""
    del options
    spoken = b"".join(frames(talk()[: 5 * SPEECH_RATE]))
    with served(CONFIG + _NO_HURRY) as server:
        async with session(server) as first_s:
            pass
        took, grown, stored = list[float](), list[int](), list[float]()
        for _ in range(200):
            async with session(server) as ready_s:
                took.append(ready_s * 1000)
        for number in range(1000):
            caller = await Caller.connect(server)
            await caller.start()
            caller.transport.write(spoken)
            await caller.stop()
            if number % 200 == 199:
                grown.append(memory_kib(server.process.pid))
                stored.append((server.data / "voxgate.db").stat().st_size / 1024)
    print("| connect to session.ready | ms |\n|---|--:|")
    print(f"| the first after a start | {first_s * 1000:.1f} |\n| p50 of 200 | {p(took, 50):.1f} |")
    print(f"| p95 | {p(took, 95):.1f} |")
    print(f"\nmemory after 200, 400, … 1,000 sessions of 5 s, MiB: {', '.join(f'{kib / 1024:.1f}' for kib in grown)}")
    print(f"the database meanwhile, KiB: {', '.join(f'{kib:.0f}' for kib in stored)}")
    met = [
        verdict("connect to session.ready, median, ms", p(took, 50), 10),
        # SQLite keeps what it has written, up to 2 MiB a connection: most of it by the 400th session
        verdict("growth from the 400th to the 1,000th session, KiB each", (grown[-1] - grown[1]) / 600, 8),
    ]
    return all(met)


async def memory(options: argparse.Namespace) -> bool:
    """What sessions hold after ten minutes of speech each, as long as they are open."""
    count = max(1, options.count // 5)
    spoken = frames(talk())
    seconds = [b"".join(spoken[at : at + 50]) for at in range(0, len(spoken), 50)]

    async def speak(caller: Caller, minutes: int) -> None:
        """So much more audio, all of it heard."""
        for second in range(60 * minutes):
            caller.transport.write(seconds[second % len(seconds)])
            await caller.drained()
        caller.send(type="is it all heard?")  # answered in its turn, with an error
        await caller.next("error")

    with served(CONFIG + _NO_HURRY) as server:

        async def opened() -> list[Caller]:
            callers = [await Caller.connect(server) for _ in range(count)]
            await asyncio.gather(*(caller.start() for caller in callers))
            return callers

        def held() -> int:
            return memory_kib(server.process.pid)

        print(f"| {count} sessions | KiB |\n|---|--:|")
        first = await opened()  # what the server itself grows by when it begins to work is no session's
        await asyncio.gather(*(speak(caller, 1) for caller in first))
        await asyncio.gather(*(caller.stop() for caller in first))
        before = held()
        callers = await opened()
        print(f"| each, just opened | {(held() - before) / count:.0f} |", flush=True)
        grown = dict[int, float]()
        busy, minutes = busy_s(server.process.pid), 0
        for minutes, more in ((1, 1), (5, 4), (10, 5)):
            await asyncio.gather(*(speak(caller, more) for caller in callers))
            grown[minutes] = (held() - before) / count
            print(f"| each, after {minutes} minutes of speech | {grown[minutes]:.0f} |", flush=True)
        busy = busy_s(server.process.pid) - busy
        await asyncio.gather(*(caller.stop() for caller in callers))
        print(f"| altogether, when they are closed | {held() - before} |")
    share = 100 * busy / count / 60 / minutes
    print(f"\nprocessor time, as fast as it goes: {share:.2f} % of a core for a second of audio a second")
    return verdict("memory of a session after 10 minutes, KiB", grown[10], 1024)


async def main() -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[argparse.Namespace], Awaitable[bool]]]
    parts = {"sessions": sessions, "connect": connect, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    met = []
    for name in options.parts or parts:
        print(f"\n## {name}\n")
        met.append(await parts[name](options))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
