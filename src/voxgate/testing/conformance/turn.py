"""What every detector of ends of turns must do."""

import asyncio
import time

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import VoxgateError
from voxgate.ports import TurnDetector
from voxgate.testing.conformance import expect
from voxgate.testing.conformance.stt import SAMPLE, Spoken

PAUSE_S = 0.2
"""Silence after which a detector is asked (contract, section 6)."""
USEFUL_S = 1.0
"""An answer that takes longer comes when the turn has ended anyhow: after 1.2 s of silence."""


def paused(sample: Spoken) -> Samples:
    """What is said in the sample, and the pause at which a detector is asked about it."""
    return np.concatenate([sample.audio, np.zeros(round(PAUSE_S * SPEECH_RATE), np.float32)])


def _expect_probability(answer: object) -> None:
    expect(isinstance(answer, float) and 0 <= answer <= 1, f"{answer!r} is no probability")


async def check_attributes(engine: TurnDetector) -> None:
    """The engine has the verb."""
    expect(isinstance(engine, TurnDetector), "the engine lacks complete")


async def check_probabilities(engine: TurnDetector, sample: Spoken = SAMPLE) -> None:
    """Whatever it hears, the answer is a number from 0 to 1."""
    noise = np.random.default_rng(1).normal(0, 0.3, SPEECH_RATE).astype(np.float32)
    square = np.sign(np.sin(np.arange(SPEECH_RATE) / 20)).astype(np.float32)
    for audio in (paused(sample), sample.audio[: sample.audio.size // 2], noise, square, np.zeros(8000, np.float32)):
        _expect_probability(await engine.complete(audio))


async def check_very_short_audio(engine: TurnDetector) -> None:
    """No audio, or a few samples of it, is an answer or a typed error, never a crash."""
    for samples in (0, 1, 160):
        try:
            answer = await engine.complete(np.zeros(samples, np.float32))
        except VoxgateError:
            continue
        _expect_probability(answer)


async def check_long_turns(engine: TurnDetector, sample: Spoken = SAMPLE) -> None:
    """A minute of speech is a turn like any other."""
    times = 60 * SPEECH_RATE // sample.audio.size + 1
    _expect_probability(await engine.complete(np.tile(paused(sample), times)))


async def check_audio_stays_the_callers(engine: TurnDetector, sample: Spoken = SAMPLE) -> None:
    """The audio may be read-only or a view of something larger, and is not changed."""
    audio = paused(sample)
    wide = np.zeros((audio.size, 2), np.float32)
    wide[:, 0] = audio
    view = wide[:, 0]
    view.flags.writeable = False
    _expect_probability(await engine.complete(view))
    expect(np.array_equal(view, audio), "the audio was changed")


async def check_callers_are_apart(engine: TurnDetector, sample: Spoken = SAMPLE) -> None:
    """Turns at the same time get each its own answer, which is the one they get alone."""
    whole, half = paused(sample), sample.audio[: sample.audio.size // 2]
    alone = [await engine.complete(audio) for audio in (whole, half)]
    together = await asyncio.gather(*(engine.complete(audio) for audio in (whole, half, whole, half)))
    expect(np.allclose(together, alone * 2, atol=1e-4), f"four at once were answered {together}, alone {alone}")


async def check_leaving(engine: TurnDetector, sample: Spoken = SAMPLE) -> None:
    """A caller that leaves (the speaker went on) does not disturb the next one."""
    audio = paused(sample)
    alone = await engine.complete(audio)
    tasks = [asyncio.ensure_future(engine.complete(audio)) for _ in range(4)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    after = await engine.complete(audio)
    expect(abs(after - alone) < 1e-4, f"after callers left, the same audio was answered {after}, before {alone}")


async def check_answers_in_time(engine: TurnDetector, sample: Spoken = SAMPLE) -> None:
    """The answer comes while it is of use (the best of five: a machine may be busy)."""
    costs = []
    for _ in range(5):
        started = time.perf_counter()
        await engine.complete(paused(sample))
        costs.append(time.perf_counter() - started)
    expect(min(costs) < USEFUL_S, f"an answer takes {min(costs):.2f} s")
