"""OpenAI's chat dialect, as far as our language models share it: streams of chunks, their usage, and their sum."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

Chunk = dict[str, Any]
"""One `chat.completion.chunk`, or one whole `chat.completion`."""


class Answer:
    """The answer to one request, piece by piece; what `LanguageModel.open` of our engines hands out.

    A server must know the tokens of every answer to meter it, a client sees them in a stream only if it asked
    (`stream_options.include_usage`). So engines always ask for them, and this is where they are taken out again.
    """

    def __init__(
        self, chunks: AsyncIterator[Chunk], *, show_usage: bool, on_first: Callable[[], None] | None = None
    ) -> None:
        self._chunks = chunks
        self._show_usage = show_usage
        self._on_first = on_first
        self.usage: Mapping[str, Any] | None = None
        """The upstream's `usage` object, once the stream has ended; None where it does not count."""

    def __aiter__(self) -> "Answer":
        return self

    async def __anext__(self) -> Chunk:
        while True:
            chunk = await anext(self._chunks)
            if self._on_first is not None and says_something(chunk):
                self._on_first()
                self._on_first = None
            usage = chunk.get("usage")
            if isinstance(usage, dict):
                self.usage = usage
            if self._show_usage or "usage" not in chunk:
                return chunk
            if chunk.get("choices"):
                return {key: value for key, value in chunk.items() if key != "usage"}


def says_something(chunk: Chunk) -> bool:
    """Whether the chunk holds anything a user would notice: text, a refusal or a tool call."""
    for choice in chunk.get("choices") or ():
        said = choice.get("delta") or choice.get("message") or {}
        if any(said.get(key) for key in ("content", "tool_calls", "refusal", "reasoning_content")):
            return True
    return False


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether this request asks to see its tokens in the stream."""
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def merge(chunks: Iterable[Chunk]) -> Chunk:
    """The one `chat.completion` that a stream of text chunks with a single choice adds up to.

    Raises ValueError if the stream never said why it ended.
    """
    head: Chunk | None = None
    text: list[str] = []
    finish: str | None = None
    usage: Any = None
    for chunk in chunks:
        head = head or chunk
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            text.append(choice["delta"].get("content") or "")
            finish = choice["finish_reason"] or finish
    if head is None or finish is None:
        raise ValueError("the stream ended without a finish_reason")
    message = {"role": "assistant", "content": "".join(text), "refusal": None}
    completion = {
        **{key: head[key] for key in ("id", "created", "model")},
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    return completion if usage is None else completion | {"usage": usage}
