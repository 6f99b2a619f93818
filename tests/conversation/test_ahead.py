"""What the model is given to read before it is asked, and when not."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from tests.conftest import Recorder
from tests.conversation.talks import Mind, Talk, quiet, voice
from tests.virtual import run
from voxgate.conversation.ahead import ReadingAhead
from voxgate.conversation.reply import Thinking
from voxgate.conversation.speculation import Load
from voxgate.errors import EngineError
from voxgate.ports import ChatAnswer

SAID = [{"role": "system", "content": "Be brief."}]


class Reader(Mind):
    """Keeps the bodies it was asked with, too."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Mapping[str, Any]] = []

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[ChatAnswer]:  # type: ignore[override]
        self.bodies.append(body)
        async with super().open(body) as answer:
            yield answer


def reading(mind: Reader, load: Load, metrics: Recorder, *, reads_ahead: bool = True) -> ReadingAhead:
    thinking = Thinking(mind, "m", reads_ahead=reads_ahead)
    return ReadingAhead(thinking, load, spawn=asyncio.ensure_future, metrics=metrics)


def test_the_model_reads_and_writes_one_token() -> None:
    async def act() -> None:
        mind, load = Reader(), Load(2)
        ahead = reading(mind, load, Recorder())
        ahead.begin(SAID)
        await asyncio.sleep(0.01)
        assert load.making == 1
        await asyncio.sleep(1)
        assert load.making == 0
        (body,) = mind.bodies
        assert body["messages"] == [*SAID, {"role": "user", "content": "."}]
        assert (body["model"], body["max_completion_tokens"], body["stream"]) == ("m", 1, True)
        ahead.stop()

    run(act())


def test_it_stops_when_the_model_is_needed() -> None:
    async def act() -> None:
        mind, load = Reader(), Load(2)
        ahead = reading(mind, load, Recorder())
        ahead.begin(SAID)
        await asyncio.sleep(0.01)
        assert mind.open_now == 1
        ahead.stop()
        ahead.stop()
        await asyncio.sleep(0.01)
        assert (mind.open_now, load.making) == (0, 0)

    run(act())


def test_nothing_is_read_by_who_forgets_or_while_no_core_is_idle() -> None:
    async def act() -> None:
        mind = Reader()
        reading(mind, Load(2), Recorder(), reads_ahead=False).begin(SAID)
        reading(mind, Load(1, making=1), Recorder()).begin(SAID)
        await asyncio.sleep(1)
        assert mind.bodies == []

    run(act())


def test_a_model_that_fails_is_counted_and_nothing_else() -> None:
    async def act() -> None:
        mind, load, metrics = Reader(), Load(2), Recorder()
        mind.answers.append(EngineError("broken, as wanted", engine="x"))
        reading(mind, load, metrics).begin(SAID)
        await asyncio.sleep(1)
        assert metrics.counted == [("reading_ahead_failed", "agent")]
        assert load.making == 0

    run(act())


def test_a_call_is_read_before_it_begins_and_after_each_reply() -> None:
    mind = Mind()

    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([quiet(1), voice(20), quiet(6)]))

    talk = Talk(mind=mind, parts={"thinking": Thinking(mind, reads_ahead=True)}).hold(act)
    first, question, after = mind.asked
    assert [each["content"] for each in first] == ["Be brief.", "."]
    assert [each["content"] for each in question] == ["Be brief.", "What time is it?"]
    assert [each["content"] for each in after] == ["Be brief.", "What time is it?", talk.caller.text(1), "."]


def test_a_question_stops_the_reading_and_the_end_of_the_call_too() -> None:
    mind = Mind()

    async def act(talk: Talk) -> None:
        await asyncio.sleep(0.01)
        assert mind.open_now == 1

    Talk(mind=mind, parts={"thinking": Thinking(mind, reads_ahead=True)}).hold(act)
    assert len(mind.asked) == 1
