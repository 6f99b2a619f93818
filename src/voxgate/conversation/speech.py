"""Text in, audio out: what a voice says, encoded while it is being said.

One speech is one file. Its text may be complete (one utterance) or still being written (an utterance a clause): the
clauses go into the same encoder, with the pauses between them that a voice makes within a text.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from voxgate.audio.codecs.encoder import Encoder, open_encoder
from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.audio.codecs.wav import wav_header
from voxgate.domain import Samples, Utterance, Word
from voxgate.errors import MisuseError
from voxgate.ports import TextToSpeech
from voxgate.text.pauses import pause_ms
from voxgate.text.sentences import Clauses

LONGEST_PIECE_S = 0.5
"""Seconds of audio that one piece of a file holds at most: some engines make a whole clause at once, and what is paced,
held for and sent should come in steps that a cancel can stop between (a WAV of one is 24 kB)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spoken:
    """The next bytes of a file of speech."""

    data: bytes
    """May be empty, while the codec gathers a frame."""
    samples: int
    """How much speech went into the file since the last piece, in samples at ENCODED_RATE."""
    words: tuple[Word, ...] = ()
    """Words that begin about here, counted from the beginning of the file at ENCODED_RATE."""


class LiveText:
    """A text that is still being written, as the pieces it can be spoken in. One task writes it, another reads it."""

    def __init__(self, whole: str | None = None) -> None:
        """`whole`: a text that is complete already; it is one piece, since engines cut whole texts best themselves."""
        self._clauses = Clauses()
        self._ready: deque[str] = deque(() if whole is None else (whole,))
        self._ended = whole is not None
        self._news = asyncio.Event()

    def append(self, text: str) -> None:
        """More of it. Raises MisuseError after its end."""
        if self._ended:
            raise MisuseError("a text that has ended cannot grow")
        self._add(self._clauses.feed(text))

    def end(self) -> None:
        """Nothing more comes; what is left is the last piece. Again changes nothing."""
        if not self._ended:
            self._ended = True
            self._add(self._clauses.flush())

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """The next piece, as soon as it is sure where it ends."""
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._ready.popleft()

    def _add(self, pieces: Sequence[str]) -> None:
        self._ready.extend(pieces)
        self._news.set()


def speak(
    tts: TextToSpeech,
    utterance: Utterance,
    fmt: Format,
    quality_kbit: int | None = None,
    *,
    on_first: Callable[[float], None] | None = None,
) -> AsyncGenerator[Spoken, None]:
    """The utterance as one file of format `fmt`; else as `speak_each` says."""
    return speak_each(tts, _only(utterance), fmt, quality_kbit, on_first=on_first)


async def speak_each(
    tts: TextToSpeech,
    utterances: AsyncIterable[Utterance],
    fmt: Format,
    quality_kbit: int | None = None,
    *,
    on_first: Callable[[float], None] | None = None,
    mark_at: int | None = None,
    mark_every: int = 60 * ENCODED_RATE,
) -> AsyncGenerator[Spoken, None]:
    """The utterances, all in one voice, as one file of format `fmt`, the first bytes as soon as there is any audio.

    `on_first` is told the seconds that the engine took from the first utterance to its first audio. Where `mark_at` is
    given, a piece ends there, and `mark_every` later again and again, in samples at ENCODED_RATE from the beginning of
    the file (less what is not a whole sample of the voice): where something is paid for by the minute, no piece lies
    half in one that is not.
    Codecs run beside the event loop: a second of MP3 takes about 10 ms. Raises PeerError, RefusedError, EngineError.
    """
    file = _File(fmt, quality_kbit, mark_at, mark_every)
    rest_ms = 0.0
    async for utterance in utterances:
        began = time.perf_counter()
        start: int | None = None
        async with tts.open(utterance) as pieces:
            async for piece in pieces:
                if file.began and start is None and rest_ms:
                    pause = np.zeros(round(rest_ms * piece.rate / 1000), np.float32)
                    async for spoken in _in_steps(file, pause, piece.rate):
                        yield spoken
                elif not file.began and on_first is not None:
                    on_first(time.perf_counter() - began)
                start = file.spoken if start is None else start
                words = tuple(file.placed(word, start, piece.rate) for word in piece.words)
                async for spoken in _in_steps(file, piece.samples, piece.rate, words):
                    yield spoken
        if start is not None:
            rest_ms = pause_ms(utterance.text) / utterance.speed
    yield await file.close()


class Ahead(Generic[T]):
    """A stream made by a task of its own, ahead of its reader: what is read slowly is over for who makes it earlier.

    Begins at once. It is for one reader, and ended by `aclose`.
    """

    def __init__(self, items: AsyncGenerator[T, None], most: int) -> None:
        """`most`: items that may lie ready; one more waits to be put there."""
        self._items: asyncio.Queue[T | None] = asyncio.Queue(most)
        self._error: Exception | None = None
        self._work = asyncio.create_task(self._make(items))
        self._cancelled = False

    def __aiter__(self) -> "Ahead[T]":
        return self

    async def __anext__(self) -> T:
        """The next item. Raises what making it raised, once everything before was read; then nothing is left."""
        item = await self._items.get()
        if item is not None:
            return item
        if self._error is None:
            raise StopAsyncIteration
        error, self._error = self._error, None
        raise error

    def cancel(self) -> None:
        """Stop making. Nobody may wait for an item, or ask for one from now on."""
        if not self._cancelled:  # once only: it is not disturbed while it puts things away
            self._cancelled = True
            self._work.cancel()

    async def aclose(self) -> Exception | None:
        """Stop making, and see the stream left; what went wrong that nobody has read."""
        self.cancel()
        await asyncio.wait({self._work})
        return self._error

    async def _make(self, items: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(items):
                async for item in items:
                    await self._items.put(item)
        except Exception as error:
            self._error = error
        if not self._cancelled:
            await self._items.put(None)


async def speak_file(tts: TextToSpeech, utterance: Utterance, fmt: Format, quality_kbit: int | None = None) -> bytes:
    """The utterance as one finished file; a WAV's header tells its true length. Raises as `speak` does."""
    bare = Format.PCM if fmt is Format.WAV else fmt
    async with aclosing(speak(tts, utterance, bare, quality_kbit)) as pieces:
        data = b"".join([piece.data async for piece in pieces])
    return wav_header(ENCODED_RATE, len(data)) + data if fmt is Format.WAV else data


async def _only(utterance: Utterance) -> AsyncGenerator[Utterance, None]:
    yield utterance


async def _in_steps(
    file: "_File", samples: Samples, rate: int, words: tuple[Word, ...] = ()
) -> AsyncGenerator[Spoken, None]:
    """The samples into the file, a step at a time; at least one, since words may come without audio."""
    while True:
        size = min(round(LONGEST_PIECE_S * rate), file.room(rate))
        yield await file.add(samples[:size], rate, words)
        samples, words = samples[size:], ()
        if not samples.size:
            return


class _File:
    """The file being made, its encoder opened with the first audio, at the rate of that."""

    def __init__(self, fmt: Format, quality_kbit: int | None, mark_at: int | None = None, mark_every: int = 0) -> None:
        self._fmt = fmt
        self._quality_kbit = quality_kbit
        self._encoder: Encoder | None = None
        self._rate = ENCODED_RATE
        self._counted = 0
        self._mark = mark_at
        self._mark_every = mark_every
        self.spoken = 0
        """Samples that went into it, at the voice's rate."""

    @property
    def began(self) -> bool:
        """Whether anything was said yet."""
        return self._encoder is not None

    def room(self, rate: int) -> int:
        """Samples at `rate` to the next mark; at least one."""
        if self._mark is None:
            return sys.maxsize
        while (room := self._mark * rate // ENCODED_RATE - self.spoken) < 1:
            self._mark += self._mark_every
        return room

    def placed(self, word: Word, start: int, rate: int) -> Word:
        """A word of the utterance that began at sample `start`, where it lies in the file."""
        scale = ENCODED_RATE / rate
        return Word(word.text, round((start + word.start) * scale), round((start + word.end) * scale), word.confidence)

    async def add(self, samples: Samples, rate: int, words: tuple[Word, ...] = ()) -> Spoken:
        """More speech. Raises MisuseError for another rate than the first."""
        if self._encoder is not None and rate != self._rate:
            raise MisuseError(f"a voice began at {self._rate} samples a second and went on at {rate}")
        data = await asyncio.to_thread(self._encode, samples, rate)
        self.spoken += samples.size
        total = self.spoken * ENCODED_RATE // rate
        spoken = Spoken(data, total - self._counted, words)
        self._counted = total
        return spoken

    async def close(self) -> Spoken:
        """The end of the file."""
        return Spoken(await asyncio.to_thread(self._finish), 0)

    def _encode(self, samples: Samples, rate: int) -> bytes:
        if self._encoder is None:
            self._rate = rate
            self._encoder = open_encoder(self._fmt, rate, self._quality_kbit)
        return self._encoder.feed(samples)

    def _finish(self) -> bytes:
        return (self._encoder or open_encoder(self._fmt, ENCODED_RATE, self._quality_kbit)).close()
