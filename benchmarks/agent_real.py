"""A conversation with the default models, as one caller has it: how soon the bot answers, and how often too soon.

    python -m benchmarks.agent_real [alone] [waiting] [mp3] [auto] [two] [pauses] [--clips 12] [--frame-ms 20]

`voxgate serve` with its defaults has all cores but for what the callers in this process use of them. The English
recordings of VOXGATE_SHARED are said one after the other through Socket.IO, in real time, six in a session; each
answer is interrupted by `control` when eight tenths of a second of it have been heard. *Answered* is from the last
sound of a recording (the end of its last window of speech, by Silero) to the first byte of audio, both on the caller's
clock. A recording is *cut off* where the turn was taken for over within it, and it is a *false start* where the bot
was heard within it.

`alone`: `pcm16`, the local model of `make serve`. `waiting`: a model that costs no processor time here, with a first
token after 250 ms and one every 15 ms, as a hosted one. `mp3`, `auto`: the output format; no language given. `two`:
two callers at once. `pauses`: recordings with a hesitation put in. Exits with 1 where a target is missed, or a turn
is not answered.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop

from benchmarks.agent_calls import PATIENCE_S, Caller, sound
from benchmarks.live import p, room, served
from benchmarks.moonshine import SHARED, NoMetrics, read, transcripts, verdict
from benchmarks.turns import TAIL_MS, UNFINISHED, Turn, hesitating, ms, silences
from tests.serving import Server
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines import silero_vad
from voxgate.ports import EngineContext, Vad

_WAITING = """
[routing]
llm = ["scripted_llm"]
[engines.scripted_llm]
text = "That is a good question. I would say that it depends on what you want to do with it next."
first_token_ms = 250
token_ms = 15
"""
_HEARD_S, _GAP_S = 0.8, 1.0
"""How much is heard of an answer, and of nothing before the next recording."""
_LEVEL_DBOV = -26.0
"""What the recordings are levelled to (ITU-T P.56): as gain controls of telephones and browsers do. One of them is
softer than `vad_threshold` as it is, so that half of it would not be heard."""
_INSTRUCTIONS = (
    "You are the voice of a small bakery in the old town. Answer in one or two short sentences. The shop is open from "
    "seven until six every day but Sunday. It sells bread, coffee and cakes. Be friendly."
)
_TURNS = 6
"""Of a session."""
_STAGES = {
    "endpointing": "endpointing_ms",
    "stt_final": "stt_final_ms",
    "first_token": "llm_first_token_ms",
    "first_clause": "first_clause_ms",
    "first_audio": "tts_first_audio_ms",
    "wire": "wire_ms",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording to be said."""

    name: str
    audio: Samples
    end: int
    """Samples up to its last sound: the end of the last window that Silero takes for speech."""


@dataclass
class Said:
    """One recording, and what came of it. Times are seconds on the caller's clock."""

    name: str
    began: float
    ended: float = 0.0
    """Its last sound."""
    thought: list[float] = field(default_factory=list)
    """When it was taken for over."""
    sounded: list[float] = field(default_factory=list)
    """When an answer was first heard."""
    latency: Mapping[str, Any] | None = None

    @property
    def answered_ms(self) -> float | None:
        """From its last sound to the first of the answer to all of it."""
        after = [at for at in self.sounded if at >= self.ended]
        return (after[0] - self.ended) * 1000 if after else None

    @property
    def unfinished(self) -> bool:
        """Whether it is the first part of a sentence, so that waiting for more is right (benchmarks/turns.py)."""
        return self.name.removesuffix(".wav") in UNFINISHED

    @property
    def cut_off(self) -> bool:
        """Whether it was taken for over before it was."""
        return any(at < self.ended for at in self.thought)

    @property
    def false_start(self) -> bool:
        """Whether the bot was heard before it was over."""
        return any(at < self.ended for at in self.sounded)


class Person:
    """Says recordings over one connection, and notes what it is told."""

    def __init__(self, frame: int) -> None:
        self.said: list[Said] = []
        self.errors: list[str] = []
        self._frame = frame
        self._room = sound(room(), frame, plain=False)
        self._sent = 0

    async def hold(self, server: Server, clips: Sequence[Clip], **options: Any) -> None:
        """A session in which each of them is said, and its answer heard."""
        address = urlsplit(server.url)
        assert address.hostname is not None
        assert address.port is not None
        caller = await Caller.dial((address.hostname, address.port), server.key, self.told)
        await caller.begin(**options)
        self._next = time.perf_counter()
        await self._listen(caller, lambda: False, 2.0)  # the room, until the energy gate knows it
        for clip in clips:
            await self._say(caller, clip)
            said = self.said[-1]
            await self._listen(caller, lambda said=said: said.answered_ms is not None, PATIENCE_S)  # type: ignore[misc]
            await self._listen(caller, lambda: False, _HEARD_S)
            caller.emit("control", action="interrupt")
            await self._listen(caller, lambda: False, _GAP_S)
        await caller.end()

    def told(self, name: str, fields: dict[str, Any], at: float) -> None:
        """See benchmarks.agent_calls.Told."""
        if name == "error":
            self.errors.append(str(fields["code"]))
        elif self.said:
            said = self.said[-1]
            if name == "state" and fields["state"] == "thinking":
                said.thought.append(at)
            elif name == "audio_chunk" and fields["index"] == 0:
                said.sounded.append(at)
            elif name == "latency":
                said.latency = fields

    async def _say(self, caller: Caller, clip: Clip) -> None:
        frames = sound(clip.audio, self._frame, plain=False)
        last = (clip.end - 1) // self._frame
        said = Said(clip.name, time.perf_counter(), ended=float("inf"))
        self.said.append(said)
        for number, wire in enumerate(frames.wire):
            await self._send(caller, wire)
            if number == last:  # a frame is sent when its last sample was spoken
                said.ended = time.perf_counter() - (self._frame * (last + 1) - clip.end) / SPEECH_RATE

    async def _listen(self, caller: Caller, enough: Callable[[], bool], seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and not enough():
            await self._send(caller, self._room.wire[self._sent % len(self._room.wire)])

    async def _send(self, caller: Caller, wire: bytes) -> None:
        self._next += self._frame / SPEECH_RATE
        await asyncio.sleep(max(0.0, self._next - time.perf_counter()))
        caller.transport.write(wire)
        self._sent += 1


async def recordings(most: int) -> list[Clip]:
    """The English recordings, levelled."""
    vad, found = await silero(), list[Clip]()
    for file, language, _ in transcripts():
        if language != "en" or len(found) == most:
            continue
        audio = read(SHARED / "audio" / file)
        end = silences(vad, audio, 0)[-1][0]
        windows = audio[: end // vad.window * vad.window].reshape(-1, vad.window)
        powers = np.square(windows).mean(axis=1)
        active = powers[powers >= powers.max() * 10**-1.59].mean()  # speech, as P.56 has it: 15.9 dB below and louder
        found.append(Clip(file, audio * np.float32(10 ** (_LEVEL_DBOV / 20) / np.sqrt(active)), end))
    return found


async def silero() -> Vad:
    """The detector that says where speech ends."""
    return await silero_vad.create(EngineContext("silero", {}, NoMetrics(), 1), silero_vad.Settings())


HEAD = """| | turns | finished ones answered, p50 / p95 ms | all, p50 / p95 ms | cut off | false starts | not answered |
|---|--:|--:|--:|--:|--:|--:|"""


def row(name: str, people: Sequence[Person]) -> tuple[list[float], bool]:
    """How those that were finished were answered, in ms; and whether all were answered, without an error."""
    said = [each for person in people for each in person.said]
    errors = [error for person in people for error in person.errors]
    took = [each.answered_ms for each in said if each.answered_ms is not None]
    finished = [each.answered_ms for each in said if each.answered_ms is not None and not each.unfinished]
    cells = [
        name,
        str(len(said)),
        f"{p(finished, 50):.0f} / {p(finished, 95):.0f}",
        f"{p(took, 50):.0f} / {p(took, 95):.0f}",
        str(sum(each.cut_off for each in said)),
        str(sum(each.false_start for each in said)),
        str(len(said) - len(took)),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)
    if errors:
        print(f"\nerrors: {errors[:5]}")
    return finished, bool(said) and len(took) == len(said) and not errors


def waterfall(person: Person) -> None:
    """Where the milliseconds went, as the server told it."""
    told = [said.latency for said in person.said if said.latency is not None]
    print("\n| stage | begins, p50 ms | lasts, p50 / p95 ms |\n|---|--:|--:|")
    for stage, name in _STAGES.items():
        starts = [each["starts_ms"][stage] for each in told if stage in each["starts_ms"]]
        lasts = [each[name] for each in told if each[name] is not None]
        print(f"| {stage} | {p(starts, 50):.0f} | {p(lasts, 50):.0f} / {p(lasts, 95):.0f} |")
    totals = [each["total_ms"] for each in told if each["total_ms"] is not None]
    print(f"| all | 0 | {p(totals, 50):.0f} / {p(totals, 95):.0f} |")
    print("\n| recording | answered, ms | endpointing, ms |\n|---|--:|--:|")
    for said in person.said:
        answered = "not" if said.answered_ms is None else f"{said.answered_ms:.0f}"
        ended = said.latency and said.latency["endpointing_ms"]
        notes = f"{', unfinished' * said.unfinished}{', cut off' * said.cut_off}"
        print(f"| {said.name}{notes} | {answered} | {ended or 0:.0f} |")
    print(flush=True)


async def talk(server: Server, clips: Sequence[Clip], frame: int, **options: Any) -> Person:
    """Somebody who says all of them, a few in each session."""
    person = Person(frame)
    for at in range(0, len(clips), _TURNS):
        wanted = {"voice": "valsea-neutral", "language": "en", "instructions": _INSTRUCTIONS} | options
        await person.hold(server, clips[at : at + _TURNS], **wanted)
    return person


async def alone(options: argparse.Namespace) -> bool:
    """One caller, the local model."""
    clips = await recordings(options.clips)
    with served("", alone=False) as server:
        await talk(server, clips[:1], options.frame)
        person = await talk(server, clips, options.frame)
    print(HEAD)
    took, whole = row("one caller, pcm16, local model", [person])
    waterfall(person)
    met = [
        verdict("end of speech to first audio, median, ms", p(took, 50), 650),
        verdict("end of speech to first audio, 95th percentile, ms", p(took, 95), 950),
        whole,
    ]
    return all(met)


async def waiting(options: argparse.Namespace) -> bool:
    """A model as a hosted one."""
    clips = await recordings(options.clips)
    with served(_WAITING, alone=False) as server:
        await talk(server, clips[:1], options.frame)
        person = await talk(server, clips, options.frame)
    print(HEAD)
    _, whole = row("one caller, first token after 250 ms", [person])
    waterfall(person)
    return whole


async def beside(options: argparse.Namespace, name: str, wanted: Mapping[str, Any]) -> bool:
    """One row: half of the recordings, and how `wanted` differs from `alone`."""
    clips = (await recordings(options.clips))[::2]
    with served("", alone=False) as server:
        await talk(server, clips[:1], options.frame)
        person = await talk(server, clips, options.frame, **wanted)
    print(HEAD)
    _, whole = row(name, [person])
    return whole


async def mp3(options: argparse.Namespace) -> bool:
    """The default format."""
    return await beside(options, "one caller, mp3", {"output_format": "mp3"})


async def auto(options: argparse.Namespace) -> bool:
    """The language is told from what is said."""
    return await beside(options, "one caller, no language", {"language": None})


async def two(options: argparse.Namespace) -> bool:
    """Two callers, who say different recordings at the same time."""
    clips = await recordings(options.clips)
    half = len(clips) // 2
    with served("", alone=False) as server:
        await talk(server, clips[:1], options.frame)
        people = await asyncio.gather(
            talk(server, clips[:half], options.frame), talk(server, clips[half:], options.frame)
        )
    print(HEAD)
    return row("two callers at once", people)[1]


async def pauses(options: argparse.Namespace) -> bool:
    """Recordings with hesitations put in: where they have short breaks, and at the quietest place of their middle."""
    chance = random.Random(13)
    vad, clips = await silero(), list[Clip]()
    for clip in await recordings(options.clips):
        turn = Turn("lengthened", clip.name, "en", clip.audio)
        breaks = [(begin + end) // 2 for begin, end in silences(vad, clip.audio, 64)[:-1] if end - begin < ms(300)]
        step = SPEECH_RATE // 50
        middle = range(len(clip.audio) // 3, 2 * len(clip.audio) // 3, step)
        quietest = min(middle, key=lambda at: float(np.sum(clip.audio[at : at + step] ** 2)))
        places = breaks[:1] or [quietest]
        spoken = hesitating(turn, places, chance).audio
        longer = len(spoken) - ms(TAIL_MS) - len(clip.audio)
        clips.append(Clip(clip.name, spoken[: len(clip.audio) + longer], clip.end + longer))
    with served("", alone=False) as server:
        await talk(server, clips[:1], options.frame)
        person = await talk(server, clips, options.frame)
    print(HEAD)
    return row("one hesitation of 0.3 to 1.1 s in each", [person])[1]


async def main() -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[argparse.Namespace], Awaitable[bool]]]
    parts = {"alone": alone, "waiting": waiting, "mp3": mp3, "auto": auto, "two": two, "pauses": pauses}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--clips", type=int, default=12, help="recordings that are said")
    parser.add_argument("--frame-ms", type=int, default=20, help="audio in an event")
    options = parser.parse_args()
    options.frame = options.frame_ms * SPEECH_RATE // 1000
    met = []
    for name in options.parts or parts:
        print(f"\n## {name}\n", flush=True)
        met.append(await parts[name](options))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
