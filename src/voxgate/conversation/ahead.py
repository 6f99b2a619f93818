"""What was said so far is read by the model before it is asked: of a model that remembers what it has read.

A model on a processor reads 200 to 500 tokens a second, so that instructions of 60 words cost its first answer half a
second, and the reply before every later one a tenth. Between two turns nobody waits for that. Worth it where what was
read is found again: a model of this machine that keeps it (`LlamaLanguageModel.reads_ahead`).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from voxgate.conversation.reply import Thinking
from voxgate.conversation.speculation import Load
from voxgate.errors import VoxgateError
from voxgate.ports import Metrics

_NOTHING = {"role": "user", "content": "."}
"""Stands for the turn that is not known yet: what comes before it is what counts."""


class ReadingAhead:
    """Of one call; once at a time."""

    def __init__(
        self,
        thinking: Thinking,
        load: Load,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        metrics: Metrics,
    ) -> None:
        """`load`: nothing is read while no core is idle. `spawn` runs what asks the model."""
        self._thinking, self._load, self._spawn, self._metrics = thinking, load, spawn, metrics
        self._reading: asyncio.Task[None] | None = None

    def begin(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """The next question will begin with these messages."""
        self.stop()
        if self._thinking.reads_ahead and self._load.idle:
            self._reading = self._spawn(self._read([*messages, _NOTHING]))

    def stop(self) -> None:
        """The model is needed, or the call is over; what was read is not lost. Idempotent."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    async def _read(self, messages: Sequence[Mapping[str, Any]]) -> None:
        thinking = self._thinking
        body = {
            "model": thinking.model or thinking.llm.model,
            "messages": messages,
            "stream": True,
            "max_completion_tokens": 1,
        }
        self._load.making += 1
        try:
            async with thinking.llm.open(body) as answer:
                async for _ in answer:
                    pass
        except VoxgateError:
            self._metrics.count("reading_ahead_failed", engine="agent")
        finally:
            self._load.making -= 1
