"""`POST /v1/audio/transcriptions`."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import orjson
from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import PlainTextResponse, Response

from voxgate.conversation.transcription import Transcriber, Transcription, TranscriptionRequest
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError
from voxgate.gateways.rest.answers import Json, sse, streamed, unless_gone
from voxgate.gateways.rest.context import Rest, meter_of
from voxgate.protocols.rest.schemas import TranscriptionFields, check_length
from voxgate.protocols.rest.transcripts import delta, done, render
from voxgate.services.hearing import Ears
from voxgate.services.metering import Meter
from voxgate.text.hints import hint_terms


def router(rest: Rest) -> APIRouter:
    """The route that hears, over one server's services."""
    routes = APIRouter(prefix="/v1/audio", tags=["audio"])

    @routes.post("/transcriptions", response_class=Response, summary="Speech to text")
    async def transcriptions(
        request: Request,
        file: Annotated[UploadFile, File(description="Audio in any container FFmpeg reads, up to 25 MiB")],
        fields: Annotated[TranscriptionFields, Form()],
    ) -> Response:
        """Speech to text: one audio file in, its transcript out, whole or as it is recognized."""
        _check_upload(file, rest.limits.upload_bytes)
        check_length("prompt", fields.prompt, rest.limits.prompt_characters)
        ears = rest.switchboard().ears(fields.model, fields.languages)
        meter = meter_of(rest, request, rest.prices.transcription(SPEECH_RATE), whole=not fields.stream)
        if fields.stream:
            return await streamed(
                request,
                sse(_events(rest, ears, file, fields, meter)),
                content_type="text/event-stream",
                slow_reader_s=rest.limits.slow_reader_s,
                headers=lambda: {"X-Credits-Remaining": meter.remaining, "Cache-Control": "no-store"},
            )
        body = await unless_gone(request, _whole(rest, ears, file, fields, meter))
        headers = {"X-Credits-Used": meter.used, "X-Credits-Remaining": meter.remaining}
        return PlainTextResponse(body, headers=headers) if isinstance(body, str) else Json(body, headers=headers)

    return routes


async def _whole(
    rest: Rest, ears: Ears, file: UploadFile, fields: TranscriptionFields, meter: Meter
) -> str | dict[str, object]:
    """The finished answer."""
    async with meter:
        try:
            async with _hearing(rest, ears, file, fields, meter) as run:
                transcript = await run.whole()
        except BaseException:
            meter.void()  # nothing was answered, so nothing was sold
            raise
    return render(transcript, fields.response_format, words=fields.wants_words)


async def _events(
    rest: Rest, ears: Ears, file: UploadFile, fields: TranscriptionFields, meter: Meter
) -> AsyncGenerator[bytes, None]:
    """OpenAI's events of a transcript that is being made: a delta a segment, at the end the whole."""
    answered = False
    async with meter:
        try:
            async with _hearing(rest, ears, file, fields, meter) as run:
                async for segment in run:
                    yield orjson.dumps(delta(segment, first=not answered))
                    answered = True
                yield orjson.dumps(done(await run.whole()))
                answered = True
        except BaseException:
            if not answered:
                meter.void()
            raise


@asynccontextmanager
async def _hearing(
    rest: Rest, ears: Ears, file: UploadFile, fields: TranscriptionFields, meter: Meter
) -> AsyncIterator[Transcription]:
    """The recording on its way through decoder, voice detector and recognizer."""
    wanted = TranscriptionRequest(
        language=ears.language,
        hints=hint_terms(fields.prompt, rest.limits.hint_terms),
        words=fields.wants_words or fields.response_format in ("srt", "vtt"),
        among=ears.among,
        given=ears.given,
        correct=fields.enable_correction,
        named=ears.named,
    )
    transcriber = Transcriber(rest.vad(), ears.stt, identifier=ears.identifier, look_ahead=rest.cores)
    async with (
        _on_disk(file) as path,
        rest.decoder().open(path) as blocks,
        transcriber.open(_metered(blocks, meter, rest.limits.audio_seconds), wanted) as run,
    ):
        yield run


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


async def _metered(blocks: AsyncIterator[Samples], meter: Meter, longest_s: float) -> AsyncGenerator[Samples, None]:
    """The same blocks, each held for before it is heard."""
    samples = 0
    async for block in blocks:
        samples += len(block)
        if samples > longest_s * SPEECH_RATE:
            raise PeerError(
                f"the audio is longer than {longest_s:g} s (limits.audio_seconds)",
                code=Code.INPUT_TOO_LONG,
                param="file",
            )
        await meter.ahead(len(block))
        yield block
        meter.delivered(len(block))
