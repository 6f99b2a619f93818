"""Any server that speaks OpenAI's chat dialect: OpenAI itself, Ollama, vLLM, LM Studio, llama.cpp, another Voxgate.

Requests and answers are dicts that pass through: a field we do not know is a field we do not touch. What we add is the
upstream's name of the model, the credentials, and the wish to see the tokens of a stream (see answers.Answer).
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from voxgate import __version__
from voxgate.config import Settings
from voxgate.engines.answers import Answer, Chunk, wants_usage
from voxgate.engines.sse import Event, EventReader
from voxgate.errors import Code, EngineError, RefusedError, UpstreamError, VoxgateError
from voxgate.ports import EngineContext, EnginePlugin, Metrics

if TYPE_CHECKING:
    import httpx

_MAX_ANSWER = 16 * 1024 * 1024  # bytes of an answer that is not streamed; a thousand times what models write
_MAX_ERROR = 16 * 1024  # bytes of an upstream's error that are passed on
_DRAIN_S = 0.2  # an upstream ends its response right after [DONE]; waiting for it keeps the connection usable
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class OpenAISettings(Settings):
    """`[engines.NAME]` of an upstream. `api_key_file` names a file that holds the key, for secrets that are mounted."""

    base_url: str = "https://api.openai.com/v1"
    """Where `/chat/completions` lies."""
    api_key: SecretStr | None = None
    """The upstream's key; none is sent where there is none."""
    model: str = ""
    """The upstream's model for every request that `models` does not name; empty: what the client asked for."""
    models: Mapping[str, str] = Field(default_factory=dict)
    """A client's model name -> the upstream's."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Further request headers, secret in case they are."""
    ask_for_usage: bool = True
    """Off for an upstream that refuses `stream_options`; streamed tokens are then not counted."""
    connect_timeout_s: float = Field(default=5.0, gt=0)
    """Longest wait for a connection to the upstream."""
    first_byte_timeout_s: float = Field(default=30.0, gt=0)
    """From the request to the first byte of a streamed answer: a queue and a long prompt lie in it."""
    idle_timeout_s: float = Field(default=30.0, gt=0)
    """Longest pause inside a streamed answer. An upstream's keep-alive comments count as life."""
    answer_timeout_s: float = Field(default=300.0, gt=0)
    """Longest wait for an answer that is not streamed."""
    max_connections: int = Field(default=100, ge=1)
    """Requests to the upstream at once; one more waits `connect_timeout_s` and is then refused as `busy`."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address, for example http://127.0.0.1:11434/v1")
        return value.rstrip("/")

    @property
    def host(self) -> str:
        """The upstream's host name, as errors show it; the address itself may hold a password."""
        return urlsplit(self.base_url).hostname or ""


class OpenAILanguageModel:
    """`ports.LanguageModel` over HTTP."""

    demo = False

    def __init__(self, name: str, settings: OpenAISettings, key: str, client: "httpx.AsyncClient", metrics: Metrics):
        self.model = settings.model or settings.host
        self.remote = settings.host not in _LOCAL_HOSTS
        self._name = name
        self._settings = settings
        self._key = key
        self._client = client
        self._metrics = metrics

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[Answer]:
        streaming = body.get("stream") is True
        settings = self._settings
        started = time.perf_counter()
        response = await self._send(
            self._upstream_body(body, streaming),
            settings.first_byte_timeout_s if streaming else settings.answer_timeout_s,
        )
        try:
            left_s = settings.answer_timeout_s - (time.perf_counter() - started)
            if response.status_code >= 300:
                raise self._refusal(response, await self._read(response, _MAX_ERROR, left_s))
            if streaming and "json" not in response.headers.get("content-type", ""):
                chunks = self._chunks(response)
            else:
                completion = self._completion(await self._read(response, _MAX_ANSWER, left_s))
                chunks = _once(_as_chunk(completion) if streaming else completion)

            def note_first() -> None:
                self._metrics.observe("first_token", time.perf_counter() - started, engine=self._name)

            hide_usage = streaming and settings.ask_for_usage and not wants_usage(body)
            async with aclosing(chunks):
                yield Answer(chunks, show_usage=not hide_usage, on_first=note_first if streaming else None)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # the request

    def _upstream_body(self, body: Mapping[str, Any], streaming: bool) -> dict[str, Any]:
        asked = body.get("model")
        model = self._settings.models.get(asked) if isinstance(asked, str) else None
        model = model or self._settings.model
        sent = {**body, "model": model} if model else dict(body)
        if streaming and self._settings.ask_for_usage:
            options = body.get("stream_options")
            sent["stream_options"] = {**options, "include_usage": True} if isinstance(options, Mapping) else _USAGE
        return sent

    async def _send(self, body: Mapping[str, Any], limit_s: float) -> "httpx.Response":
        """The response, as soon as its status is known."""
        import httpx

        request = self._client.build_request(
            "POST",
            "chat/completions",
            content=json.dumps(body, allow_nan=False).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            async with asyncio.timeout(limit_s):
                try:
                    return await self._client.send(request, stream=True)
                except httpx.RemoteProtocolError:
                    # A kept connection that the upstream closed while we wrote: it has not begun to answer.
                    return await self._client.send(request, stream=True)
        except (TimeoutError, httpx.HTTPError) as error:
            raise self._failure(error, limit_s) from error

    # the answer

    async def _read(self, response: "httpx.Response", limit: int, left_s: float) -> bytes:
        """The body of a response; of an error only the first `limit` bytes, of an answer all or EngineError."""
        import httpx

        data = bytearray()
        try:
            async with asyncio.timeout(left_s):
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > limit:
                        break
        except (TimeoutError, httpx.HTTPError) as error:
            if response.status_code < 300:
                raise self._failure(error, self._settings.answer_timeout_s) from error
        if len(data) > limit and response.status_code < 300:
            raise self._nonsense(f"an answer of more than {limit} bytes")
        return bytes(data[:limit])

    def _completion(self, data: bytes) -> Chunk:
        try:
            answer = json.loads(data)
        except ValueError:
            raise self._nonsense("an answer that is not JSON") from None
        if isinstance(answer, dict) and answer.get("error"):
            raise self._late_refusal(answer["error"])
        if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
            raise self._nonsense("an answer without choices")
        return answer

    async def _chunks(self, response: "httpx.Response") -> AsyncGenerator[Chunk]:
        """The chunks of a stream, up to [DONE] or, from an upstream that has no [DONE], its end."""
        settings = self._settings
        reader = EventReader()
        pieces = response.aiter_bytes()
        limit_s = settings.first_byte_timeout_s
        finished = False
        while True:
            piece = await self._next(pieces, limit_s)
            limit_s = settings.idle_timeout_s
            try:
                events = reader.close() if piece is None else reader.feed(piece)
            except ValueError as error:
                raise self._nonsense(str(error)) from None
            for event in events:
                if event.data == "[DONE]":
                    await _drain(pieces)
                    return
                chunk = self._chunk(event)
                finished = finished or any(choice.get("finish_reason") for choice in chunk.get("choices") or ())
                yield chunk
            if piece is None:
                if finished:
                    return
                raise EngineError(f"{settings.host} ended its answer in the middle", engine=self._name, retryable=True)

    async def _next(self, pieces: AsyncIterator[bytes], limit_s: float) -> bytes | None:
        import httpx

        try:
            async with asyncio.timeout(limit_s):
                return await anext(pieces, None)
        except (TimeoutError, httpx.HTTPError) as error:
            raise self._failure(error, limit_s) from error

    def _chunk(self, event: Event) -> Chunk:
        try:
            chunk = json.loads(event.data)
        except ValueError:
            raise self._nonsense("a chunk that is not JSON") from None
        if not isinstance(chunk, dict):
            raise self._nonsense("a chunk that is no object")
        if event.name == "error" or chunk.get("error"):
            raise self._late_refusal(chunk.get("error") or chunk)
        return chunk

    # what went wrong

    def _failure(self, error: Exception, limit_s: float) -> VoxgateError:
        """What a transport error means to the caller."""
        import httpx

        host = self._settings.host
        match error:
            case httpx.PoolTimeout():
                return RefusedError(
                    f"all connections to {host} are in use; try again in a moment", code=Code.BUSY, retry_after_s=2
                )
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return EngineError(
                    f"{host} cannot be reached",
                    engine=self._name,
                    code=Code.ENGINE_UNAVAILABLE,
                    retryable=True,
                    retry_after_s=5,
                )
            case TimeoutError() | httpx.TimeoutException():
                return EngineError(
                    f"{host} did not answer within {limit_s:g} s", engine=self._name, code=Code.ENGINE_TIMEOUT
                )
            case _:
                return EngineError(f"the connection to {host} broke", engine=self._name, retryable=True)

    def _nonsense(self, what: str) -> EngineError:
        return EngineError(f"{self._settings.host} sent {what}", engine=self._name)

    def _refusal(self, response: "httpx.Response", body: bytes) -> EngineError:
        """An answer that is an error, with the status it came with."""
        status = response.status_code
        if status < 400:
            return EngineError(
                f"{self._settings.host} answered with a redirection ({status}); its base_url must be the final one",
                engine=self._name,
            )
        return UpstreamError(
            f"{self._settings.host} answered {status}",
            engine=self._name,
            status=status,
            body=self._without_key(body),
            content_type=response.headers.get("content-type", "text/plain"),
            retryable=status in (502, 503, 504),
            retry_after_s=_retry_after(response.headers.get("retry-after", "")),
        )

    def _late_refusal(self, error: Any) -> UpstreamError:
        """An error inside a response that had begun with 200."""
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code <= 599 else 502
        if not isinstance(error, dict):
            error = {"message": str(error), "type": "upstream_error", "code": None, "param": None}
        return UpstreamError(
            f"{self._settings.host} broke off with an error",
            engine=self._name,
            status=status,
            body=self._without_key(json.dumps({"error": error}).encode()),
        )

    def _without_key(self, body: bytes) -> bytes:
        """Upstreams quote the credentials they refuse; ours are no business of our clients."""
        for secret in (self._key, *(value.get_secret_value() for value in self._settings.headers.values())):
            if secret:
                body = body.replace(secret.encode(), b"***")
        return body


_USAGE = {"include_usage": True}


async def _once(value: Chunk) -> AsyncGenerator[Chunk]:
    yield value


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read the end of a response that is complete, so that its connection can be used again."""
    import httpx

    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in pieces:
                pass
    except (TimeoutError, httpx.HTTPError):
        return  # the answer is complete; the connection is closed instead of kept


def _as_chunk(completion: Chunk) -> Chunk:
    """The one chunk that says what a whole completion says, for upstreams that do not stream."""
    choices = [
        {**{key: value for key, value in choice.items() if key != "message"}, "delta": choice.get("message") or {}}
        for choice in completion["choices"]
    ]
    return {**completion, "object": "chat.completion.chunk", "choices": choices}


def _retry_after(value: str) -> int | None:
    """Seconds a Retry-After header asks for: a number of them, or a date (RFC 9110 §10.2.3)."""
    if value.isdigit():
        return int(value)
    try:
        due = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0, round((due - datetime.now(UTC)).total_seconds())) if due.tzinfo else None


async def create(context: EngineContext, settings: OpenAISettings) -> OpenAILanguageModel:
    """The engine, not yet connected: an upstream may come up after us."""
    import httpx

    key = settings.api_key.get_secret_value() if settings.api_key else ""
    headers = {"User-Agent": f"voxgate/{__version__}"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {name: value.get_secret_value() for name, value in settings.headers.items()}
    client = httpx.AsyncClient(
        base_url=settings.base_url,
        headers=headers,
        timeout=httpx.Timeout(None, connect=settings.connect_timeout_s, pool=settings.connect_timeout_s),
        limits=httpx.Limits(max_connections=settings.max_connections, max_keepalive_connections=20),
        trust_env=settings.host not in _LOCAL_HOSTS,  # a company's proxy and CA are for the world, not for this machine
    )
    return OpenAILanguageModel(context.name, settings, key, client, context.metrics)


PLUGIN = EnginePlugin(port="llm", settings=OpenAISettings, create=create)
