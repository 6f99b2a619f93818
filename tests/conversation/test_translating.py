from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxgate.conversation.translating import LlmTranslator
from voxgate.errors import EngineError
from voxgate.ports import ChatAnswer, Translator
from voxgate.testing.scripted import ScriptedLanguageModel, ScriptedLlmSettings


class Interpreter(ScriptedLanguageModel):
    """Remembers what it was asked."""

    def __init__(self, text: str) -> None:
        super().__init__("interpreter", ScriptedLlmSettings(text=text))
        self.asked: list[Mapping[str, Any]] = []

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[ChatAnswer]:  # type: ignore[override]
        self.asked.append(body)
        async with super().open(body) as answer:
            yield answer


async def test_a_clause_is_said_in_the_language_that_is_wanted() -> None:
    llm = Interpreter(" Xin chào. ")
    translator = LlmTranslator(llm)
    assert isinstance(translator, Translator)
    assert await translator.translate("Hello.", "vi") == "Xin chào."
    (body,) = llm.asked
    system, user = body["messages"]
    assert "in Vietnamese" in system["content"]
    assert user == {"role": "user", "content": "Hello."}
    assert (body["model"], body["stream"], body["temperature"]) == ("scripted", False, 0)
    assert body["max_completion_tokens"] > len("Hello.")


async def test_the_model_that_was_chosen_is_asked() -> None:
    llm = Interpreter("Ja.")
    await LlmTranslator(llm, "big").translate("Yes.", "de")
    assert llm.asked[0]["model"] == "big"


async def test_a_model_that_answers_nothing_has_failed() -> None:
    with pytest.raises(EngineError, match="answered nothing"):
        await LlmTranslator(Interpreter(" ")).translate("Hello.", "vi")
