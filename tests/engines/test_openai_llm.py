import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from tests.conftest import Recorder
from tests.engines.fake_upstream import Received, Reply, Upstream, event, head, say, stream, upstream
from voxgate.config import parse_section
from voxgate.engines.openai_llm import PLUGIN, OpenAILanguageModel, OpenAISettings, create
from voxgate.errors import Code, EngineError, RefusedError, UpstreamError
from voxgate.ports import EngineContext, LanguageModel

Engine = Callable[..., AbstractAsyncContextManager[tuple[OpenAILanguageModel, Upstream]]]

ASK = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}], "stream": True}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
    } | more


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


@pytest.fixture
def engine(metrics: Recorder) -> Engine:
    @asynccontextmanager
    async def make(reply: Reply, **settings: Any) -> AsyncIterator[tuple[OpenAILanguageModel, Upstream]]:
        async with upstream(reply) as fake:
            made = await create(
                EngineContext("openai", {}, metrics, 2),
                OpenAISettings.model_validate({"base_url": f"{fake.url}/v1/"} | settings),
            )
            try:
                yield made, fake
            finally:
                await made.aclose()

    return make


async def ask(engine: OpenAILanguageModel, body: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    async with engine.open(ASK if body is None else body) as answer:
        return [one async for one in answer]


def test_the_plugin() -> None:
    assert PLUGIN.port == "llm"
    assert PLUGIN.models(OpenAISettings()) == ()


async def test_is_a_language_model(engine: Engine) -> None:
    async with engine(say(200, COMPLETION), model="llama3") as (llm, _):
        assert isinstance(llm, LanguageModel)
        assert (llm.model, llm.demo) == ("llama3", False)


# what goes out


async def test_unknown_fields_pass_through_both_ways(engine: Engine) -> None:
    answer = COMPLETION | {"x_new": {"deep": [1, 2.5, None]}, "big": 2**80}
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": "ü\ud800"}], "tools": [{"a": 1}], "x_mine": [{}]}
    async with engine(say(200, answer)) as (llm, fake):
        assert await ask(llm, body) == [answer]
    [request] = fake.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.body == body


@pytest.mark.parametrize(
    ("settings", "asked", "sent"),
    [
        ({}, "gpt-x", "gpt-x"),
        ({"model": "llama3"}, "gpt-x", "llama3"),
        ({"model": "llama3", "models": {"gpt-x": "qwen"}}, "gpt-x", "qwen"),
        ({"models": {"gpt-y": "qwen"}}, "gpt-x", "gpt-x"),
        ({"model": "llama3"}, None, "llama3"),
        ({}, None, None),
    ],
)
async def test_the_model_that_is_asked_of_the_upstream(
    engine: Engine, settings: dict[str, Any], asked: str | None, sent: str | None
) -> None:
    body: dict[str, Any] = {"messages": []} | ({"model": asked} if asked else {})
    async with engine(say(200, COMPLETION), **settings) as (llm, fake):
        await ask(llm, body)
    assert fake.requests[0].body.get("model") == sent


async def test_credentials_and_headers(engine: Engine) -> None:
    async with engine(say(200, COMPLETION), api_key="sk-1", headers={"X-Org": "o"}) as (llm, fake):
        await ask(llm, {"messages": []})
    assert fake.requests[0].headers["authorization"] == "Bearer sk-1"
    assert fake.requests[0].headers["x-org"] == "o"
    assert fake.requests[0].headers["user-agent"].startswith("voxgate/")


async def test_no_key_no_authorization(engine: Engine) -> None:
    async with engine(say(200, COMPLETION)) as (llm, fake):
        await ask(llm, {"messages": []})
    assert "authorization" not in fake.requests[0].headers


def test_the_key_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    settings = parse_section(OpenAISettings, {"api_key_file": str(file)}, at="engines.openai", origins={})
    assert settings.api_key == SecretStr("sk-file")


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "127.0.0.1:11434"},
        {"base_url": "ftp://x"},
        {"idle_timeout_s": 0},
        {"api_keys": "a"},
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAISettings.model_validate(settings)


def test_settings_show_no_secret() -> None:
    assert "sk-1" not in repr(OpenAISettings.model_validate({"api_key": "sk-1", "headers": {"x-key": "sk-1"}}))


# streams


async def test_a_stream_cut_anywhere_with_comments_and_crlf(engine: Engine) -> None:
    chunks = [chunk(""), chunk("Xin chào 👋"), chunk("!"), chunk(finish="stop")]
    data = b": PROCESSING\r\n\r\n" + b"".join(event(one, "\r\n") for one in chunks) + b"data: [DONE]\r\n\r\n"
    pieces = [data[i : i + 7] for i in range(0, len(data), 7)]
    async with engine(stream(*pieces)) as (llm, _):
        assert await ask(llm) == chunks


async def test_a_json_value_over_several_data_lines(engine: Engine) -> None:
    lines = json.dumps(chunk("x", "stop"), indent=1).splitlines()
    data = "".join(f"data: {line}\n" for line in lines).encode() + b"\n"
    async with engine(stream(data, event("[DONE]"))) as (llm, _):
        assert await ask(llm) == [chunk("x", "stop")]


async def test_nothing_after_done_is_read(engine: Engine) -> None:
    async with engine(stream(event(chunk("x", "stop")), event("[DONE]") + event(chunk("y")))) as (llm, _):
        assert await ask(llm) == [chunk("x", "stop")]


async def test_a_stream_without_done_is_complete_once_it_said_why_it_ended(engine: Engine) -> None:
    async with engine(stream(event(chunk("x", "stop")))) as (llm, _):
        assert await ask(llm) == [chunk("x", "stop")]


async def test_a_stream_that_ends_in_the_middle_is_an_error(engine: Engine) -> None:
    async with engine(stream(event(chunk("x")))) as (llm, _):
        with pytest.raises(EngineError, match="in the middle") as caught:
            await ask(llm)
    assert caught.value.retryable


async def test_a_connection_that_breaks_in_the_middle_is_an_error(engine: Engine) -> None:
    async def reply(writer: asyncio.StreamWriter, _: Received) -> None:
        piece = event(chunk("x"))
        writer.write(head(200, "text/event-stream") + f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
        writer.close()

    async with engine(reply) as (llm, _):
        with pytest.raises(EngineError, match="broke") as caught:
            await ask(llm)
    assert caught.value.retryable


async def test_usage_is_asked_for_counted_and_hidden(engine: Engine, metrics: Recorder) -> None:
    last = chunk(usage=USAGE) | {"choices": []}
    async with engine(stream(event(chunk("x", "stop", usage=None)), event(last), event("[DONE]"))) as (llm, fake):
        async with llm.open(ASK | {"stream_options": {"other": 1}}) as answer:
            assert [one async for one in answer] == [chunk("x", "stop")]
        assert answer.usage == USAGE
    assert fake.requests[0].body["stream_options"] == {"other": 1, "include_usage": True}
    assert ("first_token", "openai") in metrics.observed


async def test_usage_that_the_client_asked_for_is_passed_on(engine: Engine) -> None:
    last = chunk(usage=USAGE) | {"choices": []}
    async with engine(stream(event(chunk("x", "stop")), event(last), event("[DONE]"))) as (llm, _):
        assert await ask(llm, ASK | {"stream_options": {"include_usage": True}}) == [chunk("x", "stop"), last]


async def test_an_upstream_that_refuses_stream_options_is_not_asked(engine: Engine) -> None:
    async with engine(stream(event(chunk("x", "stop", usage=USAGE))), ask_for_usage=False) as (llm, fake):
        assert await ask(llm) == [chunk("x", "stop", usage=USAGE)]
    assert "stream_options" not in fake.requests[0].body


async def test_an_upstream_that_does_not_stream_answers_in_one_chunk(engine: Engine) -> None:
    async with engine(say(200, COMPLETION)) as (llm, _):
        [one] = await ask(llm)
    assert one["object"] == "chat.completion.chunk"
    assert one["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]


async def test_connections_are_used_again(engine: Engine) -> None:
    async with engine(stream(event(chunk("x", "stop")), event("[DONE]"))) as (llm, fake):
        for _ in range(3):
            await ask(llm)
    assert (fake.connections, len(fake.requests)) == (1, 3)


async def test_a_kept_connection_that_the_upstream_closed_is_no_error(engine: Engine) -> None:
    async def reply(writer: asyncio.StreamWriter, received: Received) -> None:
        if len(fake.requests) == 2:
            writer.close()  # the request came while the upstream was closing its idle connection
            return
        await say(200, COMPLETION)(writer, received)

    async with engine(reply) as (llm, fake):
        assert await ask(llm, {"messages": []}) == [COMPLETION]
        assert await ask(llm, {"messages": []}) == [COMPLETION]
    assert len(fake.requests) == 3


# who leaves


async def test_leaving_a_stream_hangs_up(engine: Engine) -> None:
    async with engine(stream(event(chunk("x")), end=False)) as (llm, fake):
        async with llm.open(ASK) as answer:
            assert await anext(answer) == chunk("x")
            assert not fake.hung_up.is_set()
        await asyncio.wait_for(fake.hung_up.wait(), 5)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_cancelled_caller_hangs_up(engine: Engine, streaming: bool) -> None:
    asked = asyncio.Event()

    async def reply(_: asyncio.StreamWriter, __: Received) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with engine(reply) as (llm, fake):
        task = asyncio.ensure_future(ask(llm, ASK | {"stream": streaming}))
        await asyncio.wait_for(asked.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(fake.hung_up.wait(), 5)


# errors


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_upstreams_error_keeps_status_message_and_retry_after(engine: Engine, streaming: bool) -> None:
    said = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit", "param": None}}
    async with engine(say(429, said, Retry_After="7")) as (llm, _):
        with pytest.raises(UpstreamError) as caught:
            await ask(llm, ASK | {"stream": streaming})
    error = caught.value
    assert (error.status, json.loads(error.body), error.content_type) == (429, said, "application/json")
    assert (error.retry_after_s, error.code, error.engine, error.retryable) == (7, Code.UPSTREAM_ERROR, "openai", False)


async def test_an_upstreams_error_that_is_a_page(engine: Engine) -> None:
    page = b"<html>" + b"x" * 100_000
    async with engine(say(502, page, "text/html", Retry_After="Thu, 01 Jan 1970 00:00:00 GMT")) as (llm, _):
        with pytest.raises(UpstreamError) as caught:
            await ask(llm)
    assert (caught.value.status, caught.value.content_type, caught.value.retryable) == (502, "text/html", True)
    assert caught.value.retry_after_s == 0
    assert len(caught.value.body) == 16 * 1024


async def test_our_key_is_not_shown_to_clients(engine: Engine) -> None:
    said = {"error": {"message": "Incorrect API key provided: sk-secret."}}
    async with engine(say(401, said), api_key="sk-secret") as (llm, _):
        with pytest.raises(UpstreamError) as caught:
            await ask(llm)
    assert b"sk-secret" not in caught.value.body
    assert b"Incorrect API key provided: ***." in caught.value.body


@pytest.mark.parametrize(
    ("reply", "status", "message"),
    [
        (say(200, {"error": {"message": "no memory", "code": 500}}), 500, "no memory"),
        (say(200, {"error": "no memory"}), 502, "no memory"),
        (stream(event({"error": {"message": "no memory", "code": "server_error"}})), 502, "no memory"),
        (stream(event(chunk("x")), event({"error": {"message": "no memory", "code": 503}})), 503, "no memory"),
        (stream(b'event: error\ndata: {"message": "no memory"}\n\n'), 502, "no memory"),
    ],
)
async def test_errors_inside_a_200(engine: Engine, reply: Reply, status: int, message: str) -> None:
    async with engine(reply) as (llm, _):
        with pytest.raises(UpstreamError) as caught:
            await ask(llm)
    assert (caught.value.status, json.loads(caught.value.body)["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    ("reply", "body", "what"),
    [
        (say(200, b"<html>"), {"messages": []}, "not JSON"),
        (say(200, []), {"messages": []}, "without choices"),
        (say(200, {"choices": None}), {"messages": []}, "without choices"),
        (say(200, b"x" * (17 * 1024 * 1024)), {"messages": []}, "more than"),
        (stream(b"data: {oops\n\n"), ASK, "not JSON"),
        (stream(b"data: 5\n\n"), ASK, "no object"),
        (stream(b"data: " + b"x" * (5 * 1024 * 1024)), ASK, "more than"),
        (say(307, b"", Location="/elsewhere"), ASK, "redirection"),
    ],
)
async def test_answers_that_make_no_sense(engine: Engine, reply: Reply, body: dict[str, Any], what: str) -> None:
    async with engine(reply) as (llm, _):
        with pytest.raises(EngineError, match=what) as caught:
            await ask(llm, body)
    assert caught.value.code is Code.ENGINE_ERROR
    assert not isinstance(caught.value, UpstreamError)


async def test_an_upstream_that_is_down_can_be_tried_again(engine: Engine) -> None:
    async with engine(say(200, COMPLETION)) as (_, fake):
        address = fake.url
    async with engine(say(200, COMPLETION), base_url=address) as (llm, _):
        with pytest.raises(EngineError) as caught:
            await ask(llm)
    assert (caught.value.code, caught.value.retryable) == (Code.ENGINE_UNAVAILABLE, True)
    assert "127.0.0.1" in caught.value.message


@pytest.mark.parametrize(
    ("reply", "settings", "body"),
    [
        (stream(end=False), {"first_byte_timeout_s": 0.05}, ASK),
        (stream(event(chunk("x")), end=False), {"idle_timeout_s": 0.05}, ASK),
        (stream(end=False), {"answer_timeout_s": 0.05}, {"messages": []}),
    ],
)
async def test_an_upstream_that_is_silent_too_long(
    engine: Engine, reply: Reply, settings: dict[str, Any], body: dict[str, Any]
) -> None:
    async with engine(reply, **settings) as (llm, fake):
        with pytest.raises(EngineError, match=r"within 0\.05 s") as caught:
            await ask(llm, body)
        await asyncio.wait_for(fake.hung_up.wait(), 5)
    assert caught.value.code is Code.ENGINE_TIMEOUT


async def test_one_request_more_than_there_are_connections_is_refused(engine: Engine) -> None:
    forever = stream(event(chunk("x")), end=False)
    async with engine(forever, max_connections=1, connect_timeout_s=0.05) as (llm, _), llm.open(ASK) as answer:
        await anext(answer)
        with pytest.raises(RefusedError) as caught:
            await ask(llm)
    assert (caught.value.code, caught.value.retry_after_s) == (Code.BUSY, 2)


async def test_an_error_of_the_caller_is_its_own(engine: Engine) -> None:
    async with engine(stream(event(chunk("x")), end=False)) as (llm, fake):
        with pytest.raises(TimeoutError, match="mine"):
            async with llm.open(ASK):
                raise TimeoutError("mine")
        await asyncio.wait_for(fake.hung_up.wait(), 5)
