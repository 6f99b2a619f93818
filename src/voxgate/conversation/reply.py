"""One reply being made: a model's text, clause by clause into a voice, as fast as it is played.

The text is read as fast as the model writes it; the voice is asked for the next clause only when little audio is left
to send (Playout.hungry), so that what an interruption throws away was mostly never made.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from voxgate.audio.resample import Resampler
from voxgate.conversation.latency import MadeAt
from voxgate.conversation.live import Timers
from voxgate.conversation.pictures import Pictures, Shown
from voxgate.conversation.playout import Playout
from voxgate.conversation.script import Script
from voxgate.conversation.speculation import Load
from voxgate.conversation.turn_table import Purpose
from voxgate.domain import Utterance, Word, glue_of
from voxgate.errors import EngineError, VoxgateError
from voxgate.ports import LanguageModel, TextToSpeech, Translator
from voxgate.text.normalize import normalize
from voxgate.text.pauses import pause_ms
from voxgate.text.sentences import Clauses


@dataclass(frozen=True, slots=True)
class Voicing:
    """How a language is spoken in a call."""

    tts: TextToSpeech
    voice: str
    """The engine's own name of the voice."""
    language: str
    """BCP-47 tag as the engine knows it."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """Who thinks of the answers of a call."""

    llm: LanguageModel
    model: str | None = None
    """The upstream's name of the model, where one was chosen."""
    most_tokens: int = 512
    """Longest answer."""
    translator: Translator | None = None
    """Turns answers into the language they are to be in, where the model cannot be told which."""
    reads_ahead: bool = False
    """Whether the model remembers what it has read of a prompt, so that it pays to let it read before it is asked."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What a reply is to say."""

    text: str | None = None
    """Word for word; None: what the model answers."""
    messages: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    """What the model answers to, in OpenAI's shape."""


class Listening(Protocol):
    """Who is told how a reply comes along; called on the event loop, by the reply's own task."""

    def wrote(self, reply: "Reply", text: str) -> None:
        """More text, never empty."""
        ...

    def written(self, reply: "Reply") -> None:
        """Its text is whole."""
        ...

    def voiced(self, reply: "Reply") -> None:
        """There is more audio in its playout, or the end of it."""
        ...

    def failed(self, reply: "Reply", error: VoxgateError) -> None:
        """It cannot be finished."""
        ...


class Reply:
    """One reply: its text beside its audio, at the rate of the call."""

    def __init__(
        self,
        number: int,
        purpose: Purpose,
        saying: Saying,
        *,
        thinking: Thinking,
        voicing: Voicing,
        playout: Playout,
        rate: int,
        timers: Timers,
        load: Load,
        told: Listening,
        images: Mapping[str, str] | None = None,
    ) -> None:
        """`images`: pictures it may show, key -> description."""
        self.number, self.purpose = number, purpose
        self.language = voicing.language
        self.script = Script(rate)
        self.playout = playout
        self.made = MadeAt(timers.time())
        self.task: asyncio.Task[None] | None = None
        """Who makes it; set by whoever begins it."""
        self.tokens = 0
        """Pieces of text the model has written: a token each, as models send them."""
        self._saying, self._thinking, self._voicing = saying, thinking, voicing
        self._rate, self._timers, self._load, self._told = rate, timers, load, told
        self._images = images or {}
        self._shown: deque[tuple[int, str]] = deque()  # place in the text, key
        self._clauses: deque[str] = deque()
        self._written = False
        self._news = asyncio.Event()  # more clauses, or their end
        self._room = asyncio.Event()  # some audio was sent

    def sent(self) -> None:
        """Some of its audio was sent: there may be room for more."""
        self._room.set()

    def cancel(self) -> None:
        """Stop making it. Idempotent."""
        if self.task is not None:
            self.task.cancel()

    def shown(self, sent: int | None) -> list[str]:
        """Keys of the pictures that are due once so many samples were sent; each once. None: all that are left."""
        due: list[str] = []
        while self._shown:
            begins = self.script.begins(self._shown[0][0])
            if sent is not None and (begins is None or begins >= sent):
                break
            due.append(self._shown.popleft()[1])
        return due

    async def make(self) -> None:
        """Make it. What fails is told, not raised."""
        try:
            async with asyncio.TaskGroup() as halves:
                halves.create_task(self._write())
                halves.create_task(self._voice())
        except* VoxgateError as group:
            self._told.failed(self, _first(group))

    # its text

    async def _write(self) -> None:
        clauses = Clauses()
        async with aclosing(self._texts()) as texts:
            async for part in texts:
                if isinstance(part, Shown):
                    self._shown.append((len(self.script.text), part.key))
                else:
                    self._put_down(part, clauses)
        if self.made.token is None and self._shown:  # a picture without a word is named
            key = self._shown[0][1]
            self._put_down(self._images[key] or key, clauses)
        if self.made.token is None:
            raise EngineError("the language model answered nothing", engine=self._thinking.llm.model)
        self._add(clauses.flush())
        self.script.whole = self._written = True
        self._news.set()
        self._told.written(self)

    def _put_down(self, text: str, clauses: Clauses) -> None:
        # a reply begins with its first letter: models like to begin with a line of their own
        piece = text if self.made.token is not None else text.lstrip()
        if not piece:
            return
        if self.made.token is None:
            self.made.token = self._timers.time()
        self.script.write(piece)
        self._told.wrote(self, piece)
        self._add(clauses.feed(piece))

    def _add(self, clauses: Sequence[str]) -> None:
        if clauses:
            if self.made.clause is None:
                self.made.clause = self._timers.time()
            self._clauses.extend(clauses)
            self._news.set()

    async def _texts(self) -> AsyncGenerator[str | Shown]:
        pictures = Pictures(self._images)
        if self._saying.text is not None:
            for part in pictures.feed(self._saying.text) + pictures.flush():
                yield part
            return
        translator = self._thinking.translator
        self._load.making += 1
        try:
            async with aclosing(self._answer(pictures)) as answer:
                if translator is None:
                    async for part in answer:
                        yield part
                    return
                clauses, glue = Clauses(), ""
                async for part in answer:
                    if isinstance(part, Shown):
                        yield part
                        continue
                    for clause in clauses.feed(part):
                        yield glue + await translator.translate(clause, self.language)
                        glue = glue_of(self.language)
                for clause in clauses.flush():
                    yield glue + await translator.translate(clause, self.language)
                    glue = glue_of(self.language)
        finally:
            self._load.making -= 1

    async def _answer(self, pictures: Pictures) -> AsyncGenerator[str | Shown]:
        thinking = self._thinking
        body: dict[str, Any] = {
            "model": thinking.model or thinking.llm.model,
            "messages": list(self._saying.messages),
            "stream": True,
            "max_completion_tokens": thinking.most_tokens,
        }
        async with thinking.llm.open(body) as answer:
            async for chunk in answer:
                for choice in (chunk.get("choices") or ())[:1]:
                    if text := (choice.get("delta") or {}).get("content"):
                        self.tokens += 1
                        for part in pictures.feed(text):
                            yield part
            for part in pictures.flush():
                yield part

    # its audio

    async def _voice(self) -> None:
        last: str | None = None
        while (clause := await self._next()) is not None:
            spoken = normalize(clause, "advanced", self.language)
            if last is not None:
                self._play(np.zeros(round(pause_ms(last) * self._rate / 1000), np.float32))
            await self._hunger()
            self.script.say(clause, spoken)
            if any(map(str.isalnum, spoken)):
                await self._say(spoken)
            last = clause
        self.script.said()
        self.playout.finish()
        self._told.voiced(self)

    async def _next(self) -> str | None:
        while not self._clauses:
            if self._written:
                return None
            self._news.clear()
            await self._news.wait()
        return self._clauses.popleft()

    async def _say(self, spoken: str) -> None:
        voicing = self._voicing
        resampler: Resampler | None = None
        async with voicing.tts.open(Utterance(spoken, voicing.voice, voicing.language)) as pieces:
            async for piece in pieces:
                if self.made.audio is None:
                    self.made.audio = self._timers.time()
                if resampler is None:
                    resampler = Resampler(piece.rate, self._rate)
                scale = self._rate / piece.rate
                words = [Word(w.text, round(w.start * scale), round(w.end * scale)) for w in piece.words]
                self._play(resampler.feed(piece.samples), words)
                await self._hunger()
        if resampler is not None:
            self._play(resampler.flush())

    def _play(self, audio: np.ndarray[Any, np.dtype[np.float32]], words: Sequence[Word] = ()) -> None:
        self.script.voiced(len(audio), words)
        self.playout.add(audio)
        self._told.voiced(self)

    async def _hunger(self) -> None:
        while not self.playout.hungry:
            self._room.clear()
            await self._room.wait()


def _first(group: BaseExceptionGroup[VoxgateError]) -> VoxgateError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, VoxgateError)
    return error
