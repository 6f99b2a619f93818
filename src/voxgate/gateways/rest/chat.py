"""`/v1/chat/completions`: answers in OpenAI's dialect, from an upstream or the model on this machine."""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from voxgate.errors import Code, PeerError, UpstreamError
from voxgate.gateways.rest.answers import Json, sse, streamed, to_json, unless_gone
from voxgate.gateways.rest.context import Rest, meter_of
from voxgate.ports import ChatAnswer
from voxgate.protocols.rest.schemas import ChatRequest
from voxgate.services.metering import Meter
from voxgate.services.switchboard import Mind


def router(rest: Rest) -> APIRouter:
    """The chat route over one server's services."""
    routes = APIRouter(prefix="/v1", tags=["chat"])

    @routes.post("/chat/completions", response_class=Response, summary="Answer a conversation")
    async def completions(request: Request, wanted: ChatRequest) -> Response:
        """The answer to a conversation, whole or as it is written."""
        mind = rest.switchboard().mind(wanted.model)
        body = wanted.model_dump(exclude_unset=True)
        if mind.model:
            body["model"] = mind.model
        prompt = _bytes(body)  # a token is at least a byte, and tools are read like messages
        most = wanted.max_completion_tokens or wanted.max_tokens or rest.limits.chat_default_tokens
        first = prompt + most * (wanted.n or 1)
        meter = meter_of(rest, request, rest.prices.chat(), first=first, whole=not wanted.stream)
        try:
            if wanted.stream:
                return await streamed(
                    request,
                    sse(_chunks(mind, body, meter)),
                    content_type="text/event-stream",
                    slow_reader_s=rest.limits.slow_reader_s,
                    headers=lambda: {"X-Credits-Remaining": meter.remaining, "Cache-Control": "no-store"},
                )
            answer = await unless_gone(request, _whole(mind, body, meter))
        except UpstreamError as error:
            return _passed_on(error)
        return Json(answer, headers={"X-Credits-Used": meter.used, "X-Credits-Remaining": meter.remaining})

    return routes


def _bytes(body: Mapping[str, Any]) -> int:
    """The size of a body that is about to be passed on. Raises PeerError for what JSON cannot say."""
    try:
        return len(json.dumps(body, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, RecursionError) as error:
        reason = {
            UnicodeEncodeError: "it holds half a surrogate pair, which is no character",
            RecursionError: "it is nested too deeply",
        }.get(type(error), "NaN and Infinity are no JSON")
        raise PeerError(f"the body is not valid JSON: {reason}", code=Code.INVALID_JSON) from None


async def _whole(mind: Mind, body: Mapping[str, Any], meter: Meter) -> dict[str, Any]:
    async with meter:
        try:
            async with mind.llm.open(body) as answer:
                completion = await anext(answer)
                async for _ in answer:
                    pass
                _deliver(answer, meter)
        except BaseException:
            meter.void()
            raise
        return completion


async def _chunks(mind: Mind, body: Mapping[str, Any], meter: Meter) -> AsyncGenerator[bytes, None]:
    chunks = 0
    async with meter, mind.llm.open(body) as answer:
        try:
            async for chunk in answer:
                yield to_json(chunk)
                chunks += any((choice.get("delta") or {}).get("content") for choice in chunk.get("choices") or ())
        finally:
            _deliver(answer, meter, at_least=chunks)
    yield b"[DONE]"


def _deliver(answer: ChatAnswer, meter: Meter, *, at_least: int = 0) -> None:
    """Sell what the model counted; where it did not come to that, `at_least` so many tokens of an answer went out."""
    usage = answer.usage or {}
    prompt, completion = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or at_least)
    if prompt + completion:
        meter.delivered(prompt + completion, units={"prompt_tokens": prompt, "completion_tokens": completion})


def _passed_on(error: UpstreamError) -> Response:
    """An upstream's refusal, with its own status and words."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return Response(error.body, status_code=error.status, media_type=error.content_type, headers=headers)
