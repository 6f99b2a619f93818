"""Moonshine through our port, beside the research code and the model as published.

    python benchmarks/moonshine.py [latency] [throughput] [wer] [tokens]

Without names, everything. VOXGATE_PROTOTYPES names the folder of the research code (latency), VOXGATE_MOONSHINE_SOURCE
the folder of the published files (latency, tokens), VOXGATE_SHARED that of the recordings. Prints a table for each;
exits with 1 where a target is missed. Times are walls of interleaved runs, so that a busy machine slows both alike.
"""

import asyncio
import csv
import importlib
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from voxgate.domain import Recognition, Samples
from voxgate.engines.moonshine_decoding import greedy
from voxgate.engines.moonshine_model import MoonshineModel
from voxgate.engines.moonshine_stt import MODEL, Moonshine, MoonshineSettings, create
from voxgate.engines.moonshine_tokens import END, START, Vocabulary
from voxgate.ports import EngineContext
from voxgate.text.wer import digits, errors, wer

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("VOXGATE_SHARED", ROOT.parent / "shared"))
_DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
FOLDER = Path(os.environ.get("VOXGATE_MODELS_DIR") or _DATA / "voxgate" / "models") / MODEL
FIVE_SECONDS = ("lj_0004.wav", "sense_0890.wav", "lj_0006.wav")
"""5.1, 5.3 and 5.7 s."""
SILENT_ABOUT = "digits_10001.wav"


class NoMetrics:
    """A `ports.Metrics` that forgets."""

    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None: ...

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


class Published:
    """The model as it is published, greedy: the reference our tokens are compared with (60 ms a token)."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("encoder_model.ort", "decoder_model_merged.ort")
        )
        self._names = [output.name for output in self._decoder.get_outputs()][1:]

    def tokens(self, audio: Samples, limit: int) -> tuple[int, ...]:
        """At most `limit` tokens of the audio."""
        hidden = self._encoder.run(None, {"input_values": audio[None]})[0]
        past = {name: np.zeros((0, 8, 1, 52), np.float32) for name in self._names}
        said: list[int] = []
        while len(said) < limit:
            feed = {f"past_key_values.{name.removeprefix('present.')}": value for name, value in past.items()}
            feed |= {"input_ids": np.array([[said[-1] if said else START]]), "encoder_hidden_states": hidden}
            logits, *present = self._decoder.run(None, feed | {"use_cache_branch": np.array([bool(said)])})
            # with a past, the keys and values of the cross-attention come out empty: the first step's stay
            fresh = zip(self._names, present, strict=True)
            past |= {name: value for name, value in fresh if not said or ".decoder." in name}
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            said.append(token)
        return tuple(said)


def equal_tokens(folder: Path, published: Path, clips: Iterable[Samples]) -> list[bool]:
    """For each clip, whether our graphs say token for token what the published ones do."""
    ours, theirs = MoonshineModel(folder), Published(published)
    vocabulary = Vocabulary.read(folder / "tokenizer.bin")
    same = []
    for audio in clips:
        limit = int(6.5 * len(audio) / 16_000) + 2
        heard = ours.hear(audio, lambda: False)
        said = greedy(heard, limit, cancelled=lambda: False, is_number=vocabulary.is_number).tokens
        same.append(said == theirs.tokens(audio, limit))
    return same


def read(path: Path) -> Samples:
    """A 16 kHz mono 16-bit WAV file."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32_768)


def transcripts() -> list[tuple[str, str, str]]:
    """(file, language, transcript) of the shared recordings."""
    with (SHARED / "audio" / "transcripts.tsv").open(encoding="utf-8") as table:
        return [(row["file"], row["language"], row["transcript"]) for row in csv.DictReader(table, delimiter="\t")]


def spoken(folder: Path) -> list[tuple[str, Samples]]:
    """The shared sentences, each by two of flite's voices."""
    made = []
    for k, sentence in enumerate((SHARED / "audio" / "sentences.txt").read_text(encoding="utf-8").splitlines()):
        for voice in ("slt", "rms"):
            path = folder / f"{k}-{voice}.wav"
            subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", str(path)], check=True)
            made.append((sentence, read(path)))
    return made


@asynccontextmanager
async def engine(processes: int) -> AsyncIterator[Moonshine]:
    """Our port with so many workers."""
    context = EngineContext("moonshine", {MODEL: FOLDER}, NoMetrics(), cores=processes)
    made = await create(context, MoonshineSettings())
    try:
        yield made
    finally:
        await made.aclose()


def environment(name: str) -> Path:
    """The folder an environment variable names; the benchmark ends without."""
    if name not in os.environ:
        sys.exit(f"{name} is not set\n{__doc__}")
    return Path(os.environ[name]).absolute()


def verdict(name: str, value: float, target: float, *, at_least: bool = False) -> bool:
    """Print a figure beside its target; whether it is met."""
    met = value >= target if at_least else value <= target
    print(f"\n**{name}: {value:.3f}** (target {'≥' if at_least else '≤'} {target}): {'met' if met else 'MISSED'}\n")
    return met


def research_code(folder: Path, published: Path) -> Any:
    """The research code's recognizer, on graphs it builds itself."""
    os.environ["MOON"] = f"{published}/"
    with tempfile.TemporaryDirectory() as target:
        build = [sys.executable, str(folder / "moonshine_build.py"), target, "u8", "u8"]
        subprocess.run(build, check=True, capture_output=True)
        sys.path.insert(0, str(folder))
        return importlib.import_module("moonshine_decode").Moon(target)


async def latency(rounds: int = 12) -> bool:
    """An utterance of five seconds, port and research code by turns, both on one core."""
    prototype = research_code(environment("VOXGATE_PROTOTYPES"), environment("VOXGATE_MOONSHINE_SOURCE"))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    ratios: list[float] = []
    best: dict[str, tuple[float, float]] = {}
    async with engine(1) as ours:
        for name in FIVE_SECONDS:
            audio = read(SHARED / "audio" / name)
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                started = time.perf_counter()
                await ours.recognize(Recognition(audio))
                between = time.perf_counter()
                prototype.greedy(audio)
                times[0].append(between - started)
                times[1].append(time.perf_counter() - between)
            ratios += [a / b for a, b in zip(*times, strict=True)]
            best[name] = (min(times[0]), min(times[1]))
    os.sched_setaffinity(0, cores)
    print("| clip | port, ms | research code, ms |\n|---|---|---|")
    for name, (port, research) in best.items():
        print(f"| {name} | {port * 1e3:.0f} | {research * 1e3:.0f} |")
    return verdict("5 s through the port, ratio to the research code (median)", median(ratios), 1.15)


async def throughput(rounds: int = 3) -> bool:
    """Utterances of five seconds a second, one worker and two by turns."""
    clips = [read(SHARED / "audio" / name) for name in FIVE_SECONDS] * 6

    async def rate(ours: Moonshine) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(ours.recognize(Recognition(audio)) for audio in clips))
        return len(clips) / (time.perf_counter() - started)

    async with engine(1) as one, engine(2) as two:
        pairs = [(await rate(one), await rate(two)) for _ in range(rounds)]
    print("| one worker, utterances/s | two workers |\n|---|---|")
    for single, double in pairs:
        print(f"| {single:.1f} | {double:.1f} |")
    return verdict("two workers, ratio to one (median)", median(b / a for a, b in pairs), 1.2, at_least=True)


async def accuracy() -> bool:
    """Word errors of recorded and synthetic speech, and what is heard where nobody speaks."""
    print("| clip | words | errors | heard |\n|---|---|---|---|")
    recorded: list[tuple[str, str]] = []
    figures, noise = "", ""
    async with engine(1) as ours:
        for file, language, text in transcripts():
            if language == "vi":
                continue
            heard = (await ours.recognize(Recognition(read(SHARED / "audio" / file)))).text
            wrong, words = errors(text, heard)
            print(f"| {file} | {words} | {wrong} | {heard} |")
            if language == "none":
                noise += heard
            elif file == SILENT_ABOUT:
                figures = digits(heard)
            else:
                recorded.append((text, heard))
        with tempfile.TemporaryDirectory() as folder:
            synthetic = [
                (text, (await ours.recognize(Recognition(audio))).text) for text, audio in spoken(Path(folder))
            ]
    print(f"\n40 synthetic sentences: {wer(synthetic):.3f}; {SILENT_ABOUT}: {figures}; noise: {noise!r}")
    return verdict("word error rate of 11 clips", wer(recorded), 0.04) and len(figures) == 15 and not noise


async def tokens() -> bool:
    """How many utterances are token for token what the published graphs say."""
    clips = [read(SHARED / "audio" / file) for file, _, _ in transcripts()]
    with tempfile.TemporaryDirectory() as folder:
        clips += [audio for _, audio in spoken(Path(folder))]
    same = equal_tokens(FOLDER, environment("VOXGATE_MOONSHINE_SOURCE"), clips)
    print(f"{sum(same)} of {len(same)} utterances")
    return verdict("utterances token for token equal", sum(same) / len(same), 0.9, at_least=True)


async def main(names: Sequence[str]) -> int:
    """Run the parts named; 1 where a target is missed."""
    parts: dict[str, Callable[[], Awaitable[bool]]] = {
        "latency": latency,
        "throughput": throughput,
        "wer": accuracy,
        "tokens": tokens,
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
