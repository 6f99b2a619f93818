"""What every voice detector must do."""

import statistics
import time

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.ports import Vad
from voxgate.testing.conformance import expect
from voxgate.testing.conformance.stt import SAMPLE, Spoken

BUDGET_S = 0.001
"""What a window may cost on the event loop (docs/house.md)."""


def _hear(engine: Vad, audio: Samples) -> list[float]:
    stream = engine.open()
    ends = range(engine.window, audio.size + 1, engine.window)
    return [stream.probability(audio[end - engine.window : end]) for end in ends]


async def check_attributes(engine: Vad) -> None:
    """The engine says how long its windows are."""
    expect(isinstance(engine, Vad), "the engine lacks open or window")
    milliseconds = 1000 * engine.window / SPEECH_RATE
    expect(8 <= milliseconds <= 100, f"a window of {milliseconds:.0f} ms is no step for turn-taking")


async def check_probabilities(engine: Vad, sample: Spoken = SAMPLE) -> None:
    """Whatever it hears, the answer is a number from 0 to 1."""
    noise = np.random.default_rng(1).normal(0, 0.3, SPEECH_RATE).astype(np.float32)
    square = np.sign(np.sin(np.arange(SPEECH_RATE) / 20)).astype(np.float32)
    for audio in (sample.audio, noise, square, np.zeros(SPEECH_RATE, np.float32)):
        heard = _hear(engine, audio)
        expect(all(isinstance(p, float) and 0 <= p <= 1 for p in heard), f"not every answer is a probability: {heard}")


async def check_silence(engine: Vad) -> None:
    """Silence is no speech."""
    heard = _hear(engine, np.zeros(2 * SPEECH_RATE, np.float32))
    expect(max(heard) < 0.5, f"silence was speech with {max(heard):.2f}")


async def check_speech(engine: Vad, sample: Spoken = SAMPLE) -> None:
    """Recorded speech, where the author hands some in, is speech somewhere."""
    if sample.text:
        expect(max(_hear(engine, sample.audio)) > 0.5, "no window of recorded speech was speech")


async def check_callers_are_apart(engine: Vad, sample: Spoken = SAMPLE) -> None:
    """What one caller says is not heard in another's stream, and a fresh stream begins anew."""
    alone = _hear(engine, sample.audio)
    ours, theirs = engine.open(), engine.open()
    silence = np.zeros(engine.window, np.float32)
    mixed = []
    for end in range(engine.window, sample.audio.size + 1, engine.window):
        mixed.append(ours.probability(sample.audio[end - engine.window : end]))
        theirs.probability(silence)
    expect(np.allclose(alone, mixed, atol=1e-4), "another caller's silence changed what was heard")


async def check_audio_stays_the_callers(engine: Vad, sample: Spoken = SAMPLE) -> None:
    """The window may be read-only, and is not changed."""
    window = sample.audio[: engine.window].copy()
    window.flags.writeable = False
    engine.open().probability(window)
    expect(np.array_equal(window, sample.audio[: engine.window]), "the window was changed")


async def check_cost(engine: Vad, sample: Spoken = SAMPLE) -> None:
    """A window is cheap enough to be heard on the event loop (time of this thread, the median of all windows)."""
    stream = engine.open()
    costs = []
    for end in range(engine.window, sample.audio.size + 1, engine.window):
        started = time.thread_time()
        stream.probability(sample.audio[end - engine.window : end])
        costs.append(time.thread_time() - started)
    cost = statistics.median(costs)
    expect(cost <= BUDGET_S, f"a window costs {1000 * cost:.2f} ms")
