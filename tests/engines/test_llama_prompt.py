from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.engines.llama_prompt import ChatAsk, Turn, estimate, fit, parse
from voxgate.errors import Code, PeerError

USER = {"role": "user", "content": "hi"}


def read(**body: Any) -> ChatAsk:
    return parse({"messages": [USER]} | body, default_tokens=60, most_tokens=512, temperature=0.5)


def test_a_plain_request() -> None:
    ask = read(model="gpt-x")
    assert (ask.stream, ask.show_usage) == (False, False)
    assert (ask.job.turns, ask.job.max_tokens, ask.job.sampling) == (({**USER},), 60, {"temperature": 0.5})


def test_everything_that_means_something_reaches_the_model() -> None:
    sampling = {
        "temperature": 1,
        "top_p": 0.9,
        "frequency_penalty": -1,
        "presence_penalty": 0.5,
        "seed": 7,
        "stop": ["\n"],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    }
    ask = read(stream=True, stream_options={"include_usage": True}, **sampling)
    assert (ask.stream, ask.show_usage, ask.job.sampling) == (True, True, sampling)


@pytest.mark.parametrize(
    ("asked", "given_tokens"),
    [
        ({}, 60),
        ({"max_tokens": None}, 60),
        ({"max_tokens": 10}, 10),
        ({"max_tokens": 100_000}, 512),
        ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
    ],
)
def test_how_long_a_reply_may_be(asked: dict[str, Any], given_tokens: int) -> None:
    assert read(**asked).job.max_tokens == given_tokens


def test_fields_that_ask_for_what_is_done_anyway_are_accepted() -> None:
    ask = read(
        n=1, logprobs=False, tools=[], tool_choice="none", modalities=["text"], user="u", metadata={"a": "b"},
        store=True, parallel_tool_calls=True, service_tier="auto", response_format={"type": "text"},
    )  # fmt: skip
    assert ask == read()


def test_text_parts_and_developer_messages() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    ask = read(messages=[{"role": "developer", "content": "be brief"}, {"role": "user", "content": parts}])
    assert ask.job.turns == ({"role": "system", "content": "be brief"}, {"role": "user", "content": "one\ntwo"})


def test_a_conversation_without_a_system_message_gets_ours() -> None:
    limits: dict[str, Any] = {"default_tokens": 60, "most_tokens": 512, "temperature": 0.5, "system": "Be kind."}
    assert parse({"messages": [USER]}, **limits).job.turns == ({"role": "system", "content": "Be kind."}, USER)
    theirs = {"role": "developer", "content": "Be brief."}
    assert parse({"messages": [USER, theirs]}, **limits).job.turns[1]["content"] == "Be brief."
    assert len(parse({"messages": [USER, theirs]}, **limits).job.turns) == 2


def test_guidance_is_added_to_whatever_system_message_there_is() -> None:
    limits: dict[str, Any] = {"default_tokens": 60, "most_tokens": 512, "temperature": 0.5, "system": "Be kind."}
    theirs = {"role": "system", "content": "Be brief."}
    for messages, told in (([USER], "Be kind.\nIn English."), ([theirs, USER], "Be brief.\nIn English.")):
        turns = parse({"messages": messages}, **limits, guidance="In English.").job.turns
        assert turns == ({"role": "system", "content": told}, USER)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": []}]}, "messages[0].tool_calls"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": []}, "functions"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["audio"]}, "modalities[0]"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"seed": -1}, "seed"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"id_slot": 0}, "id_slot"),
        ({"grammar": "x"}, "grammar"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(PeerError) as caught:
        read(**body)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_a_missing_field_has_its_own_code() -> None:
    with pytest.raises(PeerError) as caught:
        parse({}, default_tokens=60, most_tokens=512, temperature=0.5)
    assert (caught.value.code, caught.value.param) == (Code.MISSING_FIELD, "messages")


def test_errors_do_not_quote_what_was_said() -> None:
    with pytest.raises(PeerError) as caught:
        read(messages=[{"role": "user", "content": {"secret": "words"}}])
    assert "secret" not in caught.value.message


turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=60)}),
    min_size=1,
    max_size=30,
)


@given(turns, st.integers(0, 400))
def test_fitting_keeps_system_messages_the_last_turn_and_the_order(turns: list[Turn], budget: int) -> None:
    kept = fit(turns, budget)
    spoken = [turn for turn in turns if turn["role"] != "system"]
    left = [turn for turn in kept if turn["role"] != "system"]
    assert [turn for turn in kept if turn["role"] == "system"] == [turn for turn in turns if turn["role"] == "system"]
    assert left == spoken[len(spoken) - len(left) :]
    assert bool(left) == bool(spoken)
    assert estimate(kept) <= budget or len(left) <= 1
    rest = iter(turns)
    assert all(turn in rest for turn in kept)


@given(turns)
def test_what_fits_stays_whole(turns: list[Turn]) -> None:
    assert fit(turns, estimate(turns)) == tuple(turns)


def test_a_growing_conversation_keeps_its_beginning_for_a_while() -> None:
    """The model's work on an unchanged beginning is kept; one that changes with every turn is read anew each time."""
    system = {"role": "system", "content": "You are kind."}
    talk = [{"role": ("user", "assistant")[i % 2], "content": f"Sentence number {i} of this."} for i in range(61)]
    firsts = [fit([system, *talk[:count]], 200)[1]["content"] for count in range(1, 62, 2)]
    changes = sum(a != b for a, b in pairwise(firsts))
    assert changes <= len(firsts) // 2


@pytest.mark.parametrize(("text", "tokens"), [("", 8), ("abc", 9), ("abcd", 10), ("é", 10), ("aé", 11), ("ไทย", 17)])
def test_the_estimate(text: str, tokens: int) -> None:
    assert estimate([{"role": "user", "content": text}]) == tokens
