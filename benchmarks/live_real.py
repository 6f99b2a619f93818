"""Live transcription by the default models, as a client has it: how late finals come, and how many can speak at once.

    python -m benchmarks.live_real [finals] [commits] [crowd] [--most 64] [--seconds 30]

The server has all cores but for what the clients in this process use of them. Recordings of VOXGATE_SHARED are sent in
real time, in frames of 20 ms, a pause after each. `finals`: from `input.speech_stopped`, the moment the detector's
500 ms of silence are over, to `transcript.final`, both as the client reads them (partials.py measures the engines
alone, and words on their way). `commits`: from `audio.commit`, sent right behind the last of 3 to 5 s of speech, to
its final. `crowd`: 1, 2, 4, … sessions that speak all the time, until some are told 1013; which of its partials the
server let go is counted by itself. Exits with 1 where a target is missed.
"""

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop

from benchmarks.live import Caller, frames, p, play, room, served, talk
from benchmarks.moonshine import SHARED, read, transcripts, verdict
from tests.serving import Server
from voxgate.domain import SPEECH_RATE, Samples

CONFIG = """
[routing]
tts = []
llm = []
"""
_LATE_MS = 1_000
"""A final that comes later than this after the speaker was known to have stopped is late: he has begun to wait."""


@dataclass
class Watch:
    """What one client is told, and when."""

    decided: float | None = None
    finals: list[tuple[float, float]] = field(default_factory=list)
    """Of each segment that silence ended: its length in s, and the ms from that decision to its final."""
    partials: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def told(self, message: dict[str, Any], at: float) -> None:
        """See benchmarks.live.Told."""
        match message["type"]:
            case "input.speech_stopped":
                self.decided = at
            case "transcript.partial":
                self.partials += 1
            case "transcript.final" if self.decided is not None:
                length = (message["timestampMs"] - message["startMs"]) / 1000
                self.finals.append((length, (at - self.decided) * 1000))
                self.decided = None
            case "error":
                self.errors[message["code"]] += 1


async def speak(caller: Caller, audio: Samples) -> None:
    """Send it in real time."""
    spoken = frames(audio)
    await play([caller], spoken, len(spoken) / 50)


def clips(language: str) -> list[Samples]:
    """The recordings in one language."""
    return [read(SHARED / "audio" / file) for file, spoken, _ in transcripts() if spoken == language]


async def finals(options: argparse.Namespace) -> bool:
    """One session at a time: from the decision to the final."""
    del options
    met = list[bool]()
    with served(CONFIG, alone=False) as server:
        print("| language | segments | decision to final, p50 / p95 ms |\n|---|--:|--:|")
        rows = {"english": ("en", 8.0, 40, 150), "vietnamese": ("vi", 5.0, 150, 400)}
        for language, (tag, longest_s, p50, p95) in rows.items():
            watch = Watch()
            caller = await Caller.connect(server, watch.told)
            await caller.start(language=language)
            for _ in range(2):
                await speak(caller, talk(1.2, tag))
            await caller.stop()
            short = [ms for length, ms in watch.finals if length <= longest_s]
            longer = [ms for length, ms in watch.finals if length > longest_s]
            print(f"| {language}, up to {longest_s:g} s | {len(short)} | {p(short, 50):.0f} / {p(short, 95):.0f} |")
            print(f"| {language}, longer | {len(longer)} | {p(longer, 50):.0f} / {p(longer, 95):.0f} |", flush=True)
            met.append(verdict(f"{language}, decision to final, median, ms", p(short, 50), p50))
            met.append(verdict(f"{language}, 95th percentile, ms", p(short, 95), p95))
    return all(met)


async def commits(options: argparse.Namespace) -> bool:
    """One session that commits: from `audio.commit` to the final."""
    del options
    waited = list[float]()
    spoken = [clip[: int(min(5.0, len(clip) / SPEECH_RATE) * SPEECH_RATE)] for clip in clips("en")]
    with served(CONFIG, alone=False) as server:
        caller = await Caller.connect(server)
        await caller.start(language="english", turn_detection=None)
        for clip in [clip for clip in spoken if len(clip) >= 3 * SPEECH_RATE] * 2:
            await speak(caller, clip)
            began = time.perf_counter()
            caller.send(type="audio.commit")
            await caller.next("transcript.final")
            waited.append((time.perf_counter() - began) * 1000)
        await caller.stop()
    print(f"commit to final, {len(waited)} of 3 to 5 s of English: {p(waited, 50):.0f} / {p(waited, 95):.0f} ms")
    return verdict("commit to final, median, ms", p(waited, 50), 300)


def counted(server: Server) -> Counter[str]:
    """What the engines' pools have counted so far, by event."""
    with server.client() as http:
        text = http.get("/metrics").text
    found = re.findall(r'voxgate_engine_events_total\{[^}]*event="(\w+)"[^}]*\} ([\d.e+]+)', text)
    counts = Counter[str]()
    for event, value in found:
        counts[event] += int(float(value))
    return counts


async def crowd(options: argparse.Namespace) -> bool:
    """More and more sessions that speak, until the server can carry no more."""
    spoken = frames(np.concatenate([talk(0.7), room(seconds=1)]))
    carried, count = 0, 1
    with served(CONFIG, alone=False) as server:
        print("| sessions | decision to final, p50 / p95 ms | late | partials a second each | shed | refused |")
        print("|--:|--:|--:|--:|--:|---|", flush=True)
        while count <= options.most:
            watches = [Watch() for _ in range(count)]
            callers = [await Caller.connect(server, watch.told) for watch in watches]
            await asyncio.gather(*(caller.start(language="english") for caller in callers))
            before = counted(server)
            await play(callers, spoken, options.seconds)
            events = counted(server) - before
            closed = Counter(code for caller in callers if caller.over.done() for code in [caller.over.result()])
            errors = sum((watch.errors for watch in watches), Counter[str]())
            for caller in callers:
                if not caller.over.done():
                    caller.send(type="session.stop")
            await asyncio.wait([caller.over for caller in callers], timeout=60)
            took = [ms for watch in watches for _, ms in watch.finals]
            late = sum(ms > _LATE_MS for ms in took)
            rate = sum(watch.partials for watch in watches) / count / options.seconds
            refused = ", ".join(f"{name} {number}" for name, number in [*errors.items(), *closed.items()])
            print(
                f"| {count} | {p(took, 50):.0f} / {p(took, 95):.0f} | {late} of {len(took)} | {rate:.2f} "
                f"| {events['partial_shed']} | {refused or 'none'} |",
                flush=True,
            )
            if closed:
                break
            if p(took, 95) <= _LATE_MS:
                carried = count
            count *= 2
    print(f"\n{carried} sessions that speak all the time have their finals in time (95 of 100 within {_LATE_MS} ms)")
    return carried >= 1


async def main() -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[argparse.Namespace], Awaitable[bool]]]
    parts = {"finals": finals, "commits": commits, "crowd": crowd}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--most", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    met = []
    for name in options.parts or parts:
        print(f"\n## {name}\n", flush=True)
        met.append(await parts[name](options))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
