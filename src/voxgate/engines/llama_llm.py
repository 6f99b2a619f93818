"""The demo language model: SmolLM2-135M through llama.cpp (xllamacpp), in one process of its own.

It makes a fresh installation answer with no key and no network, and is too small for more: `demo` is True. llama.cpp
is spawned, because it hangs when forked after loading, and is spoken to over the pool's socket. The library also opens
an HTTP port on loopback whether it is wanted or not; it is given a key nobody knows.
"""

import queue
import secrets
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pydantic import Field

from voxgate.config import Settings
from voxgate.engines.answers import Answer, Chunk, merge
from voxgate.engines.llama_prompt import ChatJob, fit, parse
from voxgate.engines.pool import Birth, Pool, WorkerSpec
from voxgate.errors import Code, EngineError, ModelError, PeerError
from voxgate.ports import EngineContext, EnginePlugin, Metrics

_FIT_TRIES = 3  # times a prompt is cut before it is called too long; each try costs its tokenization, a few ms
_TEMPLATE_TOKENS = 16  # the opening of the reply, and room for what estimates miss
_PROMPT_CACHE_MIB = 128  # llama.cpp's default is 8192; a full 2k context of this model takes 46


class LlamaSettings(Settings):
    """`[engines.llama]`."""

    model: str = "smollm2-135m-instruct-q4_1"
    """Catalogue name; its folder holds one GGUF file."""
    context_tokens: int = Field(default=2048, ge=256)
    """Prompt and reply of one conversation; SmolLM2 was trained on 2,048."""
    slots: int = Field(default=2, ge=1, le=16)
    """Replies at once; one more waits."""
    history_tokens: int = Field(default=768, ge=64)
    """A longer prompt loses its oldest turns: this model repeats itself in long conversations."""
    reply_tokens: int = Field(default=60, ge=1)
    """Longest reply where the client asks for none; after that it rambles."""
    max_reply_tokens: int = Field(default=512, ge=1)
    """Longest reply, whatever the client asks for."""
    temperature: float = Field(default=0.5, ge=0, le=2)
    """Where the client names none. At 0.2 the model loops on one sentence."""
    system: str = "You are a helpful assistant."
    """Said first in a conversation without a system message."""
    guidance: str = "Answer briefly, in plain English."
    """Added to every system message, on a line of its own. Without it the model answers questions about France in
    French, also where a client's own message says "You are a helpful voice assistant." (tried 2026-11)."""
    threads: int = Field(default=0, ge=0)
    """Cores a reply may use; 0: half of the engines' cores. With one of two cores busy elsewhere, two threads wait
    for each other and reach 45 tokens/s where one reaches 92 (measured 2026-11)."""
    queue: int = Field(default=16, ge=0)
    """Requests that may wait."""


class LlamaLanguageModel:
    """`ports.LanguageModel` in a worker process."""

    demo = True
    reads_ahead = True
    """What it has read of a prompt stays in its slot, and is not read again: see conversation/ahead.py."""

    def __init__(self, settings: LlamaSettings, pool: Pool, metrics: Metrics, name: str) -> None:
        self.model = settings.model
        self._settings = settings
        self._pool = pool
        self._metrics = metrics
        self._name = name

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker's process id."""
        return self._pool.pids

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[Answer]:
        settings = self._settings
        ask = parse(
            body,
            default_tokens=settings.reply_tokens,
            most_tokens=min(settings.max_reply_tokens, settings.context_tokens // 2),
            temperature=settings.temperature,
            system=settings.system,
            guidance=settings.guidance,
        )
        started = time.perf_counter()

        def note_first() -> None:
            self._metrics.observe("first_token", time.perf_counter() - started, engine=self._name)

        async with self._pool.open(ask.job) as results, aclosing(self._chunks(results)) as chunks:
            if ask.stream:
                yield Answer(chunks, show_usage=ask.show_usage, on_first=note_first)
                return
            # Asked for in pieces all the same: llama.cpp can be stopped between two of them.
            try:
                whole = merge([chunk async for chunk in chunks])
            except ValueError as error:
                raise EngineError(f"the demo model failed: {error}", engine=self._name) from error
            async with aclosing(_once(whole)) as answer:
                yield Answer(answer, show_usage=True)

    async def _chunks(self, results: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk]:
        async for chunk in results:
            yield chunk | {"model": self.model}

    async def aclose(self) -> None:
        """End the worker process."""
        await self._pool.aclose()


async def _once(value: Chunk) -> AsyncGenerator[Chunk]:
    yield value


class LlamaRunner:
    """The worker's side: a loaded model, called from as many threads as it has slots."""

    def __init__(self, *, name: str, path: str, context_tokens: int, slots: int, threads: int, history_tokens: int):
        import xllamacpp

        self._name = name
        self._context = context_tokens
        self._history = history_tokens
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = context_tokens * slots
        params.n_parallel = slots
        params.n_gpu_layers = 0
        params.cache_ram_mib = _PROMPT_CACHE_MIB
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.prefill_assistant = False
        params.verbosity = -1  # llama.cpp logs prompts
        # The HTTP port that nobody asked for: no page of its own, no origin allowed, a key that only it knows.
        params.api_keys = [secrets.token_urlsafe(32)]
        params.cors_origins = ""
        params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
        params.n_threads_http = 1
        self._server = xllamacpp.Server(params)

    def run(self, request: ChatJob, cancelled: Callable[[], bool]) -> Iterator[Chunk]:
        """The chunks of one reply, the last one with its usage. Raises PeerError, EngineError."""
        budget = min(self._history, self._context - request.max_tokens - _TEMPLATE_TOKENS)
        turns = request.turns
        for _ in range(_FIT_TRIES):
            shorter = fit(turns, budget)
            for chunk in self._generate(request, shorter, cancelled):
                error = chunk.get("error")
                if error is None:
                    yield _tidy(chunk)
                elif error.get("type") == "exceed_context_size_error":
                    # The estimate was too low for this text: correct it by what the model counted.
                    budget = min(budget, self._history) * error["n_ctx"] // (2 * error["n_prompt_tokens"])
                    break
                else:
                    raise self._refusal(request, error)
            else:
                return
        raise PeerError(
            f"messages: the system message and the last turn are longer than the {self._context} tokens of the demo "
            "model",
            code=Code.INPUT_TOO_LONG,
            param="messages",
        )

    def _generate(self, request: ChatJob, turns: tuple[dict[str, str], ...], cancelled: Callable[[], bool]) -> Any:
        """What llama.cpp says, as it says it. Its call blocks and calls back; a thread turns that around."""
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        left = threading.Event()
        body = {
            **request.sampling,
            "messages": list(turns),
            "max_tokens": request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

        def hear(chunk: Any) -> bool:
            said.put(chunk)
            return left.is_set() or cancelled()  # true stops the reply

        def generate() -> None:
            try:
                self._server.handle_chat_completions(body, hear)
                said.put(None)
            except Exception as error:
                said.put(error)

        thread = threading.Thread(target=generate, daemon=True)
        thread.start()
        try:
            while (chunk := said.get()) is not None:
                if isinstance(chunk, Exception):
                    raise self._refusal(request, {"message": str(chunk)}) from chunk
                yield chunk
        finally:
            left.set()
            thread.join()

    def _refusal(self, request: ChatJob, error: Mapping[str, Any]) -> PeerError | EngineError:
        """llama.cpp's error object. A JSON schema it cannot follow it calls its own failure; it is the client's."""
        message = str(error.get("message", "no reason given"))
        if "response_format" in request.sampling:
            return PeerError(f"response_format: the demo model cannot follow it: {message}", param="response_format")
        if error.get("code") == 400:
            return PeerError(f"the demo model refused the request: {message}")
        return EngineError(f"the demo model failed: {message}", engine=self._name)


def _tidy(chunk: Chunk) -> Chunk:
    """A chunk as OpenAI sends it: without llama.cpp's timings and build number, and with text where it says null."""
    choices = [
        choice | {"delta": choice["delta"] | {"content": choice["delta"]["content"] or ""}}
        if "content" in choice["delta"]
        else choice
        for choice in chunk["choices"]
    ]
    tidy = {key: chunk[key] for key in ("id", "object", "created", "model", "usage") if key in chunk}
    return tidy | {"choices": choices}


async def create(context: EngineContext, settings: LlamaSettings) -> LlamaLanguageModel:
    """Start the worker and load the model, 0.4 s from a warm disk. Raises ModelError, EngineError."""
    files = sorted(context.folders[settings.model].glob("*.gguf"))
    if len(files) != 1:
        raise ModelError(
            f"the folder of {settings.model} holds {len(files)} GGUF files instead of one; "
            f"`voxgate models verify {settings.model}` says what is wrong",
            code=Code.MODEL_BROKEN,
        )
    pool = Pool(
        WorkerSpec(
            name=context.name,
            factory=f"{__name__}:LlamaRunner",
            arguments={
                "name": context.name,
                "path": str(files[0]),
                "context_tokens": settings.context_tokens,
                "slots": settings.slots,
                "threads": settings.threads or max(1, context.cores // 2),
                "history_tokens": settings.history_tokens,
            },
            threads=settings.slots,
            birth=Birth.SPAWN,
            queue=settings.queue,
        ),
        context.metrics,
    )
    await pool.start()
    return LlamaLanguageModel(settings, pool, context.metrics, context.name)


PLUGIN = EnginePlugin(port="llm", settings=LlamaSettings, create=create, models=lambda settings: (settings.model,))
