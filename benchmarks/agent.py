"""What the voice agent itself costs: engines that only wait, callers in a process of their own.

    python -m benchmarks.agent [plain] [socketio] [guessing] [growth] [--counts 10 25 50] [--seconds 10]

The server has a core to itself, and this process, with all the callers, another. The engines' waits are those of the
research: the final at once; a first token after 50 ms, then one every 10 ms, a first sentence 80 ms after the first;
the voice's first 20 ms of audio after 20 ms. A turn ends after 300 ms of silence, and 8 windows of speech interrupt.
Each caller first listens to a steady room; then says a sentence as soon as it has heard a second of the answer, so that
every turn but the first interrupts the answer before it; and at last hears the bot out.

`plain`: the core over bare TCP, audio in frames of 20 ms, the fewest and the most sessions; `socketio`: `voxgate serve`
through Socket.IO, in chunks of 100 ms; `guessing`: replies begun in the pause; `growth`: what 500 turns leave behind,
after as many. Delays are counted from when the frame was sent that holds the deciding sample: how audio is cut into
frames is nobody's delay here. `--profile`: where the server spends its time in the largest run through Socket.IO, by
py-spy (which must be installed). VOXGATE_SHARED names the recordings. Exits with 1 where a target is missed, a turn is
not answered or an interruption not heeded. Where the server was kept off its core for more than a few percent,
something else ran there, and the delays are those of the machine.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop

from benchmarks.agent_calls import Caller, Edges, Talker, Turns, judged, play, sound
from benchmarks.agent_plain import COSTS, WAITS_MS
from benchmarks.live import busy_s, memory_kib, p, room, served
from benchmarks.moonshine import SHARED, NoMetrics, read, transcripts, verdict
from tests.serving import SCRIPTED
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines import silero_vad
from voxgate.ports import EngineContext, Vad

SILENCE_MS, ASK_MS, WINDOWS, LOUDNESS = 300, 200, 8, 600
"""When a turn ends, when the detector's pauses begin (`turns.ask_ms`), `interrupt_threshold`, `vad_threshold`."""
_FRAMES_MS = {True: 20, False: 100}
"""Of the plain transport, and of Socket.IO, where 20 ms at a time would be five times the events."""
_SETTLED_S, _IDLE_S, _SPEAKING_S = 3.0, 6.0, 4.0
_ANSWERED_S = 2.5
"""After the last sentence has begun: until every bot speaks."""
_LONGEST_S = 1.6
"""Of a sentence."""
_OVERHEAD_MS = {10: (5, 10), 25: (5, 20), 50: (10, 25)}
_IDLE = {10: 1.7, 50: 0.7}
_GROWTH_TURNS = 1000
_FUNCTIONS = 60
"""Of a profile, that are looked at; those of the interpreter are not shown."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that is talked to."""

    pid: int
    address: tuple[str, int]
    key: str = ""
    plain: bool = False


@dataclass
class Figures:
    """Of one run. Shares are percents of a core for each session."""

    idle: float = 0.0
    talking: float = 0.0
    speaking: float = 0.0
    """While every bot speaks, and nobody else does."""
    held_kib: float = 0.0
    """Of each session, after its turns."""
    kept_off: float = 0.0
    """Percent of the time that the server could have run and something else did: what makes figures worthless."""
    connect_ms: list[float] = field(default_factory=list)
    turns: Turns = field(default_factory=Turns)

    @property
    def overhead(self) -> tuple[float, float]:
        """Median and 95th percentile, in ms."""
        return p(self.turns.answers, 50) - WAITS_MS, p(self.turns.answers, 95) - WAITS_MS


@contextmanager
def plainly(speculate: str) -> Iterator[Server]:
    """The core alone, on the first of our cores."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "benchmarks.agent_plain", "--speculate", speculate]
    os.sched_setaffinity(0, cores[:1])
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(0, cores[1:] or cores)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process.pid, ("127.0.0.1", int(process.stdout.readline())), plain=True)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        os.sched_setaffinity(0, cores)


@contextmanager
def gateway(speculate: str, more: str = "") -> Iterator[Server]:
    """`voxgate serve`, on the first of our cores. `more`: settings of `[turns]`, and what follows them."""
    lines = [SCRIPTED.replace("scripted_vad", "silero"), f'[turns]\nspeculate = "{speculate}"\n{more}']
    for engine, costs in COSTS.items():
        lines += [f"[engines.{engine}]", *(f"{name} = {value!r}" for name, value in costs.items())]
    with served("\n".join(lines)) as server:
        address = urlsplit(server.url)
        assert address.hostname is not None
        assert address.port is not None
        yield Server(server.process.pid, (address.hostname, address.port), server.key)


def judge(vad: Vad, audio: Samples) -> Edges:
    """What the server makes of a session's audio."""
    return judged(vad, audio, silence_ms=SILENCE_MS, ask_ms=ASK_MS, windows=WINDOWS, loudness=LOUDNESS)


def sentences(vad: Vad) -> list[Samples]:
    """The beginnings of recordings, of those that hold no pause long enough to end a turn."""
    quiet, found = room(seconds=1), []
    for file, language, _ in transcripts():
        clip = read(SHARED / "audio" / file)[: int(_LONGEST_S * SPEECH_RATE)]
        edges = judge(vad, np.concatenate([quiet, clip, quiet]))
        if language == "en" and len(edges.ends) == 1 and edges.runs:
            found.append(clip)
    return found


def kept_off_s(pid: int) -> float:
    """Seconds that the main thread of a process could have run, and did not."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


class Hall:
    """Callers of one server."""

    def __init__(self, server: Server, vad: Vad, *, frame_ms: int | None = None) -> None:
        self.server = server
        self._vad = vad
        self._frame = (frame_ms or _FRAMES_MS[server.plain]) * SPEECH_RATE // 1000
        self._room = sound(room(), self._frame, plain=server.plain)
        self._clips = [sound(clip, self._frame, plain=server.plain) for clip in sentences(vad)]

    async def run(self, count: int, talk_s: float, spy: Callable[[int, float], None] | None = None) -> Figures:
        """So many sessions: they listen, talk for so many seconds if that is not 0, and are spoken to.

        `spy` is told when they begin to talk, of whom and for how long.
        """
        found, pid = Figures(), self.server.pid
        await self._warm()
        before = memory_kib(pid)
        talkers = self.talkers(count)
        callers = [await self.call(talker, found.connect_ms) for talker in talkers]
        more_s = talk_s + _ANSWERED_S + _SPEAKING_S if talk_s else 0.0
        playing = asyncio.create_task(play(callers, talkers, _SETTLED_S + _IDLE_S + more_s, self._frame))
        await asyncio.sleep(_SETTLED_S)
        kept_off, began = kept_off_s(pid), time.perf_counter()
        found.idle = await self._share(_IDLE_S, count)
        if talk_s:
            for talker in talkers:
                talker.talk()
            if spy is not None:
                spy(pid, talk_s)
            found.talking = await self._share(talk_s, count)
            for talker in talkers:
                talker.rest()
            await asyncio.sleep(_ANSWERED_S)
            found.speaking = await self._share(_SPEAKING_S - 0.5, count)
        found.kept_off = 100 * (kept_off_s(pid) - kept_off) / (time.perf_counter() - began)
        found.held_kib = (memory_kib(pid) - before) / count
        await playing
        await asyncio.gather(*(caller.end() for caller in callers))
        for talker in talkers:
            found.turns.add(talker, judge(self._vad, np.concatenate(talker.audio)))
        return found

    def talkers(self, count: int, **options: Any) -> list[Talker]:
        """Each with the sentences in an order of its own; evenly spread over the length of a turn."""
        made = list[Talker]()
        for number in range(count):
            order = np.random.default_rng(number).permutation(len(self._clips))
            clips = [self._clips[at] for at in order]
            made.append(Talker(clips, self._room, begins_after_s=number * (_LONGEST_S + 2) / count, **options))
        return made

    async def call(self, talker: Talker, took_ms: list[float]) -> Caller:
        """A session of its own for a talker; how long that took is added to `took_ms`."""
        began = time.perf_counter()
        caller = await Caller.dial(self.server.address, self.server.key, talker.told, plain=self.server.plain)
        await caller.begin(silence_ms=SILENCE_MS, language="en")
        took_ms.append((time.perf_counter() - began) * 1000)
        return caller

    async def talk(self, callers: Sequence[Caller], talkers: Sequence[Talker], seconds: float) -> None:
        """All of them, for so long."""
        await play(callers, talkers, seconds, self._frame)

    async def _warm(self) -> None:
        """The first turn of a process, which nobody counts."""
        (talker,) = self.talkers(1)
        caller = await self.call(talker, [])
        talker.talk()
        await play([caller], [talker], 3.0, self._frame)
        await caller.end()

    async def _share(self, seconds: float, count: int) -> float:
        busy, began = busy_s(self.server.pid), time.perf_counter()
        await asyncio.sleep(seconds)
        return 100 * (busy_s(self.server.pid) - busy) / (time.perf_counter() - began) / count


HEAD = """| | sessions | overhead, p50 / p95 ms | interruption told, p50 / p95 ms | last chunk, p50 / p95 ms \
| % of a core each: idle | talking | bot speaking | KiB each | connect, p50 / p95 ms | turns, lost | kept off core, % |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def row(name: str, count: int, found: Figures) -> None:
    """One run."""
    turns = found.turns
    cells = [
        name,
        str(count),
        f"{found.overhead[0]:.1f} / {found.overhead[1]:.1f}",
        f"{p(turns.told, 50):.1f} / {p(turns.told, 95):.1f}",
        f"{p(turns.chunks, 50):.0f} / {p(turns.chunks, 95):.0f}",
        *(f"{share:.2f}" for share in (found.idle, found.talking, found.speaking)),
        f"{found.held_kib:.0f}",
        f"{p(found.connect_ms, 50):.1f} / {p(found.connect_ms, 95):.1f}",
        f"{len(turns.answers) + turns.lost}, {turns.lost + turns.deaf}",
        f"{found.kept_off:.1f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def sound_of(found: Figures) -> bool:
    """Whether every turn was answered and every interruption heeded."""
    turns = found.turns
    if turns.errors:
        print(f"\nerrors: {turns.errors[:5]}")
    return not turns.lost and not turns.deaf and not turns.errors and bool(turns.answers)


def conversation(found: Figures, count: int, name: str) -> bool:
    """The targets of a run without guesses."""
    turns = found.turns
    p50, p95 = _OVERHEAD_MS.get(count, (10, 25))
    met = [
        sound_of(found),
        verdict(f"{name}, {count} sessions: overhead, median, ms", found.overhead[0], p50),
        verdict(f"{name}, {count} sessions: overhead, 95th percentile, ms", found.overhead[1], p95),
        verdict(f"{name}, {count} sessions: interruption told, median, ms", p(turns.told, 50), 25),
        verdict(f"{name}, {count} sessions: interruption told, 95th percentile, ms", p(turns.told, 95), 40),
        verdict(f"{name}, {count} sessions: last chunk, 95th percentile, ms", p(turns.chunks, 95), 40),
        verdict(f"{name}, {count} sessions: KiB each", found.held_kib, 1024),
    ]
    return all(met)


async def plain(options: argparse.Namespace, vad: Vad) -> bool:
    """The core, over bare TCP."""
    found = dict[int, Figures]()
    print(HEAD)
    for count in sorted({min(options.counts), max(options.counts)}):
        with plainly("off") as server:
            found[count] = await Hall(server, vad).run(count, options.seconds)
        row("core", count, found[count])
    met = [conversation(figures, count, "core") for count, figures in found.items()]
    met += [
        verdict(f"core, {count} sessions: % of a core each, idle", found[count].idle, most)
        for count, most in _IDLE.items()
        if count in found
    ]
    return all(met)


async def socketio(options: argparse.Namespace, vad: Vad) -> bool:
    """The product, through Socket.IO; and the core once more with chunks as long, to tell their shares apart."""
    found, alone = dict[int, Figures](), dict[int, float]()
    print(HEAD)
    for count in options.counts:
        with gateway("off") as server:
            spy = partial(spied, options.profile) if options.profile and count == max(options.counts) else None
            found[count] = await Hall(server, vad).run(count, options.seconds, spy)
        row("Socket.IO", count, found[count])
        if count not in _IDLE:
            continue
        with plainly("off") as server:
            alone[count] = (await Hall(server, vad, frame_ms=_FRAMES_MS[False]).run(count, 0)).idle
    if options.profile:
        where(options.profile)
    met = [conversation(figures, count, "Socket.IO") for count, figures in found.items()]
    for count, idle in alone.items():
        share = found[count].idle - idle
        met.append(verdict(f"{count} sessions: Socket.IO's share of % of a core each, idle", share, 0.7))
    return all(met)


async def guessing(options: argparse.Namespace, vad: Vad) -> bool:
    """Replies begun in the pause."""
    met = list[bool]()
    print("| | sessions | voice to voice, p50 / p95 ms | turns, lost | kept off its core, % |\n|---|--:|--:|--:|--:|")
    for name, open_, count in (("core", plainly, min(options.counts)), ("Socket.IO", gateway, max(options.counts))):
        with open_("on") as server:
            found = await Hall(server, vad).run(count, options.seconds)
        turns = found.turns
        print(
            f"| {name} | {count} | {p(turns.voices, 50):.0f} / {p(turns.voices, 95):.0f} "
            f"| {len(turns.answers) + turns.lost}, {turns.lost + turns.deaf} | {found.kept_off:.1f} |",
            flush=True,
        )
        met += [sound_of(found), p(turns.voices, 50) <= SILENCE_MS + 40, p(turns.voices, 95) <= SILENCE_MS + 80]
    print(f"\ntarget: {SILENCE_MS + 40} / {SILENCE_MS + 80} ms: {'met' if all(met) else 'MISSED'}")
    return all(met)


async def growth(options: argparse.Namespace, vad: Vad) -> bool:
    """What so many turns leave behind, in 20 sessions that remember their last four.

    Nothing of them is stored meanwhile: what SQLite keeps of what it has written, up to 2 MiB a connection, is no
    session's.
    """
    del options
    held = dict[int, int]()
    with gateway("off", "history_messages = 8\n[transcripts]\nkeep_days = 0") as server:
        hall = Hall(server, vad)
        talkers = hall.talkers(20, interrupts_after_s=0.1)
        callers = [await hall.call(talker, []) for talker in talkers]
        playing = asyncio.create_task(hall.talk(callers, talkers, 240))
        for talker in talkers:
            talker.talk()
        while not playing.done() and len(held) < _GROWTH_TURNS // 100:
            await asyncio.sleep(0.1)
            turns = sum(talker.answered for talker in talkers)
            if turns >= 100 * (len(held) + 1):
                held[turns] = memory_kib(server.pid)
        playing.cancel()
        await asyncio.gather(*(caller.end() for caller in callers))
    print("| turns, of 20 sessions | MiB |\n|--:|--:|")
    for turns, kib in held.items():
        print(f"| {turns} | {kib / 1024:.1f} |")
    if len(held) < _GROWTH_TURNS // 100:
        print(f"\nno {_GROWTH_TURNS} turns in four minutes: MISSED")
        return False
    (first, before), *_, (last, after) = list(held.items())[_GROWTH_TURNS // 200 - 1 :]
    return verdict("growth over the second half, KiB a turn", (after - before) / (last - first), 4)


def spied(path: str, pid: int, seconds: float) -> None:
    """Sample a server by py-spy and write folded stacks. Each sample stops it for a moment, which delays answers."""
    command = ["py-spy", "record", "--rate", "50", "--format", "raw"]
    subprocess.Popen([*command, "--pid", str(pid), "--duration", str(int(seconds)), "--output", path])


def where(path: str) -> None:
    """The functions in which the samples of py-spy fell, with all that they called."""
    found, samples = Counter[str](), 0
    for line in Path(path).read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        samples += int(number)
        for function in {frame.rpartition(":")[0] for frame in stack.split(";")}:
            found[function] += int(number)
    print("\n| function, with what it calls | % of the samples |\n|---|--:|")
    for function, times in found.most_common(_FUNCTIONS):
        if "voxgate/cli" not in function and any(part in function for part in ("voxgate/", "onnxruntime", "io/")):
            print(f"| {function}) | {100 * times / samples:.1f} |")


async def main() -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[argparse.Namespace, Vad], Awaitable[bool]]]
    parts = {"plain": plain, "socketio": socketio, "guessing": guessing, "growth": growth}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 25, 50])
    parser.add_argument("--seconds", type=float, default=10, help="of talking, in each run")
    parser.add_argument("--profile", metavar="FILE", help="folded stacks of the largest run through Socket.IO")
    options = parser.parse_args()
    vad = await silero_vad.create(EngineContext("silero", {}, NoMetrics(), 1), silero_vad.Settings())
    met = []
    for name in options.parts or parts:
        print(f"\n## {name}\n", flush=True)
        met.append(await parts[name](options, vad))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
