"""Text in, audio out: what a voice says, encoded while it is being said."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from voxgate.audio.codecs.encoder import Encoder, open_encoder
from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.audio.codecs.wav import wav_header
from voxgate.domain import Utterance
from voxgate.ports import TextToSpeech


@dataclass(frozen=True, slots=True)
class Spoken:
    """The next bytes of a file of speech."""

    data: bytes
    """May be empty, while the codec gathers a frame."""
    samples: int
    """How much speech went into the file since the last piece, in samples at ENCODED_RATE."""


async def speak(
    tts: TextToSpeech,
    utterance: Utterance,
    fmt: Format,
    quality_kbit: int | None = None,
    *,
    on_first: Callable[[float], None] | None = None,
) -> AsyncGenerator[Spoken, None]:
    """The utterance as one file of format `fmt`, piece by piece, the first as soon as there is any audio.

    `on_first` is told the seconds that the engine took to its first audio.
    Codecs run beside the event loop: a second of MP3 takes about 10 ms. Raises PeerError, RefusedError, EngineError.
    """
    encoder: Encoder | None = None
    spoken = counted = 0
    began = time.perf_counter()
    async with tts.open(utterance) as pieces:
        async for piece in pieces:
            if encoder is None:
                if on_first is not None:
                    on_first(time.perf_counter() - began)
                encoder = open_encoder(fmt, piece.rate, quality_kbit)
            data = await asyncio.to_thread(encoder.feed, piece.samples)
            spoken += len(piece.samples)
            total = spoken * ENCODED_RATE // piece.rate
            yield Spoken(data, total - counted)
            counted = total
    encoder = encoder or open_encoder(fmt, ENCODED_RATE, quality_kbit)
    yield Spoken(await asyncio.to_thread(encoder.close), 0)


async def speak_file(tts: TextToSpeech, utterance: Utterance, fmt: Format, quality_kbit: int | None = None) -> bytes:
    """The utterance as one finished file; a WAV's header tells its true length. Raises as `speak` does."""
    bare = Format.PCM if fmt is Format.WAV else fmt
    async with aclosing(speak(tts, utterance, bare, quality_kbit)) as pieces:
        data = b"".join([piece.data async for piece in pieces])
    return wav_header(ENCODED_RATE, len(data)) + data if fmt is Format.WAV else data
