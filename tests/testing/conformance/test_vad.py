import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from voxgate.domain import Samples
from voxgate.testing.conformance import Check, vad
from voxgate.testing.conformance.stt import SAMPLE, Spoken


class Broken:
    """A detector of one function, with one memory for all callers."""

    def __init__(self, hear: Callable[["Broken", Samples], Any], window: int = 512) -> None:
        self.window = window
        self.heard = 0
        self._hear = hear

    def open(self) -> "Broken":
        return self

    def probability(self, window: Samples) -> Any:
        self.heard += 1
        return self._hear(self, window)


def scribble(_: Broken, window: Samples) -> float:
    window[0] = 1
    return 0.0


def think(_: Broken, window: Samples) -> float:
    started = time.thread_time()
    while time.thread_time() - started < 0.002:
        np.fft.rfft(window)
    return 0.0


BROKEN: list[tuple[str, Broken]] = [
    ("check_attributes", Broken(lambda _, __: 0.0, window=16)),
    ("check_probabilities", Broken(lambda _, __: 1.5)),
    ("check_probabilities", Broken(lambda _, __: float("nan"))),
    ("check_probabilities", Broken(lambda _, __: np.float32(0.5))),
    ("check_silence", Broken(lambda _, __: 0.9)),
    ("check_callers_are_apart", Broken(lambda vad, __: (vad.heard % 2) / 2)),
    ("check_audio_stays_the_callers", Broken(scribble)),
    ("check_cost", Broken(think)),
]


@pytest.mark.parametrize(("name", "engine"), BROKEN)
async def test_a_broken_engine_is_found_out(name: str, engine: Broken) -> None:
    check: Check = getattr(vad, name)
    with pytest.raises((AssertionError, ValueError)):
        await check(engine)


async def test_recorded_speech_must_be_heard() -> None:
    deaf = Broken(lambda _, __: 0.1)
    await vad.check_speech(deaf)
    with pytest.raises(AssertionError):
        await vad.check_speech(deaf, Spoken(SAMPLE.audio, "hello"))
