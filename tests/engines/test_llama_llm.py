import asyncio
import http.client
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.conftest import Recorder, absent
from voxgate.engines.llama_llm import PLUGIN, LlamaLanguageModel, LlamaSettings, create
from voxgate.engines.llama_prompt import estimate
from voxgate.errors import Code, ModelError, PeerError, VoxgateError
from voxgate.ports import EngineContext, LanguageModel

FRANCE = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0, "seed": 1}
STORY = {"messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 400}


def test_the_plugin() -> None:
    assert PLUGIN.port == "llm"
    assert PLUGIN.models(LlamaSettings()) == ("smollm2-135m-instruct-q4_1",)


def test_a_slot_is_needed() -> None:
    with pytest.raises(ValidationError):
        LlamaSettings(slots=0)


async def test_a_folder_without_weights(metrics: Recorder, tmp_path: Path) -> None:
    settings = LlamaSettings()
    with pytest.raises(ModelError) as caught:
        await create(EngineContext("llama", {settings.model: tmp_path}, metrics, 2), settings)
    assert caught.value.code is Code.MODEL_BROKEN
    assert "voxgate models verify" in caught.value.message


@asynccontextmanager
async def loaded(metrics: Recorder, **settings: Any) -> AsyncIterator[LlamaLanguageModel]:
    made = LlamaSettings(**settings)
    folder = models_folder() / made.model
    if not folder.is_dir():
        absent("models", made.model)
    engine = await create(EngineContext("llama", {made.model: folder}, metrics, 2), made)
    try:
        yield engine
    finally:
        await engine.aclose()


def models_folder() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(os.environ.get("VOXGATE_MODELS_DIR") or Path(data) / "voxgate/models")


@pytest.fixture
async def engine(metrics: Recorder) -> AsyncIterator[LlamaLanguageModel]:
    async with loaded(metrics) as made:
        yield made


async def ask(engine: LlamaLanguageModel, body: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    async with engine.open(body | more) as answer:
        return [one async for one in answer]


def text(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces if piece["choices"])


@pytest.mark.slow
async def test_it_answers_whole_and_in_pieces(engine: LlamaLanguageModel, metrics: Recorder) -> None:
    assert isinstance(engine, LanguageModel)
    assert engine.demo
    [whole] = await ask(engine, FRANCE, model="valsea-fast")
    assert "Paris" in whole["choices"][0]["message"]["content"]
    assert whole["model"] == "smollm2-135m-instruct-q4_1"
    pieces = await ask(engine, FRANCE, stream=True)
    assert text(pieces) == whole["choices"][0]["message"]["content"]
    assert ("first_token", "llama") in metrics.observed
    assert set(pieces[0]) == {"id", "object", "created", "model", "choices"}


@pytest.mark.slow
async def test_a_reply_ends_where_asked_and_where_the_house_says(metrics: Recorder) -> None:
    async with loaded(metrics, reply_tokens=5, max_reply_tokens=12) as engine:
        for asked, tokens in (({}, 5), ({"max_tokens": 3}, 3), ({"max_tokens": 400}, 12)):
            [whole] = await ask(engine, STORY | {"max_tokens": None} | asked)
            assert (whole["usage"]["completion_tokens"], whole["choices"][0]["finish_reason"]) == (tokens, "length")


@pytest.mark.slow
async def test_leaving_frees_the_slot_at_once(metrics: Recorder) -> None:
    async with loaded(metrics, slots=1) as engine:
        async with engine.open(STORY | {"stream": True}) as answer:
            await anext(answer)
        task = asyncio.ensure_future(ask(engine, STORY))  # one that is not streamed can be left, too
        while metrics.gauges.get(("active", "llama")) != 1:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with engine.open(FRANCE | {"stream": True, "max_tokens": 1}) as answer:
            assert await anext(answer)
        async with asyncio.timeout(2):  # the story takes four seconds
            while metrics.gauges["active", "llama"]:
                await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_two_at_once_do_not_mix(engine: LlamaLanguageModel) -> None:
    alone = await ask(engine, FRANCE, stream=True)
    talk = {"messages": [{"role": "user", "content": "Count from one to ten."}], "temperature": 0, "stream": True}
    first, second, again = await asyncio.gather(
        ask(engine, FRANCE, stream=True), ask(engine, talk), ask(engine, FRANCE)
    )
    assert "Paris" in text(alone)
    assert "Paris" in text(first)
    assert "Paris" in again[0]["choices"][0]["message"]["content"]
    assert "Paris" not in text(second)
    assert len({alone[0]["id"], first[0]["id"], second[0]["id"], again[0]["id"]}) == 4


@pytest.mark.slow
async def test_a_long_conversation_loses_its_oldest_turns(metrics: Recorder) -> None:
    async with loaded(metrics, history_tokens=300) as engine:
        talk = [
            {"role": ("user", "assistant")[i % 2], "content": f"Sentence {i} about the weather in this town. " * 8}
            for i in range(31)
        ]
        [whole] = await ask(engine, {"messages": [{"role": "system", "content": "Be kind."}, *talk], "max_tokens": 4})
        assert 0 < whole["usage"]["prompt_tokens"] <= 300


@pytest.mark.slow
async def test_the_estimate_is_no_lower_than_the_models_own_count(engine: LlamaLanguageModel) -> None:
    story = (
        "On Tuesday, the 14th of March, Mrs. O'Neill took the 8:15 train to Edinburgh; it cost her £42.50 (return). "
        "She had never been there before, and the rain didn't stop once!"
    )
    for content in (story, story * 4, "Xin chào, tôi muốn đặt bàn cho hai người.", "สวัสดีครับ"):
        turns = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": content}]
        [whole] = await ask(engine, {"messages": turns, "max_tokens": 1})
        assert whole["usage"]["prompt_tokens"] <= estimate(turns) + 16


@pytest.mark.slow
async def test_text_that_has_more_tokens_than_guessed_is_cut_again_or_refused(engine: LlamaLanguageModel) -> None:
    digits = {"role": "user", "content": "1 2 3 " * 160}  # every digit and every space is a token of its own
    talk = {"messages": [{"role": "user", "content": "7" * 2200}, {"role": "assistant", "content": "ok"}, digits]}
    [whole] = await ask(engine, talk, max_tokens=4)
    assert whole["usage"]["prompt_tokens"] < 2048
    with pytest.raises(PeerError) as caught:
        await ask(engine, {"messages": [{"role": "user", "content": "7" * 6000}]})
    assert (caught.value.code, caught.value.param) == (Code.INPUT_TOO_LONG, "messages")


@pytest.mark.slow
async def test_json_where_asked_and_a_schema_that_cannot_be(engine: LlamaLanguageModel) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    [whole] = await ask(engine, FRANCE, response_format=form)
    assert re.match(r'\s*\{\s*"n"\s*:', whole["choices"][0]["message"]["content"])
    form["json_schema"] = {"name": "x", "schema": {"type": "bogus"}}
    with pytest.raises(PeerError) as caught:
        await ask(engine, FRANCE, response_format=form)
    assert caught.value.param == "response_format"


@pytest.mark.slow
async def test_a_worker_that_is_killed_is_replaced(engine: LlamaLanguageModel) -> None:
    [before] = engine.pids
    with pytest.raises(VoxgateError):
        async with engine.open(STORY | {"stream": True}) as answer:
            await anext(answer)
            os.kill(before, signal.SIGKILL)
            async for _ in answer:
                pass
    assert await ask(engine, FRANCE)
    assert engine.pids != (before,)


@pytest.mark.slow
async def test_the_port_that_llama_opens_lets_nobody_in(engine: LlamaLanguageModel) -> None:
    ports = listening_ports(engine.pids[0])
    assert ports, "llama.cpp opened no port: the key and this test are not needed any more"
    for address, port in ports:
        assert address == "0100007F", "llama.cpp listens beyond loopback"
        for method, path in (("POST", "/v1/chat/completions"), ("POST", "/tokenize"), ("GET", "/v1/models")):
            status, headers = await asyncio.to_thread(knock, port, method, path)
            assert status == 401, path
            assert headers.get("access-control-allow-origin", "") == ""
        status, headers = await asyncio.to_thread(knock, port, "OPTIONS", "/v1/chat/completions")
        assert headers.get("access-control-allow-origin", "") == ""


def knock(port: int, method: str, path: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"Origin": "http://evil.example", "Content-Type": "application/json", "Authorization": "Bearer no"}
        connection.request(method, path, b"{}" if method == "POST" else None, headers)
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def listening_ports(pid: int) -> list[tuple[str, int]]:
    """(address in /proc's hexadecimal, port) of every TCP socket the process listens on."""
    links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {str(link)[8:-1] for link in links if str(link).startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                address, port = fields[1].split(":")
                found.append((address, int(port, 16)))
    return found
