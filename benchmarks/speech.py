"""How soon Piper is heard: our engine through its port beside the research prototype, turn by turn in one run.

    python benchmarks/speech.py --voice FOLDER [--prototype piper_stream.py] [--runs 30] [--streams 1,4,8,16]

FOLDER holds the voice as published (one .onnx and its .onnx.json). The prototype is research code and no part of this
project: it is run from where it lies, in this process, with its graphs cut into a folder beside ours (which needs the
`onnx` package). Ours runs as in the server: text to a process for phonemes, those to a process that speaks.
`--streams` adds what callers wait for their first audio while that many others are being spoken to.
"""

import argparse
import asyncio
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from voxgate.domain import Utterance
from voxgate.engines.piper_tts import PLUGIN, RATE, PiperSettings, PiperTts
from voxgate.models.convert.piper import convert
from voxgate.ports import EngineContext

TEXTS = {
    "one word": "Sure.",
    "2 s clause": "Your appointment is tomorrow at three.",
    "99 characters": "The quick brown fox jumps over the lazy dogs "
    "and then runs all the way back to the forest to sleep.",
}
MODEL = "piper-en_US-joe-medium"


class Quiet:
    """A `ports.Metrics` that keeps nothing."""

    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None: ...

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


@asynccontextmanager
async def started(voice: Path, cores: int) -> AsyncIterator[PiperTts]:
    engine = await PLUGIN.create(EngineContext("piper", {MODEL: voice}, Quiet(), cores), PiperSettings())
    try:
        yield engine
    finally:
        await engine.aclose()


async def ours(engine: PiperTts, text: str) -> tuple[float, float, float]:
    """Milliseconds to the first audio and to the last, and the seconds of audio."""
    began = time.perf_counter()
    first = 0.0
    samples = 0
    async with engine.open(Utterance(text, "joe")) as stream:
        async for speech in stream:
            first = first or time.perf_counter() - began
            samples += speech.samples.size
    return first * 1000, (time.perf_counter() - began) * 1000, samples / RATE


def prototype(script: Path, voice: Path, work: Path) -> Callable[[str], float]:
    """The prototype's way from text to first audio, in milliseconds."""
    import onnxruntime

    os.environ["PIPER"] = str(next(voice.glob("*.onnx")))
    spec = importlib.util.spec_from_file_location("prototype", script)
    assert spec
    assert spec.loader
    code: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    code.cut(os.environ["PIPER"], str(work / "p_enc.onnx"), ["input", "input_lengths", "scales"], [code.Z, code.W])
    code.cut(os.environ["PIPER"], str(work / "p_dec.onnx"), [code.Z], ["output"])
    encoder, decoder = (
        onnxruntime.InferenceSession(str(work / name), code.so(1, False), providers=["CPUExecutionProvider"])
        for name in ("p_enc.onnx", "p_dec.onnx")
    )
    voice_ids = code.Piper()

    def first(text: str) -> float:
        began = time.perf_counter()
        next(code.stream(encoder, decoder, voice_ids.ids(code.piper_phonemes(text)[0])))
        return (time.perf_counter() - began) * 1000

    return first


def p(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def first_audio(engine: PiperTts, theirs: Callable[[str], float] | None, runs: int) -> None:
    heads = ("first ms p50", 13), ("p95", 7), ("all ms", 8), ("audio s", 9), ("RTF", 7), ("prototype", 11), ("ratio", 7)
    print(f"{'text':<15}" + "".join(f"{head:>{width}}" for head, width in heads))
    for name, text in TEXTS.items():
        measured: list[tuple[float, float, float]] = []
        beside: list[float] = []
        for run in range(runs + 2):
            mine = await ours(engine, text)
            other = theirs(text) if theirs else 0.0
            if run >= 2:
                measured.append(mine)
                beside.append(other)
        firsts, whole, audio = zip(*measured, strict=True)
        line = f"{name:<15}{p(firsts, 50):>13.1f}{p(firsts, 95):>7.1f}{p(whole, 50):>8.0f}{audio[0]:>9.2f}"
        line += f"{p(whole, 50) / audio[0] / 1000:>7.3f}"
        if theirs:
            ratios = [mine / other for mine, other in zip(firsts, beside, strict=True)]
            line += f"{p(beside, 50):>11.1f}{p(ratios, 50):>7.2f}"
        print(line)


async def under_load(engine: PiperTts, streams: int, runs: int) -> None:
    """First audio of a short clause while `streams` listeners hear long texts at the pace of speech."""
    text = " ".join([TEXTS["99 characters"]] * 20)
    late = 0

    async def listener() -> None:
        nonlocal late
        async with engine.open(Utterance(text, "joe")) as stream:
            due = 0.0
            async for speech in stream:
                now = time.perf_counter()
                late += bool(due) and now > due + 0.005
                due = max(due, now) + speech.samples.size / RATE
                await asyncio.sleep(max(0.0, due - now - 0.2))  # 200 ms of lead, as a call has

    tasks = [asyncio.create_task(listener()) for _ in range(streams)]
    await asyncio.sleep(3)
    late = 0
    firsts: list[float] = []
    for _ in range(runs):
        firsts.append((await ours(engine, TEXTS["2 s clause"]))[0])
        await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(f"{streams:>3} others: first ms p50 {p(firsts, 50):.0f}, p95 {p(firsts, 95):.0f}; they ran dry {late} times")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", type=Path, required=True)
    parser.add_argument("--prototype", type=Path)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--streams", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        convert(options.voice, work)
        theirs = prototype(options.prototype, options.voice, work) if options.prototype else None
        async with started(work, options.cores) as engine:
            await first_audio(engine, theirs, options.runs)
            for streams in filter(None, options.streams.split(",")):
                await under_load(engine, int(streams), options.runs)


if __name__ == "__main__":
    asyncio.run(main())
