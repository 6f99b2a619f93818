"""The language model suite through HTTP: our engine in front, a scripted model behind an OpenAI-compatible server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.conftest import Recorder
from tests.engines.fake_upstream import Received, event, head, say, upstream
from voxgate.engines.openai_llm import OpenAILanguageModel, OpenAISettings, create
from voxgate.errors import PeerError
from voxgate.ports import EngineContext
from voxgate.testing.conformance import Check, check_closing, llm, suite
from voxgate.testing.scripted import ScriptedLanguageModel, ScriptedLlmSettings


@pytest.fixture
async def engine(metrics: Recorder) -> AsyncIterator[OpenAILanguageModel]:
    behind = ScriptedLanguageModel("behind", ScriptedLlmSettings(model="llama3"))

    async def reply(writer: asyncio.StreamWriter, received: Received) -> None:
        try:
            async with behind.open(received.body) as answer:
                pieces = [one async for one in answer]
        except PeerError as error:
            await say(400, {"error": {"message": error.message}})(writer, received)
            return
        if not received.body.get("stream"):
            await say(200, pieces[0])(writer, received)
            return
        data = b"".join(event(piece) for piece in pieces) + event("[DONE]")
        writer.write(head(200, "text/event-stream", len(data)) + data)
        await writer.drain()

    async with upstream(reply) as fake:
        made = await create(EngineContext("openai", {}, metrics, 2), OpenAISettings(base_url=f"{fake.url}/v1"))
        yield made
        await made.aclose()


@pytest.mark.parametrize("check", [*suite(llm), check_closing], ids=lambda check: check.__name__)
async def test_llm(check: Check, engine: OpenAILanguageModel) -> None:
    await check(engine)
