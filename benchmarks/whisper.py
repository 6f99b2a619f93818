"""Whisper through our port, beside the research code.

    python -m benchmarks.whisper [latency] [together] [accuracy] [silence]

Without names, everything. VOXGATE_PROTOTYPES names the folder of the research code (latency), VOXGATE_SHARED that of
the recordings. Prints a table for each; exits with 1 where a target is missed. Times are walls of interleaved runs, so
that a busy machine slows both alike.
"""

import asyncio
import csv
import importlib
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.moonshine import FOLDER as MOONSHINE_FOLDER
from benchmarks.moonshine import SHARED, NoMetrics, environment, read, verdict
from voxgate.domain import Recognition, Samples
from voxgate.engines.whisper_stt import MODEL, Whisper, WhisperSettings, create
from voxgate.ports import EngineContext
from voxgate.text.wer import errors, wer

FOLDER = MOONSHINE_FOLDER.parent / MODEL
FIVE_SECONDS = (("vi_vivos01_002.wav", "vi"), ("vi_vivos01_011.wav", "vi"), ("lj_0004.wav", "en"))
"""4.9, 5.2 and 5.1 s."""
AMONG = ("en", "vi", "id", "ja", "ko", "zh")


def transcripts() -> list[tuple[str, str, str]]:
    """(file, language, transcript) of the shared recordings."""
    with (SHARED / "audio" / "transcripts.tsv").open(encoding="utf-8") as table:
        return [(row["file"], row["language"], row["transcript"]) for row in csv.DictReader(table, delimiter="\t")]


@asynccontextmanager
async def engine(threads: int) -> AsyncIterator[Whisper]:
    """Our port with so many threads."""
    made = await create(EngineContext("whisper", {MODEL: FOLDER}, NoMetrics(), cores=threads), WhisperSettings())
    try:
        yield made
    finally:
        await made.aclose()


def distinct(audio: Samples, number: int) -> Samples:
    """The same sound with other bits, so that no encoding of it is known yet."""
    return audio * np.float32(1 - (number + 1) * 1e-5)


def research_code(folder: Path) -> tuple[Any, Any]:
    """The research code's module, and its model on one thread."""
    os.environ["MODEL"] = str(FOLDER)
    sys.path.insert(0, str(folder))
    module = importlib.import_module("whisper_core")
    return module, module.W()


async def latency(rounds: int = 10) -> bool:
    """An utterance of five seconds, port and research code by turns, both on one core."""
    module, prototype = research_code(environment("VOXGATE_PROTOTYPES"))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    ratios: list[float] = []
    ours_best: list[float] = []
    print("| clip | port, ms | research code, ms | language of new audio | of heard audio |\n|---|---|---|---|---|")
    async with engine(1) as ours:
        for number, (name, language) in enumerate(FIVE_SECONDS):
            clip = read(SHARED / "audio" / name)
            rows: list[tuple[float, ...]] = []
            for k in range(rounds):
                audio = distinct(clip, 2 * (number * rounds + k))
                times = [time.perf_counter()]
                await ours.recognize(Recognition(audio, language))
                times.append(time.perf_counter())
                module.final(prototype, audio, language)
                times.append(time.perf_counter())
                await ours.identify(distinct(clip, 2 * (number * rounds + k) + 1), AMONG)
                times.append(time.perf_counter())
                await ours.identify(audio, AMONG)
                times.append(time.perf_counter())
                rows.append(tuple(np.diff(times)))
            ratios += [row[0] / row[1] for row in rows]
            best = [min(column) * 1e3 for column in zip(*rows, strict=True)]
            ours_best.append(best[0] / 1e3)
            print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in best) + " |")
    os.sched_setaffinity(0, cores)
    ratio = verdict("5 s through the port, ratio to the research code (median)", median(ratios), 1.15)
    return verdict("5 s through the port, seconds on one core (slowest clip's best)", max(ours_best), 0.55) and ratio


async def together(rounds: int = 8) -> bool:
    """Two utterances at once on two threads, and one alone on the same two threads, by turns."""
    clip = read(SHARED / "audio" / FIVE_SECONDS[0][0])
    pairs: list[tuple[float, float]] = []
    async with engine(2) as ours:

        async def hear(*numbers: int) -> float:
            started = time.perf_counter()
            await asyncio.gather(*(ours.recognize(Recognition(distinct(clip, n), "vi")) for n in numbers))
            return time.perf_counter() - started

        await hear(-1000)
        pairs += [(await hear(3 * k), await hear(3 * k + 1, 3 * k + 2)) for k in range(rounds)]
    print("| one alone, ms | two at once, ms |\n|---|---|")
    for one, two in pairs:
        print(f"| {one * 1e3:.0f} | {two * 1e3:.0f} |")
    alone, both = (min(column) for column in zip(*pairs, strict=True))
    return verdict("two at once on two cores, ratio to one alone (best of each)", both / alone, 1.15)


async def accuracy() -> bool:
    """Word errors of the recordings, and the languages they are taken for."""
    print("| clip | taken for | words | errors | heard |\n|---|---|---|---|---|")
    found: dict[str, list[tuple[str, str]]] = {}
    right = of = 0
    async with engine(1) as ours:
        for file, language, text in transcripts():
            if language == "none":
                continue
            audio = read(SHARED / "audio" / file)
            heard = (await ours.recognize(Recognition(audio, language))).text
            guess = (await ours.identify(audio, AMONG))[0]
            right, of = right + (guess.language == language), of + 1
            wrong, words = errors(text, heard)
            print(f"| {file} | {guess.language} {guess.probability:.2f} | {words} | {wrong} | {heard} |")
            found.setdefault(language, []).append((text, heard))
    print(f"\nEnglish: {wer(found['en']):.3f}; languages told right: {right} of {of}")
    return verdict("word error rate of 4 Vietnamese clips", wer(found["vi"]), 0.36)


async def silence() -> bool:
    """What is heard where nobody speaks, in every language: how many texts come out of it."""
    random = np.random.default_rng(0)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)
    sounds = {
        "office": read(SHARED / "audio" / "noise_office.wav"),
        "digital silence": np.zeros(80_000, np.float32),
        "white noise": (random.standard_normal(48_000) * 0.01).astype(np.float32),
        "loud noise": (random.standard_normal(48_000) * 0.1).astype(np.float32),
        "tone": tone.astype(np.float32),
    }
    texts = 0
    async with engine(1) as ours:
        for name, audio in sounds.items():
            for language in ours.languages:
                heard = (await ours.recognize(Recognition(audio, language))).text
                if heard:
                    texts += 1
                    print(f"{name}, {language}: {heard}")
    return verdict("texts out of 40 pieces of noise", texts, 0)


async def main(names: Sequence[str]) -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[], Awaitable[bool]]] = {
        "latency": latency,
        "together": together,
        "accuracy": accuracy,
        "silence": silence,
    }
    if not set(names) <= parts.keys():
        sys.exit(__doc__)
    met = []
    for name in names or parts:
        print(f"\n## {name}\n", flush=True)
        met.append(await parts[name]())
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
