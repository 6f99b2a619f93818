"""How soon Kokoro is heard, what it costs, and how loud its voices are.

    python benchmarks/kokoro.py --model FOLDER --voices FOLDER [--runs 5] [--cores 1]     first audio and cost
    python benchmarks/kokoro.py --model FOLDER --voices FOLDER --levels                  the table of kokoro_voices.py

FOLDERs are those of the model store (`voxgate models path NAME`). Ours runs as in the server: text to a process for
phonemes, those to a process that speaks. `--source FILE` runs the published graph beside it, turn by turn, in this
process, on the same ids: what a caller waits where nothing is cut, dropped or split.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from voxgate.domain import Utterance
from voxgate.engines.espeak_process import start_espeak
from voxgate.engines.espeak_worker import Phonemize
from voxgate.engines.kokoro_text import symbols
from voxgate.engines.kokoro_tts import PLUGIN, KokoroSettings, KokoroTts
from voxgate.engines.kokoro_voices import TONGUES, VOICES
from voxgate.engines.kokoro_worker import RATE, Model
from voxgate.engines.piper_text import Pronounced, clauses
from voxgate.engines.voice_shape import active_rms
from voxgate.observe import NoMetrics
from voxgate.ports import EngineContext

TEXTS = {
    "one word": "Sure.",
    "2 s clause": "Your appointment is tomorrow at three.",
    "99 characters": "The quick brown fox jumps over the lazy dogs "
    "and then runs all the way back to the forest to sleep.",
}
SPOKEN = {
    "en": ("Hello, I am ready to help you.", "Please hold the line while I look that up for you.", "We received it."),
    "es": (
        "Hola, estoy listo para ayudarle.",
        "Espere un momento, por favor, mientras lo busco.",
        "Lo hemos recibido.",
    ),
    "fr": ("Bonjour, je suis prête à vous aider.", "Un instant, je cherche cela pour vous.", "Nous l'avons bien reçu."),
    "it": ("Buongiorno, sono pronta ad aiutarla.", "Un momento, per favore, mentre lo cerco.", "Lo abbiamo ricevuto."),
    "pt": ("Olá, estou pronta para ajudar.", "Um momento, por favor, enquanto eu procuro isso.", "Nós já recebemos."),
    "hi": ("नमस्ते, मैं आपकी मदद के लिए तैयार हूँ।", "कृपया प्रतीक्षा करें, मैं अभी देखता हूँ।", "हमें मिल गया है।"),
    "ja": ("こんにちは、お手伝いします。", "少々お待ちください、今お調べします。", "受け取りました。"),
    "zh": ("你好，我可以帮助你。", "请稍等，我马上为您查询。", "我们已经收到了。"),
}


@asynccontextmanager
async def started(options: argparse.Namespace) -> AsyncIterator[KokoroTts]:
    settings = KokoroSettings(cache_mb=0)
    folders = {settings.model: options.model, settings.voices: options.voices}
    engine = await PLUGIN.create(EngineContext("kokoro", folders, NoMetrics(), options.cores), settings)
    try:
        yield engine
    finally:
        await engine.aclose()


async def ours(engine: KokoroTts, text: str) -> tuple[float, float, float, float]:
    """Milliseconds to the first audio and to the last, seconds of audio, and seconds a listener waited in between."""
    began = time.perf_counter()
    first = end = dry = 0.0
    samples = 0
    async with engine.open(Utterance(text, "af_heart")) as stream:
        async for speech in stream:
            now = time.perf_counter()
            first = first or now - began
            dry += max(0.0, now - end) if end else 0.0
            end = max(end, now) + speech.samples.size / RATE
            samples += speech.samples.size
    return first * 1000, (time.perf_counter() - began) * 1000, samples / RATE, dry


async def published(source: Path, voices: Path) -> Callable[[str], float]:
    """The published graph: a text -> milliseconds until its audio is there, phonemes not counted."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    styles = np.fromfile(voices / "af_heart.bin", "<f4").reshape(-1, 1, 256)
    espeak = await start_espeak("benchmark", NoMetrics())
    read: dict[str, tuple[int, ...]] = {}
    for text in TEXTS.values():
        [clause] = clauses(text)
        [ipa] = await espeak.call(Phonemize((clause.text,), "en-us"))
        [run] = symbols([Pronounced(ipa, clause.mark, ((clause.text, ipa),))], "american")
        read[text] = run.ids
    await espeak.aclose()

    def whole(text: str) -> float:
        ids = read[text]
        feed = {"tokens": np.array([[0, *ids, 0]]), "style": styles[len(ids) - 1], "speed": np.ones(1, np.float32)}
        began = time.perf_counter()
        session.run(None, feed)
        return (time.perf_counter() - began) * 1000

    return whole


async def first_audio(engine: KokoroTts, theirs: Callable[[str], float] | None, runs: int) -> None:
    heads = (
        ("first ms p50", 13),
        ("all ms", 8),
        ("audio s", 9),
        ("RTF", 6),
        ("dry s", 7),
        ("published ms", 14),
        ("x", 6),
    )
    print(f"{'text':<15}" + "".join(f"{head:>{width}}" for head, width in heads))
    for name, text in TEXTS.items():
        measured, beside = [], []
        for _ in range(runs):
            measured.append(await ours(engine, text))
            beside.append(await asyncio.to_thread(theirs, text) if theirs else 0.0)
        firsts, whole, audio, dry = (statistics.median(each) for each in zip(*measured, strict=True))
        line = f"{name:<15}{firsts:>13.0f}{whole:>8.0f}{audio:>9.2f}{whole / audio / 1000:>6.2f}{dry:>7.2f}"
        if theirs:
            line += f"{statistics.median(beside):>11.0f}{firsts / statistics.median(beside):>6.2f}"
        print(line)


async def levels(options: argparse.Namespace) -> None:
    """Every voice's loudness as the model makes it, by our own phonemes."""
    async with started(options) as engine:
        model = Model(options.model, options.voices)
        for voice in VOICES:
            tongue = TONGUES[voice[0]]
            if voice not in {each.id for each in engine.voices}:
                print(f"    # {voice}: {tongue.extra} is not installed")
                continue
            parts: list[np.ndarray[Any, Any]] = []
            for text in SPOKEN[tongue.tag]:
                said = await engine.pronounce(text, tongue)
                for run in symbols(said, tongue.dialect):
                    made = model.speak(run.ids, voice, 1.0, bool)
                    if made:
                        parts.append(made[0])
            print(f'    "{voice}": {active_rms(np.concatenate(parts)):.1f},')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--levels", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cores", type=int, default=1)
    return parser.parse_args()


async def main() -> None:
    options = _arguments()
    if options.levels:
        await levels(options)
        return
    print(f"load {os.getloadavg()[0]:.1f}")
    theirs = await published(options.source, options.voices) if options.source else None
    async with started(options) as engine:
        await first_audio(engine, theirs, options.runs)


if __name__ == "__main__":
    asyncio.run(main())
