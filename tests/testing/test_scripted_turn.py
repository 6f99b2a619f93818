import asyncio

import numpy as np
import pytest
from pydantic import ValidationError

from tests.conftest import Recorder
from tests.virtual import run
from voxgate.errors import Code, EngineError, RefusedError
from voxgate.ports import EngineContext, TurnDetector
from voxgate.testing.scripted_turn import PLUGIN, ScriptedTurnDetector, ScriptedTurnSettings

AUDIO = np.zeros(16_000, np.float32)


async def test_it_answers_in_the_order_of_the_script_over_and_over() -> None:
    engine = ScriptedTurnDetector("turn", ScriptedTurnSettings(probabilities=(0.1, 0.9)))
    assert [await engine.complete(AUDIO) for _ in range(5)] == [0.1, 0.9, 0.1, 0.9, 0.1]


async def test_the_order_of_questions_counts_not_that_of_answers() -> None:
    engine = ScriptedTurnDetector("turn", ScriptedTurnSettings(probabilities=(0.1, 0.9)))
    both = await asyncio.gather(engine.complete(AUDIO), engine.complete(AUDIO))
    assert list(both) == [0.1, 0.9]


def test_an_answer_costs_what_is_set() -> None:
    async def scenario() -> float:
        await ScriptedTurnDetector("turn", ScriptedTurnSettings(predict_ms=45)).complete(AUDIO)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(0.045)


async def test_it_fails_when_told_to() -> None:
    engine = ScriptedTurnDetector("turn", ScriptedTurnSettings(fail_every=2, busy_every=3))
    await engine.complete(AUDIO)
    with pytest.raises(EngineError, match="as scripted"):
        await engine.complete(AUDIO)
    with pytest.raises(RefusedError) as caught:
        await engine.complete(AUDIO)
    assert caught.value.code is Code.BUSY


@pytest.mark.parametrize("probabilities", [(), (1.5,), (-0.1, 0.5)])
def test_what_is_no_probability_is_no_script(probabilities: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        ScriptedTurnSettings(probabilities=probabilities)


async def test_the_plugin_makes_one(metrics: Recorder) -> None:
    engine = await PLUGIN.create(EngineContext("turn", {}, metrics, 1), ScriptedTurnSettings())
    assert PLUGIN.port == "turn"
    assert isinstance(engine, TurnDetector)
    assert await engine.complete(AUDIO) == 0.5
