"""`/v1/audio/*`: speech to text, text to speech, the voices."""

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import PlainTextResponse, Response

from voxgate.audio.codecs.encoder import ENCODED_RATE, content_type, parse_format
from voxgate.conversation.speech import speak
from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
from voxgate.domain import SPEECH_RATE, FileTranscript, Samples, Utterance
from voxgate.errors import Code, PeerError
from voxgate.gateways.rest.answers import Json, sse, streamed, unless_gone
from voxgate.gateways.rest.context import Rest, principal_of, request_id_of
from voxgate.protocols.rest.schemas import SpeechRequest, TranscriptionFields, check_length
from voxgate.protocols.rest.transcripts import render
from voxgate.services.metering import Meter
from voxgate.services.switchboard import Ears, Mouth
from voxgate.text.hints import hint_terms


def router(rest: Rest) -> APIRouter:
    """The audio routes over one server's services."""
    routes = APIRouter(prefix="/v1/audio", tags=["audio"])

    @routes.post("/transcriptions")
    async def transcriptions(
        request: Request,
        file: Annotated[UploadFile, File(description="Audio in any container FFmpeg reads, up to 25 MiB")],
        fields: Annotated[TranscriptionFields, Form()],
    ) -> Response:
        """Speech to text: one audio file in, its transcript out."""
        _check_upload(file, rest.limits.upload_bytes)
        check_length("prompt", fields.prompt, rest.limits.prompt_characters)
        ears = rest.switchboard().ears(fields.model, fields.language)
        tariff = rest.prices.transcription(SPEECH_RATE)
        async with (
            _on_disk(file) as path,
            Meter(rest.ledger, principal_of(request), tariff, request_id=request_id_of(request)) as meter,
        ):
            try:
                transcript = await unless_gone(request, _hear(rest, ears, path, fields, meter))
            except BaseException:
                meter.void()  # nothing was answered, so nothing was sold
                raise
            await meter.settle()
        body = render(transcript, fields.response_format, words="word" in fields.timestamp_granularities)
        headers = {"X-Credits-Used": meter.used, "X-Credits-Remaining": meter.remaining}
        if isinstance(body, str):
            return PlainTextResponse(body, headers=headers)
        return Json(body, headers=headers)

    @routes.post("/speech", response_class=Response)
    async def speech(request: Request, wanted: SpeechRequest) -> Response:
        """Text to speech, streamed as it is made."""
        check_length("input", wanted.input, rest.limits.speech_input_characters)
        mouth = rest.switchboard().mouth(wanted.model, wanted.voice, wanted.language, wanted.input)
        tariff = rest.prices.speech(ENCODED_RATE)
        meter = Meter(rest.ledger, principal_of(request), tariff, request_id=request_id_of(request))
        source = _audio(mouth, wanted, meter)
        as_events = wanted.stream_format == "sse"
        return await streamed(
            request,
            sse(_events(source)) if as_events else source,
            content_type="text/event-stream" if as_events else content_type(parse_format(wanted.response_format)),
            slow_reader_s=rest.limits.slow_reader_s,
            headers=lambda: {"X-Credits-Remaining": meter.remaining},
        )

    @routes.get("/voices")
    async def voices() -> Json:
        """Every voice name, with its gender, languages, engine and licence."""
        return Json({"object": "list", "data": rest.switchboard().voices()})

    return routes


def _check_upload(file: UploadFile, limit: int) -> None:
    if file.size is not None and file.size > limit:
        raise PeerError(
            f"'file' has {file.size:,} bytes; at most {limit:,} are allowed (limits.upload_bytes)",
            code=Code.TOO_LARGE,
            param="file",
        )
    if file.size == 0:
        raise PeerError("'file' is empty", code=Code.INVALID_AUDIO, param="file")


@asynccontextmanager
async def _on_disk(file: UploadFile) -> AsyncIterator[Path]:
    """The upload as a file that another process can open; gone when the block is left."""
    with tempfile.NamedTemporaryFile(prefix="voxgate-upload-") as copy:
        await asyncio.to_thread(shutil.copyfileobj, file.file, copy)
        await asyncio.to_thread(copy.flush)
        yield Path(copy.name)


async def _hear(rest: Rest, ears: Ears, path: Path, fields: TranscriptionFields, meter: Meter) -> FileTranscript:
    wanted = TranscriptionRequest(
        language=ears.language,
        hints=hint_terms(fields.prompt, rest.limits.hint_terms),
        words="word" in fields.timestamp_granularities,
    )
    transcriber = Transcriber(rest.vad(), ears.stt, look_ahead=rest.cores)
    async with rest.decoder().open(path) as blocks:
        return await transcriber.transcribe(_metered(blocks, meter, rest.limits.audio_seconds), wanted)


async def _metered(blocks: AsyncIterator[Samples], meter: Meter, longest_s: float) -> AsyncGenerator[Samples, None]:
    """The same blocks, each held for before it is heard."""
    samples = 0
    async for block in blocks:
        samples += len(block)
        if samples > longest_s * SPEECH_RATE:
            raise PeerError(
                f"the audio is longer than {longest_s:g} s (limits.audio_seconds)", code=Code.TOO_LARGE, param="file"
            )
        await meter.ahead(len(block))
        yield block
        meter.delivered(len(block))


async def _audio(mouth: Mouth, wanted: SpeechRequest, meter: Meter) -> AsyncGenerator[bytes, None]:
    """The bytes of the file, each held for before it is sent."""
    utterance = Utterance(wanted.input, mouth.voice.id, mouth.language, wanted.speed)
    pieces = speak(mouth.tts, utterance, parse_format(wanted.response_format), wanted.audio_quality)
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
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})
    yield _event({"type": "speech.audio.done"})


def _event(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event)
