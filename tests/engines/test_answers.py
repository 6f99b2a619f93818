from collections.abc import AsyncIterator
from typing import Any

import pytest

from voxgate.engines.answers import Answer, Chunk, merge, says_something, wants_usage

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> Chunk:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
    } | more


CHUNKS = [
    chunk({"role": "assistant", "content": ""}, usage=None),
    chunk({"content": "Hel"}, usage=None),
    chunk({"content": "lo"}, usage=None),
    chunk(finish="stop", usage=None),
    chunk(usage=USAGE) | {"choices": []},
]


async def stream(chunks: list[Chunk]) -> AsyncIterator[Chunk]:
    for one in chunks:
        yield one


async def test_usage_that_was_not_asked_for_is_counted_and_not_shown() -> None:
    answer = Answer(stream(CHUNKS), show_usage=False)
    seen = [one async for one in answer]
    assert seen == [{key: value for key, value in one.items() if key != "usage"} for one in CHUNKS[:-1]]
    assert answer.usage == USAGE


async def test_usage_that_was_asked_for_is_shown_as_it_came() -> None:
    answer = Answer(stream(CHUNKS), show_usage=True)
    assert [one async for one in answer] == CHUNKS
    assert answer.usage == USAGE


async def test_usage_in_the_last_chunk_with_text_leaves_the_text() -> None:
    answer = Answer(stream([chunk({"content": "x"}, "stop", usage=USAGE)]), show_usage=False)
    assert [one async for one in answer] == [chunk({"content": "x"}, "stop")]
    assert answer.usage == USAGE


async def test_the_first_words_are_reported_once_and_not_for_an_empty_opening() -> None:
    firsts: list[int] = []
    seen = 0
    answer = Answer(stream(CHUNKS), show_usage=True, on_first=lambda: firsts.append(seen))
    async for _ in answer:
        seen += 1
    assert firsts == [1]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
        ({"stream_options": "yes"}, False),
    ],
)
def test_wants_usage(body: dict[str, Any], wanted: bool) -> None:
    assert wants_usage(body) is wanted


def test_a_tool_call_says_something() -> None:
    assert says_something(chunk({"tool_calls": [{"index": 0}]}))
    assert not says_something(chunk({"role": "assistant", "content": ""}))
    assert not says_something({"choices": []})


def test_merge_adds_a_stream_up() -> None:
    whole = merge(CHUNKS)
    assert whole["object"] == "chat.completion"
    assert (whole["id"], whole["created"], whole["model"], whole["usage"]) == ("chatcmpl-1", 1, "m", USAGE)
    [choice] = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("chunks", [[], CHUNKS[:3]])
def test_merge_refuses_a_stream_that_never_ended(chunks: list[Chunk]) -> None:
    with pytest.raises(ValueError, match="finish_reason"):
        merge(chunks)
