"""The whole engine with the real model: what it answers, what it costs, and what becomes of callers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pytest_asyncio

from tests.conftest import Recorder, absent, stored
from tests.engines.moonshine_data import recorded
from voxgate.domain import Samples
from voxgate.engines.pool import Pool, Priority
from voxgate.engines.smart_turn import MODEL, PLUGIN, SmartTurn, SmartTurnSettings
from voxgate.engines.smart_turn_runner import FILE, SPAN, Prediction
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.ports import EngineContext

PAUSE = np.zeros(3_200, np.float32)


class OneAnswer:
    """A pool that answers the same every time, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Samples, Priority]] = []

    async def call(self, request: Samples, *, priority: Priority) -> Prediction:
        self.asked.append((request, priority))
        return Prediction(0.75, 0.04)


def test_the_plugin_names_its_model_without_loading_anything() -> None:
    assert PLUGIN.port == "turn"
    assert PLUGIN.models(SmartTurnSettings()) == (MODEL,)


async def test_no_more_than_the_model_sees_goes_to_the_worker(metrics: Recorder) -> None:
    pool = OneAnswer()
    engine = SmartTurn(cast(Pool, pool), "smart_turn", metrics)
    wide = np.random.default_rng(0).standard_normal((SPAN + 5_000, 2)).astype(np.float32)
    assert await engine.complete(wide[:, 0]) == 0.75
    [(sent, priority)] = pool.asked
    np.testing.assert_array_equal(sent, wide[-SPAN:, 0])
    assert sent.flags.c_contiguous
    assert priority is Priority.FINAL
    assert metrics.observed == [("predict", "smart_turn")]


async def test_a_model_that_is_not_there_is_an_error_when_the_engine_starts(tmp_path: Path, metrics: Recorder) -> None:
    with pytest.raises(EngineError, match="smart_turn could not be loaded"):
        await PLUGIN.create(EngineContext("smart_turn", {MODEL: tmp_path}, metrics, 1), SmartTurnSettings())


@pytest_asyncio.fixture
async def engine(metrics: Recorder) -> AsyncIterator[SmartTurn]:
    folder = stored(MODEL)
    if not (folder / FILE).exists():
        absent("models", f"the model {MODEL}")
    settings = SmartTurnSettings(threads=1, queue=2)
    engine = await PLUGIN.create(EngineContext("smart_turn", {MODEL: folder}, metrics, cores=2), settings)
    yield engine
    await engine.aclose()


def paused(audio: Samples) -> Samples:
    return np.concatenate([audio, PAUSE])


@pytest.mark.slow
async def test_a_turn_in_its_middle_is_less_complete_than_at_its_end(engine: SmartTurn, shared: Path) -> None:
    """Measured .73 for the end of jfk.wav and .03 to .08 for the cuts; other clips are told apart less well."""
    speech = recorded("jfk.wav")
    whole = await engine.complete(paused(speech))
    cut = [await engine.complete(paused(speech[: round(seconds * 16_000)])) for seconds in (4.4, 6.6, 8.8)]
    assert whole > 0.5 > max(cut)


@pytest.mark.slow
async def test_a_worker_that_is_killed_is_replaced_and_the_question_asked_again(
    engine: SmartTurn, metrics: Recorder
) -> None:
    before = await engine.complete(PAUSE)
    pending = asyncio.create_task(engine.complete(PAUSE))
    while not metrics.gauges["active", "smart_turn"]:
        await asyncio.sleep(0)
    os.kill(engine._pool.pids[0], signal.SIGKILL)
    assert await pending == before
    assert ("worker_restart", "smart_turn") in metrics.counted


@pytest.mark.slow
async def test_questions_beyond_the_queue_are_refused_and_those_of_callers_who_left_make_room(
    engine: SmartTurn, metrics: Recorder
) -> None:
    def ask() -> asyncio.Task[float]:
        return asyncio.create_task(engine.complete(PAUSE))

    pending = [ask() for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(RefusedError) as caught:
        await engine.complete(PAUSE)
    assert caught.value.code is Code.BUSY
    for task in pending[1:]:
        task.cancel()
    await asyncio.gather(*pending[1:], return_exceptions=True)
    assert metrics.gauges["queued", "smart_turn"] == 0
    after = [ask() for _ in range(2)]
    assert await asyncio.gather(pending[0], *after) == [await pending[0]] * 3


@pytest.mark.slow
async def test_what_is_no_number_is_refused_and_the_worker_lives(engine: SmartTurn, metrics: Recorder) -> None:
    with pytest.raises(PeerError) as caught:
        await engine.complete(np.full(16_000, np.nan, np.float32))
    assert caught.value.code is Code.INVALID_AUDIO
    assert 0 <= await engine.complete(PAUSE) <= 1
    counted: list[Any] = metrics.counted
    assert ("worker_restart", "smart_turn") not in counted
