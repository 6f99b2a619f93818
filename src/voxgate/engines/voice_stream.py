"""A text to a stream of speech, piece by piece: what Piper and espeak-ng have in common."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np

from voxgate.domain import Speech, Utterance, Word
from voxgate.engines.piper_text import speakable
from voxgate.errors import Code, PeerError
from voxgate.text.pauses import pause_ms
from voxgate.text.sentences import split

AHEAD_S = 8.0
"""Seconds of unread speech at which the next piece is put off: enough that a listener never waits between pieces, and
little enough that a text of 10,000 characters never takes more memory than two of its pieces."""
SLOWEST, FASTEST = 0.25, 4.0

SpeakPiece = Callable[[str, float], AsyncGenerator[Speech, None]]
"""(text of at most a few hundred characters, seconds the listener still has) -> its audio, words from its own start."""


@asynccontextmanager
async def speaking(utterance: Utterance, rate: int, speak: SpeakPiece) -> AsyncIterator[AsyncIterator[Speech]]:
    """The utterance's audio as it is made, with pauses between its pieces. Leaving the block stops the work.

    A text without a letter or digit gives no audio and no error. Raises PeerError for a speed out of range.
    """
    if not SLOWEST <= utterance.speed <= FASTEST:
        raise PeerError(f"speed must lie between {SLOWEST} and {FASTEST:g}", code=Code.INVALID_VALUE, param="speed")
    stream = _Stream(utterance, rate, speak)
    work = asyncio.create_task(stream.work())
    try:
        yield stream
    finally:
        work.cancel()
        await asyncio.wait({work})


class _Stream:
    """Made by one task, read by another; at most AHEAD_S and one piece in between."""

    def __init__(self, utterance: Utterance, rate: int, speak: SpeakPiece) -> None:
        self._pieces = [piece for piece in split(utterance.text) if speakable(piece)]
        self._speed = utterance.speed
        self._rate = rate
        self._speak = speak
        self._made: deque[Speech] = deque()
        self._unread = 0
        self._position = 0
        self._error: Exception | None = None
        self._over = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def work(self) -> None:
        """Speak piece after piece. What goes wrong is told to the reader, once everything before it has been read."""
        try:
            for number, piece in enumerate(self._pieces):
                await self._speak_piece(piece)
                if number + 1 < len(self._pieces):
                    pause = round(pause_ms(piece) * self._rate / 1000 / self._speed)
                    self._put(Speech(np.zeros(pause, np.float32), self._rate))
                    await self._until_due()
        except Exception as error:
            self._error = error
        finally:
            self._over = True
            self._news.set()

    def __aiter__(self) -> "_Stream":
        return self

    async def __anext__(self) -> Speech:
        """The speech in order, until its end or until what went wrong."""
        while not self._made:
            if self._error:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        speech = self._made.popleft()
        self._unread -= speech.samples.size
        self._room.set()
        return speech

    async def _speak_piece(self, piece: str) -> None:
        start = self._position
        async for speech in self._speak(piece, self._unread / self._rate):
            words = tuple(Word(word.text, start + word.start, start + word.end) for word in speech.words)
            self._put(Speech(speech.samples, self._rate, words))

    def _put(self, speech: Speech) -> None:
        if not speech.samples.size and not speech.words:
            return
        self._made.append(speech)
        self._unread += speech.samples.size
        self._position += speech.samples.size
        self._news.set()

    async def _until_due(self) -> None:
        while self._unread > AHEAD_S * self._rate:
            self._room.clear()
            await self._room.wait()
