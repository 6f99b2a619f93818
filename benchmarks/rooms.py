"""What calls in rooms cost, with scripted engines and LiveKit's Python SDK as the person: the server alone.

    nice python -m benchmarks.rooms [create] [connect] [latency] [cpu] [memory] [--calls 10] [--seconds 20] [--many 200]

    create    how long `POST /v1/voicebot-livekit/session` takes on SQLite, one after the other
    connect   from `connect()` to the first sound of the greeting
    latency   person -> our code, and our code -> person, of a burst of sound (provider `embedded`, this process)
    cpu       processor time of the server while calls go on, both sides sending sound all the time
    memory    the server's resident memory over many calls, one after the other

The persons share the other core, and the SDK is not cheap: with ten of them the machine is busy, and what is
measured in milliseconds is an upper bound.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.embedded_rooms import embedded_rooms
from tests.room_person import RATE, Person, joined, strength, tone
from tests.serving import SCRIPTED, Server
from voxgate.domain import SPEECH_RATE
from voxgate.gateways.rooms.media import VOICE_RATE, Heard, Listening
from voxgate.rooms import Grant, RoomEnd, RoomPlan

CONFIG = (
    SCRIPTED
    + """
[limits]
requests_per_minute_per_address = 1000000
requests_per_minute_per_key = 1000000
[rooms]
most = 1000
[log]
level = "warning"
"""
)
SESSIONS = "/v1/voicebot-livekit/session"
_VOICE_HZ = 220.0  # of the scripted voice
_BURST_HZ = 500.0
_LOUD = 0.05


def quiet_speech(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Sound that costs as much as speech on its way, and is too soft to interrupt a bot."""
    return tone(300, seconds, level=0.005)


class Bench:
    """A server, a client of it, and a bot."""

    def __init__(self, server: Server, client: httpx.AsyncClient) -> None:
        self.server, self.client = server, client

    async def bot(self, greeting: str) -> str:
        """A bot that begins with so many words."""
        made = await self.client.post("/v1/voicebots", json={"name": "Bot", "voice": "alloy", "greeting": greeting})
        made.raise_for_status()
        return str(made.json()["id"])

    async def session(self, bot: str) -> dict[str, Any]:
        made = await self.client.post(SESSIONS, json={"voicebotId": bot})
        made.raise_for_status()
        return dict(made.json())

    async def end(self, session: dict[str, Any]) -> None:
        (await self.client.delete(f"{SESSIONS}/{session['roomName']}")).raise_for_status()

    def busy_s(self) -> float:
        """Processor seconds of the server so far."""
        numbers = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "server", CONFIG)
        headers = {"Authorization": f"Bearer {server.new_key('bench', '100000')}"}
        try:
            async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as client:
                yield Bench(server, client)
        finally:
            server.stop()


def grant_of(session: dict[str, Any]) -> Grant:
    return Grant(session["livekitUrl"], session["participantToken"])


def told(name: str, milliseconds: Sequence[float]) -> None:
    ordered = sorted(milliseconds)
    p95 = ordered[max(0, round(len(ordered) * 0.95) - 1)]
    print(f"{name}: p50 {statistics.median(ordered):.1f} ms, p95 {p95:.1f} ms, n {len(ordered)}")


async def create(many: int) -> None:
    """Sessions one after the other, each ended before the next."""
    async with bench() as here:
        bot = await here.bot("")
        await here.end(await here.session(bot))  # the first room loads what carries it
        times: list[float] = []
        for _ in range(many):
            began = time.perf_counter()
            session = await here.session(bot)
            times.append((time.perf_counter() - began) * 1000)
            await here.end(session)
        told("create", times)


async def sound(person: Person, hertz: float, since: int = 0) -> float:
    """When the first 20 ms of this pitch came, of what came behind the first `since` pieces."""
    looked = since

    def came() -> bool:
        nonlocal looked
        while looked < len(person.sound):
            if strength(person.sound[looked][1], hertz, RATE) > _LOUD:
                return True
            looked += 1
        return False

    await person.until(came)
    return person.sound[looked][0]


async def connect(many: int) -> None:
    """From `connect()` to the first sound."""
    async with bench() as here:
        bot = await here.bot("Welcome to our little shop.")
        joining: list[float] = []
        hearing: list[float] = []
        for turn in range(many + 1):
            session = await here.session(bot)
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with joined(grant_of(session)) as person:
                connected = loop.time()
                heard = await sound(person, _VOICE_HZ)
                if turn:
                    joining.append((connected - began) * 1000)
                    hearing.append((heard - began) * 1000)
            await here.end(session)
        told("connect", joining)
        told("connect -> first sound", hearing)


async def latency(bursts: int) -> None:
    """Both legs of the embedded provider, burst by burst."""
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_rooms(Path(folder)) as rooms:
            expires = datetime.now(UTC) + timedelta(minutes=10)
            plan = RoomPlan("sess_bench", "ext-vb-bench", "user-1", "Ada", "Bot", expires)
            media = await rooms.provider.open(plan)
            loop = asyncio.get_running_loop()
            onsets: list[float] = []
            listening = asyncio.Event()

            async def hear() -> None:
                quiet_since = -1.0
                async for event in media.events():
                    if isinstance(event, Listening):
                        listening.set()
                    elif isinstance(event, Heard) and float(np.abs(event.samples).max(initial=0)) > _LOUD:
                        if loop.time() - quiet_since > 0.2:
                            onsets.append(loop.time())
                        quiet_since = loop.time()

            hearing = asyncio.create_task(hear())
            async with joined(rooms.provider.grant(plan, rooms.url)) as person:
                await person.take_microphone()
                await asyncio.wait_for(listening.wait(), 10)
                await person.say(np.zeros(RATE // 2, np.float32))
                inward: list[float] = []
                outward: list[float] = []
                for _ in range(bursts):
                    before = len(onsets)
                    said = loop.time()
                    await person.say(tone(_BURST_HZ, 0.1))
                    await person.say(np.zeros(RATE * 2 // 5, np.float32))
                    if len(onsets) > before:
                        inward.append((onsets[before] - said) * 1000)
                    played, since = loop.time(), len(person.sound)
                    media.play(tone(_BURST_HZ, 0.1, rate=VOICE_RATE))
                    outward.append((await sound(person, _BURST_HZ, since) - played) * 1000)
                    await asyncio.sleep(0.3)
            hearing.cancel()
            await media.aclose(RoomEnd.REQUESTED)
            told("person -> our code (20 ms of it are the frame)", inward)
            told("our code -> person (20 ms of it are the frame)", outward)
            print(f"bursts heard: {len(inward)} of {bursts}; audio at {SPEECH_RATE} Hz inside")


async def cpu(calls: int, seconds: float) -> None:
    """Processor time of a call with sound both ways."""
    async with bench() as here, AsyncExitStack() as stack:
        words = int((seconds + 15) * 4)  # of a quarter of a second each
        bot = await here.bot(" ".join(["word"] * words) + ".")
        idle = here.busy_s()
        await asyncio.sleep(3)
        idle = (here.busy_s() - idle) / 3
        persons = []
        for _ in range(calls):
            person = await stack.enter_async_context(joined(grant_of(await here.session(bot))))
            await person.take_microphone()
            persons.append(person)
        speaking = [asyncio.create_task(person.say(quiet_speech(seconds + 8))) for person in persons]
        await asyncio.sleep(3)
        heard = [len(person.sound) for person in persons]
        began, busy = time.monotonic(), here.busy_s()
        await asyncio.sleep(seconds)
        took, used = time.monotonic() - began, here.busy_s() - busy
        frames = [len(person.sound) - before for person, before in zip(persons, heard, strict=True)]
        loud = [np.mean([strength(s, _VOICE_HZ, RATE) > _LOUD for _, s in p.sound[-500:]]) for p in persons]
        await asyncio.gather(*speaking)
        share, each = 100 * used / took, 100 * (used / took - idle) / calls
        print(f"{calls} calls: {share:.1f} % of a core, {each:.2f} % a call; idle {100 * idle:.1f} %")
        print(f"each person heard {min(frames) / took:.0f} to {max(frames) / took:.0f} frames/s", end="; ")
        print(f"in {100 * min(loud):.0f} % of them or more there was a voice")


async def memory(many: int) -> None:
    """Resident memory, call after call."""
    async with bench() as here:
        bot = await here.bot("Hello there.")
        print(f"idle: {here.resident_mb():.0f} MB")
        after: list[float] = []
        for turn in range(1, many + 1):
            session = await here.session(bot)
            async with joined(grant_of(session)) as person:
                await person.take_microphone()
                await sound(person, _VOICE_HZ)
            await here.end(session)
            after.append(here.resident_mb())
            if turn in (1, 10, 20, 50) or turn % 100 == 0:
                print(f"after {turn} calls: {after[-1]:.1f} MB")
        if many >= 40:
            half = after[many // 2 :]
            slope = float(np.polyfit(range(len(half)), half, 1)[0]) * 1000
            print(f"second half: {slope:.0f} kB a call")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[])
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--many", type=int, default=200)
    given = parser.parse_args()
    parts = given.parts or ["create", "connect", "latency", "cpu", "memory"]
    if "create" in parts:
        await create(given.many)
    if "connect" in parts:
        await connect(20)
    if "latency" in parts:
        await latency(15)
    if "cpu" in parts:
        await cpu(given.calls, given.seconds)
    if "memory" in parts:
        await memory(given.many)


if __name__ == "__main__":
    asyncio.run(main())
