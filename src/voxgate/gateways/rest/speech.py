"""`POST /v1/audio/speech` and the voices."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from voxgate.audio.codecs.formats import ENCODED_RATE, content_type, parse_format
from voxgate.conversation.speech import speak
from voxgate.domain import Utterance
from voxgate.gateways.rest.answers import Json, sse, streamed
from voxgate.gateways.rest.context import Rest, meter_of
from voxgate.protocols.rest.schemas import SpeechRequest, check_length
from voxgate.services.metering import Meter
from voxgate.services.switchboard import Mouth
from voxgate.text.normalize import conventions, normalize


def router(rest: Rest) -> APIRouter:
    """The routes that speak, over one server's services."""
    routes = APIRouter(prefix="/v1/audio", tags=["audio"])

    @routes.post("/speech", response_class=Response, summary="Text to speech")
    async def speech(request: Request, wanted: SpeechRequest) -> Response:
        """Text to speech, streamed as it is made."""
        check_length("input", wanted.input, rest.limits.speech_input_characters)
        mouth = rest.switchboard().mouth(wanted.model, wanted.voice, wanted.language, wanted.input)
        meter = meter_of(rest, request, rest.prices.speech(ENCODED_RATE))
        source = _audio(
            mouth, wanted, meter, on_first=lambda s: rest.metrics.observe("first_audio", s, engine=mouth.name)
        )
        as_events = wanted.stream_format == "sse"
        return await streamed(
            request,
            sse(_events(source)) if as_events else source,
            content_type="text/event-stream" if as_events else content_type(parse_format(wanted.response_format)),
            slow_reader_s=rest.limits.slow_reader_s,
            headers=lambda: {"X-Credits-Remaining": meter.remaining},
        )

    @routes.get("/voices", summary="Every voice")
    async def voices() -> Json:
        """Every voice name, with its gender, languages, engine and licence."""
        return Json({"object": "list", "data": rest.switchboard().voices()})

    return routes


async def _audio(
    mouth: Mouth, wanted: SpeechRequest, meter: Meter, *, on_first: Callable[[float], None]
) -> AsyncGenerator[bytes, None]:
    """The bytes of the file, each held for before it is sent."""
    language = conventions(wanted.language, mouth.language)
    text = await asyncio.to_thread(  # a hostile text takes 0.1 s
        normalize, wanted.input, wanted.normalization, language
    )
    utterance = Utterance(text, mouth.voice.id, mouth.language, wanted.speed)
    pieces = speak(mouth.tts, utterance, parse_format(wanted.response_format), wanted.audio_quality, on_first=on_first)
    async with meter, aclosing(pieces):
        async for piece in pieces:
            await meter.ahead(piece.samples)
            if piece.data:
                yield piece.data
            meter.delivered(piece.samples)


async def _events(source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """OpenAI's events of streamed speech."""
    async with aclosing(source):
        async for data in source:
            yield orjson.dumps({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})
    yield orjson.dumps({"type": "speech.audio.done"})
