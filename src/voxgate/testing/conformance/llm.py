"""What every language model must do."""

import asyncio
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from voxgate.errors import VoxgateError
from voxgate.ports import LanguageModel
from voxgate.testing.conformance import expect

ASK: Mapping[str, Any] = {
    "model": "any",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant. Answer briefly."},
        {"role": "user", "content": "What is the capital of France?"},
    ],
    "max_tokens": 40,
}
FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter"})


async def ask(engine: LanguageModel, **more: Any) -> list[dict[str, Any]]:
    """Everything the engine answers to `ASK` with these fields changed."""
    async with engine.open({**ASK, **more}) as answer:
        return [one async for one in answer]


def text(pieces: Sequence[Mapping[str, Any]]) -> str:
    """What a streamed answer says."""
    deltas = [choice["delta"] for piece in pieces for choice in piece["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def _expect_head(one: Mapping[str, Any], kind: str) -> None:
    expect(one.get("object") == kind, f"object is {one.get('object')!r} instead of {kind!r}")
    for field, form in (("id", str), ("model", str), ("created", int), ("choices", list)):
        expect(isinstance(one.get(field), form), f"{field} is {one.get(field)!r}")
    expect(one["id"] and one["model"], "id or model is empty")


def _expect_usage(usage: Any) -> None:
    expect(isinstance(usage, Mapping), f"usage is {usage!r}")
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    expect(all(isinstance(count, int) and count >= 0 for count in counts), f"usage counts {counts}")
    expect(counts[0] > 0 and counts[0] + counts[1] == counts[2], f"usage does not add up: {counts}")


async def check_attributes(engine: LanguageModel) -> None:
    """The engine says what it is."""
    expect(isinstance(engine, LanguageModel), "the engine lacks open, model or demo")
    expect(isinstance(engine.model, str) and engine.model, "the model has no name")
    expect(isinstance(engine.demo, bool), "demo must be true or false")


async def check_whole_answer(engine: LanguageModel) -> None:
    """Without `stream` there is exactly one `chat.completion`, with its usage."""
    for asked in ({}, {"stream": False}, {"stream": None}):
        answers = await ask(engine, **asked)
        expect(len(answers) == 1, f"one answer was asked for, {len(answers)} came")
    [whole] = answers
    _expect_head(whole, "chat.completion")
    [choice] = whole["choices"]
    expect(choice["index"] == 0 and choice["finish_reason"] in FINISHES, f"the choice ends with {choice!r}")
    expect(choice["message"]["role"] == "assistant", "the answer is not the assistant's")
    expect(choice["message"]["content"], "the answer is empty")
    _expect_usage(whole.get("usage"))


async def check_stream(engine: LanguageModel) -> None:
    """With `stream` there are chunks: one id, the role first, then text, a reason to end, and no usage."""
    pieces = await ask(engine, stream=True)
    for piece in pieces:
        _expect_head(piece, "chat.completion.chunk")
        expect(len(piece["choices"]) == 1, f"a chunk has {len(piece['choices'])} choices")
        expect(piece.get("usage") is None, "usage came that nobody asked for")
    expect(len({piece["id"] for piece in pieces}) == 1, "the id changed within the stream")
    expect(pieces[0]["choices"][0]["delta"].get("role") == "assistant", "the first chunk does not say who speaks")
    reasons = [piece["choices"][0].get("finish_reason") for piece in pieces]
    expect(reasons[-1] in FINISHES and not any(reasons[:-1]), f"the reasons to end are {reasons}")
    expect(text(pieces), "the answer is empty")


async def check_usage_in_streams(engine: LanguageModel) -> None:
    """Usage comes last where it was asked for, and is known to the server also where it was not."""
    pieces = await ask(engine, stream=True, stream_options={"include_usage": True})
    expect(pieces[-1]["choices"] == [], "the last chunk is not the one with the usage")
    _expect_usage(pieces[-1].get("usage"))
    expect(not any(piece.get("usage") for piece in pieces[:-1]), "usage came more than once")
    async with engine.open({**ASK, "stream": True}) as answer:
        async for _ in answer:
            pass
        _expect_usage(answer.usage)


async def check_max_tokens(engine: LanguageModel) -> None:
    """A reply is no longer than asked, and says that it was cut."""
    for field in ("max_tokens", "max_completion_tokens"):
        [whole] = await ask(engine, **{"max_tokens": None, field: 2})
        [choice] = whole["choices"]
        expect(whole["usage"]["completion_tokens"] <= 2, f"{field} 2 gave {whole['usage']}")
        expect(choice["finish_reason"] == "length", f"a cut reply ends with {choice['finish_reason']!r}")


async def check_request_stays_the_callers(engine: LanguageModel) -> None:
    """The request is not changed."""
    body = copy.deepcopy({**ASK, "stream": True})
    before = copy.deepcopy(body)
    async with engine.open(body) as answer:
        async for _ in answer:
            pass
    expect(body == before, "the request was changed")


async def check_bad_requests(engine: LanguageModel) -> None:
    """A request that makes no sense is a typed error, and the next one is answered."""
    for messages in (None, [], "hi", [5], [{"content": "no role"}]):
        try:
            await ask(engine, messages=messages)
        except VoxgateError:
            continue
        raise AssertionError(f"messages {messages!r} were answered")
    expect(await ask(engine), "no answer after a bad request")


async def check_leaving(engine: LanguageModel) -> None:
    """A caller may leave before the first chunk or after it; the next one is answered."""
    for taken in (0, 1):
        async with engine.open({**ASK, "stream": True}) as answer:
            for _ in range(taken):
                await anext(answer)
    expect(text(await ask(engine, stream=True)), "no answer after a caller had left")


async def check_cancelled_callers(engine: LanguageModel) -> None:
    """Callers that are cancelled do not disturb the next one."""
    tasks = [asyncio.ensure_future(ask(engine, stream=bool(i % 2))) for i in range(4)]
    await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    expect(text(await ask(engine, stream=True)), "no answer after callers were cancelled")


async def check_many_at_once(engine: LanguageModel) -> None:
    """Requests at the same time get each its own answer."""
    answers = await asyncio.gather(*(ask(engine, stream=True) for _ in range(4)))
    ids = {pieces[0]["id"] for pieces in answers}
    expect(len(ids) == 4, f"four answers have {len(ids)} ids")
    for pieces in answers:
        expect(len({piece["id"] for piece in pieces}) == 1, "two answers were mixed")
        expect(text(pieces), "an answer is empty")
