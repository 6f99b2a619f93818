"""Hearing while one speaks: how soon words are shown, how often they are taken back, and how late finals come.

    python benchmarks/partials.py [english] [calm] [whisper] [crowd]

Without names, everything. Recordings of VOXGATE_SHARED are fed in real time, in windows of 32 ms, through the voice
detector, as a live session would be: it takes as long as they last. A word counts as said where the engine's own word
times of the final put its end (the research before the project used a forced alignment instead), and as shown with the
first partial that has it at its place. Words taken back are counted by position, from one partial to the next and to
the final: one word inserted early counts for all behind it. CPU time is that of the worker processes. Exits with 1
where a target is missed.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.moonshine import SHARED, SILENT_ABOUT, NoMetrics, read, transcripts, verdict
from voxgate.conversation.endpoint import Endpointer, SpeechEnded, SpeechStarted
from voxgate.domain import SPEECH_RATE, LiveRecognition, Partial, Partials, Samples, Transcript
from voxgate.engines import moonshine_stt, silero_vad, whisper_stt
from voxgate.models.store import ModelStore, models_root
from voxgate.ports import EngineContext, Vad, VadStream
from voxgate.text.wer import normalize

_LONG = 8 * SPEECH_RATE
_GAP = SPEECH_RATE // 4
CROWDS = (1, 4, 8, 12, 16)
_APART_S = 0.37  # so that not everybody begins, and ends, at once
_END = SPEECH_RATE * 6 // 10  # what follows a clip, so that its end is found


class Counting(NoMetrics):
    """A `ports.Metrics` that counts events."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def count(self, event: str, *, engine: str, times: int = 1) -> None:
        self.events[event] += 1


@dataclass(slots=True)
class Heard:
    """One utterance: what was shown when (seconds after its beginning), and what it was."""

    shown: list[tuple[float, list[str]]] = field(default_factory=list)
    final: Transcript | None = None
    length: int = 0
    waited: float = 0.0
    """Seconds from the detector's decision to the final."""
    early: bool = False
    """Whether the final had been begun before the decision."""

    @property
    def words(self) -> list[str]:
        assert self.final is not None
        return normalize(self.final.text)

    def lags(self) -> list[float]:
        """For each word that was shown before the final: seconds from its end to when it was."""
        assert self.final is not None
        ends = [word.end for word in self.final.words for _ in normalize(word.text)]
        if len(ends) != len(self.words):
            return []
        found = []
        for index, (word, end) in enumerate(zip(self.words, ends, strict=True)):
            at = next((at for at, text in self.shown if text[index : index + 1] == [word]), None)
            if at is not None:
                found.append(at - end / SPEECH_RATE)
        return found

    def withdrawn(self) -> int:
        """Words that were shown and then changed, by position."""
        texts = [text for _, text in self.shown] + [self.words]
        return sum(
            sum(after[k : k + 1] != [word] for k, word in enumerate(before)) for before, after in pairwise(texts)
        )


class Engine:
    """A recognizer, what it counts and what its workers cost."""

    def __init__(self, stt: moonshine_stt.Moonshine | whisper_stt.Whisper, metrics: Counting) -> None:
        self.stt, self.metrics = stt, metrics

    def cpu_s(self) -> float:
        """CPU time of the workers so far."""
        ticks = 0
        for pid in self.stt._pool.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def engine(module: ModuleType) -> AsyncIterator[Engine]:
    """One of our recognizers with its default settings, on two cores."""
    folder = ModelStore(models_root(os.environ)).path(module.MODEL)
    metrics = Counting()
    context = EngineContext("stt", {module.MODEL: folder}, metrics, cores=2)
    stt = await module.create(context, module.PLUGIN.settings())
    try:
        yield Engine(stt, metrics)
    finally:
        await stt.aclose()


async def speak(ours: Engine, vad: Vad, audio: Samples, language: str, partials: Partials) -> list[Heard]:
    """The utterances of a recording that is fed in real time."""
    found: list[Heard] = []
    stream, endpointer = vad.open(), Endpointer()
    audio = np.concatenate([audio, np.zeros(_END, np.float32)])
    began, at = time.perf_counter(), 0
    while at + vad.window <= len(audio):
        edge = None
        while edge is None and at + vad.window <= len(audio):
            edge = await _window(vad, stream, endpointer, audio, at, began)
            at += vad.window
        if not isinstance(edge, SpeechStarted):
            continue
        heard = Heard()
        start = edge.at

        def told(partial: Partial, heard: Heard = heard, start: int = start) -> None:
            heard.shown.append((time.perf_counter() - began - start / SPEECH_RATE, normalize(partial.text)))

        async with ours.stt.open(LiveRecognition(language, words=True, partials=partials), told) as utterance:
            utterance.feed(audio[start:at], endpointer.pause)
            end = None
            while end is None and at + vad.window <= len(audio):
                end = await _window(vad, stream, endpointer, audio, at, began)
                at += vad.window
                if end is None:
                    utterance.feed(audio[at - vad.window : at], endpointer.pause)
            assert isinstance(end, SpeechEnded)
            used = ours.metrics.events["early_used"]
            decided = time.perf_counter()
            heard.final = await utterance.finish(end.at - start)
            heard.waited = time.perf_counter() - decided
            heard.early = ours.metrics.events["early_used"] > used
            heard.length = end.at - start
        found.append(heard)
    return found


async def _window(
    vad: Vad, stream: VadStream, endpointer: Endpointer, audio: Samples, at: int, began: float
) -> SpeechStarted | SpeechEnded | None:
    """The next window, once it has been spoken; the edge it makes known."""
    await asyncio.sleep(max(0.0, began + (at + vad.window) / SPEECH_RATE - time.perf_counter()))
    return next(iter(endpointer.feed(stream.probability(audio[at : at + vad.window]), vad.window)), None)


def clips(language: str) -> list[Samples]:
    """The recordings in one language; after the English ones two that are joined, to be longer than 8 s."""
    files = [file for file, spoken, _ in transcripts() if spoken == language and file != SILENT_ABOUT]
    found = [read(SHARED / "audio" / file) for file in files]
    if language == "en":
        gap = np.zeros(_GAP, np.float32)
        for one, two in (("kolja_01.wav", "kolja_03.wav"), ("sense_0890.wav", "lj_0004.wav")):
            found.append(np.concatenate([read(SHARED / "audio" / one), gap, read(SHARED / "audio" / two)]))
    return found


def percentiles(values: Iterable[float]) -> str:
    """Median and 95th percentile, in ms, and of how many."""
    held = sorted(values)
    return f"{median(held) * 1e3:.0f} / {np.percentile(held, 95) * 1e3:.0f} ms (of {len(held)})" if held else "none"


async def measure(module: ModuleType, language: str, partials: Partials) -> tuple[list[Heard], float]:
    """Everything in one language, with a table; the utterances, and the words withdrawn for each final word."""
    vad = await silero_vad.create(EngineContext("vad", {}, NoMetrics(), 1), silero_vad.Settings())
    heard: list[Heard] = []
    async with engine(module) as ours:
        cpu, seconds = ours.cpu_s(), 0.0
        for audio in clips(language):
            heard += await speak(ours, vad, audio, language, partials)
            seconds += len(audio) / SPEECH_RATE
        cost = (ours.cpu_s() - cpu) / seconds
        events = dict(ours.metrics.events)
    words = sum(len(each.words) for each in heard)
    lags = [lag for each in heard for lag in each.lags()]
    withdrawn = sum(each.withdrawn() for each in heard) / words
    print(f"| {partials} | |\n|---|---|")
    print(f"| word end to first partial with it, p50 / p95 | {percentiles(lags)} |")
    print(f"| words shown before the final | {len(lags)} of {words} |")
    print(f"| partials a second of speech | {sum(len(each.shown) for each in heard) / seconds:.1f} |")
    print(f"| withdrawn words a final word | {withdrawn:.2f} |")
    print(f"| CPU seconds a second of audio | {cost:.2f} |")
    print(f"| finals begun before the decision | {sum(each.early for each in heard)} of {len(heard)} |")
    print(f"| events | {', '.join(f'{name} {count}' for name, count in sorted(events.items()))} |")
    return heard, withdrawn


def finals(heard: Sequence[Heard], name: str, goal: tuple[float, float]) -> bool:
    """How long finals took after the decision; whether the median and the 95th percentile meet the goal, in ms."""
    waited = [each.waited * 1e3 for each in heard]
    met = [
        verdict(f"{name} ({len(waited)}): decision to final, median, ms", median(waited), goal[0]),
        verdict(f"{name} ({len(waited)}): 95th percentile, ms", float(np.percentile(waited, 95)), goal[1]),
    ]
    return all(met)


def shown(heard: Sequence[Heard], withdrawn: float, lag_ms: float, most: float) -> bool:
    """Whether words came soon enough and stayed."""
    lags = [lag for each in heard for lag in each.lags()]
    met = [
        verdict("word end to first partial with it, median, ms", median(lags) * 1e3, lag_ms),
        verdict("withdrawn words a final word", withdrawn, most),
    ]
    return all(met)


async def english() -> bool:
    """Moonshine, words as soon as they are heard."""
    heard, withdrawn = await measure(moonshine_stt, "en", Partials.FAST)
    short = [each for each in heard if each.length <= _LONG]
    longer = [each for each in heard if each.length > _LONG]
    print(f"\nlonger than 8 s, decision to final: {percentiles(each.waited for each in longer)}")
    met = [shown(heard, withdrawn, 300, 0.9), finals(short, "English up to 8 s", (40, 150))]
    return all(met)


async def calm() -> bool:
    """Moonshine, the last word held back."""
    return shown(*await measure(moonshine_stt, "en", Partials.CALM), 450, 0.5)


async def whisper() -> bool:
    """Whisper on Vietnamese; the lag is reported only."""
    heard, withdrawn = await measure(whisper_stt, "vi", Partials.FAST)
    met = [
        verdict("withdrawn words a final word", withdrawn, 0.4),
        finals([each for each in heard if each.length <= 5 * SPEECH_RATE], "Whisper up to 5 s", (150, 400)),
    ]
    return all(met)


async def crowd() -> bool:
    """Moonshine with more and more people who speak at once; reported only."""
    vad = await silero_vad.create(EngineContext("vad", {}, NoMetrics(), 1), silero_vad.Settings())
    recordings = clips("en")
    print("| speakers | word end to first partial, p50 / p95 | decision to final, p50 / p95 | partials given up |")
    print("|---|---|---|---|")
    for speakers in CROWDS:
        async with engine(moonshine_stt) as ours:

            async def one(number: int, ours: Engine = ours) -> list[Heard]:
                await asyncio.sleep(number * _APART_S)
                return await speak(ours, vad, recordings[number % len(recordings)], "en", Partials.FAST)

            heard = [each for some in await asyncio.gather(*map(one, range(speakers))) for each in some]
            lags = percentiles(lag for each in heard for lag in each.lags())
            waited = percentiles(each.waited for each in heard)
            print(f"| {speakers} | {lags} | {waited} | {ours.metrics.events['partial_shed']} |")
    return True


async def main(names: Sequence[str]) -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[], Awaitable[bool]]] = {
        "english": english,
        "calm": calm,
        "whisper": whisper,
        "crowd": crowd,
    }
    if not set(names) <= parts.keys():
        sys.exit(__doc__)
    met = []
    for name in names or parts:
        print(f"\n## {name}\n")
        met.append(await parts[name]())
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
