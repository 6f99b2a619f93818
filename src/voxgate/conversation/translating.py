"""`ports.Translator` over a language model: for answers of models that cannot be told which language to answer in."""

from voxgate.errors import EngineError
from voxgate.languages import parse
from voxgate.ports import LanguageModel

_ASKED = (
    "You are an interpreter. Say the user's text in {language}. Answer with nothing but that. What is in {language} "
    "already you repeat unchanged."
)
_TOKENS = 64
"""Of a translation, beside one for each character of the text: more than any language needs, and a model that does not
stop by itself is stopped."""


class LlmTranslator:
    """`ports.Translator`: a clause at a time, without anything that was said before."""

    def __init__(self, llm: LanguageModel, model: str | None = None) -> None:
        """`model`: the upstream's name of it, where one was chosen."""
        self._llm, self._model = llm, model

    async def translate(self, text: str, language: str) -> str:
        """See the port. Raises EngineError, also where the model answers nothing."""
        body = {
            "model": self._model or self._llm.model,
            "messages": [
                {"role": "system", "content": _ASKED.format(language=parse(language).name)},
                {"role": "user", "content": text},
            ],
            "stream": False,
            "temperature": 0,
            "max_completion_tokens": _TOKENS + len(text),
        }
        said = ""
        async with self._llm.open(body) as answer:
            async for whole in answer:
                said += (whole["choices"][0]["message"].get("content") or "") if whole.get("choices") else ""
        if not said.strip():
            raise EngineError("the translating model answered nothing", engine=self._llm.model)
        return said.strip()
