import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from voxgate.domain import Samples
from voxgate.testing.conformance import Check, turn
from voxgate.testing.conformance.stt import SAMPLE


class Broken:
    """A detector of one function; the number is that of the question."""

    def __init__(self, answer: Callable[[int, Samples], Awaitable[Any]]) -> None:
        self._answer = answer
        self._asked = 0

    async def complete(self, audio: Samples) -> Any:
        self._asked += 1
        return await self._answer(self._asked, audio)


async def scribble(_: int, audio: Samples) -> float:
    audio[0] = 1
    return 0.5


async def choke(_: int, audio: Samples) -> float:
    if audio.size < 200:
        raise ZeroDivisionError
    return 0.5


async def tire(_: int, audio: Samples) -> float:
    if audio.size > 30 * 16_000:
        raise MemoryError
    return 0.5


async def mix_up(number: int, audio: Samples) -> float:
    return 0.1 * (number % 7)


async def dawdle(_: int, audio: Samples) -> float:
    await asyncio.sleep(0.02)
    return 0.5


def always(value: Any) -> Broken:
    async def answer(_: int, audio: Samples) -> Any:
        return value

    return Broken(answer)


BROKEN: list[tuple[str, Any]] = [
    ("check_attributes", object()),
    ("check_probabilities", always(1.5)),
    ("check_probabilities", always(float("nan"))),
    ("check_probabilities", always(np.float32(0.5))),
    ("check_very_short_audio", Broken(choke)),
    ("check_very_short_audio", always(None)),
    ("check_long_turns", Broken(tire)),
    ("check_audio_stays_the_callers", Broken(scribble)),
    ("check_callers_are_apart", Broken(mix_up)),
    ("check_leaving", Broken(mix_up)),
]


@pytest.mark.parametrize(("name", "engine"), BROKEN)
async def test_a_broken_engine_is_found_out(name: str, engine: Any) -> None:
    check: Check = getattr(turn, name)
    with pytest.raises((AssertionError, ValueError, ZeroDivisionError, MemoryError)):
        await check(engine)


async def test_an_answer_that_comes_too_late_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    await turn.check_answers_in_time(Broken(dawdle))
    monkeypatch.setattr(turn, "USEFUL_S", 0.01)
    with pytest.raises(AssertionError, match=r"an answer takes 0\.02 s"):
        await turn.check_answers_in_time(Broken(dawdle))


def test_a_detector_is_asked_in_a_pause() -> None:
    heard = turn.paused(SAMPLE)
    assert heard.size == SAMPLE.audio.size + 3_200
    assert not heard[-3_200:].any()
