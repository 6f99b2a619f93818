import asyncio
from typing import Any

import pytest

from tests.engines.fake_upstream import Received, Reply, say, upstream
from voxgate.engines.ollama import Ollama, find_ollama


def entry(name: str, family: str = "llama", **more: Any) -> dict[str, Any]:
    return {"name": name, "details": {"families": [family]}} | more


async def test_finds_the_model_that_was_pulled_last_among_those_that_chat() -> None:
    listed = [
        entry("nomic-embed-text:latest", "nomic-bert"),
        entry("big:cloud", remote_host="https://ollama.example"),
        entry("qwen3:4b", "qwen3"),
        entry("llama3.2:3b") | {"details": None},
    ]
    async with upstream(say(200, {"models": listed})) as fake:
        assert await find_ollama(fake.url + "/") == Ollama(f"{fake.url}/v1", "qwen3:4b", ("qwen3:4b", "llama3.2:3b"))
    assert fake.requests[0].line == "GET /api/tags HTTP/1.1"


@pytest.mark.parametrize(
    "reply",
    [
        say(200, {"models": []}),
        say(200, {"models": [entry("bge:latest", "bert")]}),
        say(200, []),
        say(200, {"models": ["x"]}),
        say(200, {"models": None}),
        say(200, b"hello"),
        say(404, {}),
    ],
)
async def test_something_else_on_that_port_is_not_ollama(reply: Reply) -> None:
    async with upstream(reply) as fake:
        assert await find_ollama(fake.url) is None


async def test_nothing_on_that_port() -> None:
    async with upstream(say(200, {})) as fake:
        address = fake.url
    assert await find_ollama(address) is None


async def test_a_silent_port_costs_the_budget_and_no_more() -> None:
    async def reply(_: asyncio.StreamWriter, __: Received) -> None:
        await asyncio.Event().wait()

    async with upstream(reply) as fake, asyncio.timeout(5):
        assert await find_ollama(fake.url, budget_s=0.05) is None
        await fake.hung_up.wait()
