"""Chat on a whole server: over a scripted model, and over an upstream that answers byte by byte as a test tells it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engines.fake_upstream import Reply, Upstream, event, say, stream, upstream
from tests.gateways.test_rest_edge import error_of
from tests.inside import Inside, inside, listening
from tests.serving import SCRIPTED

pytestmark = pytest.mark.slow

ANSWER = "This is the scripted answer. It is always the same."
KEY = "sk-our-own-secret"
HELLO = [{"role": "user", "content": "hello"}]
LLM = frozenset({"llm"})
PRICED = "[prices]\nchat_credits_per_1000_tokens = 1\n"


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, SCRIPTED, ports=LLM) as running:
        yield running


@asynccontextmanager
async def behind(reply: Reply, folder: Path, more: str = "") -> AsyncIterator[tuple[Inside, Upstream]]:
    """A server whose language model is a fake upstream."""
    config = SCRIPTED.replace("scripted_llm", "openai") + more
    async with upstream(reply) as fake:
        variables = {"OPENAI_BASE_URL": f"{fake.url}/v1", "OPENAI_API_KEY": KEY}
        async with inside(folder, config, ports=LLM, **variables) as running:
            yield running, fake


async def ask(running: Inside, key: str | None = None, **fields: Any) -> httpx.Response:
    async with running.client(key) as client:
        return await client.post("/v1/chat/completions", json={"model": "valsea-fast", "messages": HELLO} | fields)


def events_of(response: httpx.Response) -> list[Any]:
    assert response.headers["Content-Type"].startswith("text/event-stream")
    blocks = response.text.split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") for block in blocks)
    data = [block.removeprefix("data: ") for block in blocks]
    return [part if part == "[DONE]" else json.loads(part) for part in data]


def chunk(content: str, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return event({"object": "chat.completion.chunk", "choices": [choice]} | more)


USAGE = {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}
END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
COUNTED = event({"choices": [], "usage": USAGE})
DONE = event("[DONE]")
WHOLE = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "hi"}}], "usage": USAGE}


# over a scripted model


async def test_an_answer_in_one_piece(scripted: Inside) -> None:
    response = await ask(scripted)
    answer = response.json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == ANSWER
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert (response.headers["X-Credits-Used"], response.headers["X-Credits-Remaining"]) == ("0", scripted.credits_)


async def test_a_streamed_answer_is_the_same_in_pieces(scripted: Inside) -> None:
    response = await ask(scripted, stream=True)
    *chunks, last = events_of(response)
    assert last == "[DONE]"
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == ANSWER
    assert len(chunks) > 5
    assert not any(c.get("usage") for c in chunks), "nobody asked for it"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Credits-Remaining"] == scripted.credits_


async def test_usage_is_streamed_where_it_is_asked_for(scripted: Inside) -> None:
    *_, counted, _done = events_of(await ask(scripted, stream=True, stream_options={"include_usage": True}))
    assert counted["choices"] == []
    assert counted["usage"]["completion_tokens"] == 10


async def test_nulls_mean_absent_as_in_openais_own_dialect(scripted: Inside) -> None:
    response = await ask(scripted, stream=None, max_tokens=None, n=None, stream_options=None, temperature=None)
    assert response.json()["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": ""}, 400, "invalid_value", "model"),
        ({"model": 7}, 400, "invalid_value", "model"),
        ({"model": "whisper-1"}, 404, "model_not_found", "model"),
        ({"model": "nothing"}, 404, "model_not_found", "model"),
        ({"messages": []}, 400, "invalid_value", "messages"),
        ({"messages": "hello"}, 400, "invalid_value", "messages"),
        ({"messages": ["hello"]}, 400, "invalid_value", "messages.0"),
        ({"messages": [{}]}, 400, "invalid_value", "messages[0]"),
        ({"stream": "perhaps"}, 400, "invalid_value", "stream"),
        ({"stream_options": 3}, 400, "invalid_value", "stream_options"),
        ({"max_tokens": 0}, 400, "invalid_value", "max_tokens"),
        ({"max_tokens": 10**30}, 400, "invalid_value", "max_tokens"),
        ({"max_completion_tokens": "many"}, 400, "invalid_value", "max_completion_tokens"),
        ({"n": 0}, 400, "invalid_value", "n"),
    ],
)
async def test_every_wrong_field_is_named(
    scripted: Inside, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    for streaming in (False, True):
        response = await ask(scripted, **({"stream": streaming} | fields))
        assert response.status_code == status
        assert (error_of(response)["code"], error_of(response)["param"]) == (code, param)
        assert "X-Credits-Used" not in response.headers


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud800"', "[" * 3000 + "]" * 3000, "1" * 5000])
async def test_what_json_cannot_say_is_refused(scripted: Inside, value: str) -> None:
    body = '{"model": "valsea-fast", "messages": [{"role": "user", "content": ' + value + "}]}"
    async with scripted.client() as client:
        headers = {"Content-Type": "application/json"}
        response = await client.post("/v1/chat/completions", content=body, headers=headers)
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(("failure", "status", "code"), [("busy", 503, "busy"), ("fail", 500, "engine_error")])
async def test_a_failing_model_costs_nothing(tmp_path: Path, failure: str, status: int, code: str) -> None:
    async with inside(tmp_path, f"{SCRIPTED}{PRICED}[engines.scripted_llm]\n{failure}_every = 1", ports=LLM) as running:
        for streaming in (False, True):
            response = await ask(running, stream=streaming)
            assert (response.status_code, error_of(response)["code"]) == (status, code)
            assert ("Retry-After" in response.headers) is (status == 503)
        assert await balance(running) == (100, 0)


async def balance(running: Inside, key: str | None = None) -> tuple[Any, Any]:
    async with running.client(key) as client:
        left = (await client.get("/v1/credits")).json()
    return left["balance"], left["held"]


# credits


async def test_tokens_are_sold_at_their_price(tmp_path: Path) -> None:
    async with inside(tmp_path, SCRIPTED + PRICED, ports=LLM) as running:
        response = await ask(running)
        tokens = response.json()["usage"]["total_tokens"]
        assert float(response.headers["X-Credits-Used"]) == pytest.approx(tokens / 1000)
        assert await balance(running) == (pytest.approx(100 - tokens / 1000), 0)
        await ask(running, stream=True)
        assert await balance(running) == (pytest.approx(100 - 2 * tokens / 1000), 0)


async def test_an_answer_is_paid_ahead_or_not_begun(tmp_path: Path) -> None:
    async with inside(tmp_path, SCRIPTED + PRICED, ports=LLM) as running:
        key = await running.new_key("small", "0.5")
        for streaming in (False, True):
            refused = await ask(running, key, stream=streaming)  # 4,096 tokens may come: 4 credits
            assert (refused.status_code, error_of(refused)["code"]) == (402, "insufficient_credits")
        assert (await ask(running, key, max_tokens=100, n=9)).status_code == 402
        assert (await ask(running, key, max_tokens=100)).status_code == 200
        assert (await balance(running, key))[1] == 0


# over an upstream


async def test_a_request_goes_through_with_everything_in_it(tmp_path: Path) -> None:
    async with behind(say(200, WHOLE | {"x_more": 1 << 70}), tmp_path) as (running, fake):
        tools = [{"type": "function", "function": {"name": "f"}}]
        response = await ask(running, tools=tools, x_unknown={"deep": [1, None]}, temperature=0.5)
    assert response.json()["choices"] == WHOLE["choices"]
    assert response.json()["x_more"] == 1 << 70
    (sent,) = fake.requests
    assert sent.line == "POST /v1/chat/completions HTTP/1.1"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert running.key not in str(sent)
    assert sent.body == {
        "model": "gpt-4o-mini",
        "messages": HELLO,
        "tools": tools,
        "x_unknown": {"deep": [1, None]},
        "temperature": 0.5,
    }


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 503])
async def test_an_upstreams_refusal_keeps_its_status_and_its_words(
    tmp_path: Path, status: int, streaming: bool
) -> None:
    refusal = {"error": {"message": f"no, said the model, {KEY}", "type": "t", "code": "c", "param": None}}
    async with behind(say(status, refusal, Retry_After="7"), tmp_path, PRICED) as (running, _):
        response = await ask(running, stream=streaming)
        assert await balance(running) == (100, 0)
    assert response.status_code == status
    assert response.json()["error"]["message"] == "no, said the model, ***"
    assert response.json()["error"]["code"] == "c"
    assert response.headers["Retry-After"] == "7"
    assert "X-Request-Id" in response.headers
    assert "X-Credits-Used" not in response.headers


async def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    async with upstream(say(200, WHOLE)) as gone:
        url = gone.url
    async with inside(tmp_path, SCRIPTED.replace("scripted_llm", "openai"), ports=LLM, OPENAI_BASE_URL=url) as running:
        response = await ask(running)
    assert (response.status_code, error_of(response)["code"]) == (503, "engine_unavailable")
    assert response.headers["Retry-After"] == "5"


async def test_a_stream_that_breaks_ends_with_its_error_and_is_paid_as_far_as_it_went(tmp_path: Path) -> None:
    late = event({"error": {"message": "out of memory", "code": 500}})
    async with behind(stream(chunk("a"), chunk("b"), late), tmp_path, PRICED) as (running, _):
        *chunks, last = events_of(await ask(running, stream=True))
        assert [c["choices"][0]["delta"]["content"] for c in chunks] == ["a", "b"]
        assert last["error"]["code"] == "upstream_error"
        assert await balance(running) == (pytest.approx(100 - 0.002), 0)


async def test_half_an_emoji_in_a_chunk_goes_through(tmp_path: Path) -> None:
    halves = (b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n', chunk("x"))
    async with behind(stream(*halves, END, DONE), tmp_path) as (running, _):
        first, *_ = events_of(await ask(running, stream=True))
    assert first["choices"][0]["delta"]["content"] == "\ud83d"


async def test_the_usage_an_upstream_tells_is_what_is_sold(tmp_path: Path) -> None:
    pieces = (chunk("a"), chunk("b"), END, COUNTED, DONE)
    async with behind(stream(*pieces), tmp_path, PRICED) as (running, fake):
        events = events_of(await ask(running, stream=True))
        assert fake.requests[0].body["stream_options"] == {"include_usage": True}
        assert len(events) == 4, "nobody asked for the usage, so nobody sees it"
        assert await balance(running) == (pytest.approx(100 - 0.05), 0)


@pytest.mark.parametrize("streaming", [False, True])
async def test_who_hangs_up_cancels_the_upstream_and_pays_for_what_came(tmp_path: Path, streaming: bool) -> None:
    async def never(writer: asyncio.StreamWriter, _: Any) -> None:
        await asyncio.Event().wait()

    reply = stream(chunk("a"), chunk("b"), end=False) if streaming else never
    async with (
        behind(reply, tmp_path, PRICED) as (running, fake),
        listening(running.server.app) as url,
    ):
        body = {"model": "valsea-fast", "messages": HELLO, "stream": streaming}
        headers = {"Authorization": f"Bearer {running.key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            if streaming:
                async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                    pieces = response.aiter_text()
                    seen = ""
                    while '"b"' not in seen:
                        seen += await anext(pieces)
            else:
                asking = asyncio.create_task(client.post("/v1/chat/completions", json=body))
                while not fake.requests:
                    await asyncio.sleep(0.01)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(fake.hung_up.wait(), 5)
        while (await balance(running))[1]:
            await asyncio.sleep(0.01)
        assert await balance(running) == (pytest.approx(99.998 if streaming else 100), 0)
        measured = running.server.metrics.text().decode()
        assert f'method="POST",route="/v1/chat/completions",status="{200 if streaming else 499}"' in measured


async def test_without_upstream_and_model_both_ways_to_get_one_are_told(tmp_path: Path) -> None:
    async with inside(tmp_path, SCRIPTED.replace("scripted_llm", "llama"), ports=LLM) as running:
        response = await ask(running)
    assert (response.status_code, error_of(response)["code"]) == (503, "engine_unavailable")
    assert "OPENAI_BASE_URL" in error_of(response)["message"]
    assert "voxgate models pull smollm2-135m-instruct-q4_1" in error_of(response)["message"]
