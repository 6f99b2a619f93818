from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxgate.testing.conformance import Check, llm
from voxgate.testing.scripted import ScriptedAnswer, ScriptedLanguageModel, ScriptedLlmSettings

Chunk = dict[str, Any]
Bend = Callable[[Mapping[str, Any], list[Chunk]], list[Chunk]]


class Broken(ScriptedLanguageModel):
    """Answers what the script says, bent."""

    def __init__(self, bend: Bend, **attributes: Any) -> None:
        super().__init__("broken", ScriptedLlmSettings())
        self._bend = bend
        self.opened = 0
        self.usage: Mapping[str, Any] | None = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        vars(self).update(attributes)

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[ScriptedAnswer]:
        self.opened += 1
        async with super().open(body) as answer:
            said = [one async for one in answer]

        async def bent() -> AsyncIterator[Chunk]:
            for one in self._bend(body, said):
                yield one

        answer = ScriptedAnswer(bent(), self.usage or {})
        answer.usage = self.usage
        yield answer


def each(**fields: Any) -> Bend:
    return lambda _, said: [one | fields for one in said]


def fine(_: Mapping[str, Any], said: list[Chunk]) -> list[Chunk]:
    return said


def other_ids(_: Mapping[str, Any], said: list[Chunk]) -> list[Chunk]:
    return [one | {"id": str(index)} for index, one in enumerate(said)]


def always_usage(_: Mapping[str, Any], said: list[Chunk]) -> list[Chunk]:
    return [*said, said[-1] | {"choices": [], "usage": {}}]


def never_usage(_: Mapping[str, Any], said: list[Chunk]) -> list[Chunk]:
    return [one for one in said if one["choices"]]


def scribble(body: Mapping[str, Any], said: list[Chunk]) -> list[Chunk]:
    body["messages"].append({"role": "assistant", "content": "x"})
    return said


def content(value: Any) -> Bend:
    def bend(_: Mapping[str, Any], said: list[Chunk]) -> list[Chunk]:
        for one in said:
            for choice in one["choices"]:
                choice.get("message", choice.get("delta", {}))["content"] = value
        return said

    return bend


class Unlimited(Broken):
    def open(self, body: Mapping[str, Any]) -> Any:
        return super().open({**body, "max_tokens": None, "max_completion_tokens": None})


class Gullible(Broken):
    def open(self, body: Mapping[str, Any]) -> Any:
        return super().open({**body, "messages": [{"role": "user", "content": "hi"}]})


BROKEN: list[tuple[str, Any]] = [
    ("check_attributes", Broken(fine, model="")),
    ("check_attributes", Broken(fine, demo=None)),
    ("check_whole_answer", Broken(lambda _, said: said * 2)),
    ("check_whole_answer", Broken(each(object="chat.completion.chunk"))),
    ("check_whole_answer", Broken(each(id=""))),
    ("check_whole_answer", Broken(each(created="now"))),
    ("check_whole_answer", Broken(each(usage=None))),
    ("check_whole_answer", Broken(each(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 1}))),
    ("check_whole_answer", Broken(content(""))),
    ("check_stream", Broken(other_ids)),
    ("check_stream", Broken(lambda _, said: said[1:])),
    ("check_stream", Broken(lambda _, said: said[:-1])),
    ("check_stream", Broken(lambda _, said: [*said, said[-1]])),
    ("check_stream", Broken(each(object="chat.completion"))),
    ("check_stream", Broken(always_usage)),
    ("check_stream", Broken(content(None))),
    ("check_usage_in_streams", Broken(never_usage)),
    ("check_usage_in_streams", Broken(fine, usage=None)),
    ("check_max_tokens", Unlimited(fine)),
    ("check_request_stays_the_callers", Broken(scribble)),
    ("check_bad_requests", Gullible(fine)),
    ("check_many_at_once", Broken(each(id="chatcmpl-1"))),
]


@pytest.mark.parametrize(("name", "engine"), BROKEN)
async def test_a_broken_engine_is_found_out(name: str, engine: Broken) -> None:
    check: Check = getattr(llm, name)
    with pytest.raises(AssertionError):
        await check(engine)


@pytest.mark.parametrize("name", ["check_leaving", "check_cancelled_callers"])
async def test_an_engine_that_remembers_its_callers_is_found_out(name: str) -> None:
    engine = Broken(fine)
    engine._bend = lambda _, said: said if engine.opened < 3 else said[-1:]
    check: Check = getattr(llm, name)
    with pytest.raises(AssertionError):
        await check(engine)
