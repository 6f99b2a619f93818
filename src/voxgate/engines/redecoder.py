"""Hearing while one speaks, with engines that hear whole utterances: redecoding.py decides, this carries it out."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from voxgate.audio.utterance import Prepared, prepare
from voxgate.domain import SPEECH_RATE, LiveRecognition, Partial, Recognition, Samples, Transcript
from voxgate.engines.pool import Priority, Shed, Ticket
from voxgate.engines.redecoding import Constants, Reading, Redecoding, Step, share
from voxgate.errors import MisuseError, VoxgateError
from voxgate.ports import LiveUtterance, Metrics


@dataclass(frozen=True, slots=True)
class Ask:
    """What the engine is to read."""

    request: Recognition
    partial: bool = False
    """Whether it may be given up where it gets difficult: neither beam nor second attempt, and no words."""
    prefix: tuple[int, ...] = ()
    """Tokens of the same engine that the text begins with."""


class Decoding(Protocol):
    """A reading under way."""

    @property
    def waits(self) -> bool:
        """Whether it has not begun yet."""
        ...

    def promote(self) -> None:
        """It is the final now."""
        ...

    def withdraw(self) -> None:
        """Nobody wants it any more. Idempotent."""
        ...

    async def reading(self) -> Reading:
        """What came of it. Raises Shed for a partial that was given up, EngineError, RefusedError."""
        ...


class Decoder(Protocol):
    """What an engine does for the redecoder."""

    @property
    def cores(self) -> int:
        """How many readings run at once, each on a core of its own."""
        ...

    def begin(self, ask: Callable[[], Ask], priority: Priority) -> Decoding:
        """Have something read; `ask` is called when that begins. Raises as `Decoding.reading` does."""
        ...


class Pooled:
    """A reading by a worker of a pool."""

    def __init__(self, ticket: Ticket, read: Callable[[Any], Reading]) -> None:
        """`read`: what the worker's answer says."""
        self._ticket, self._read = ticket, read

    @property
    def waits(self) -> bool:
        """See Decoding."""
        return self._ticket.waits

    def promote(self) -> None:
        """See Decoding."""
        self._ticket.promote()

    def withdraw(self) -> None:
        """See Decoding."""
        self._ticket.withdraw()

    async def reading(self) -> Reading:
        """See Decoding."""
        return self._read(await self._ticket.result())


class Redecoder:
    """Carries out `LiveSpeechToText.open` for one engine."""

    def __init__(
        self,
        decoder: Decoder,
        constants: Constants,
        *,
        name: str,
        max_seconds: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.decoder, self.constants = decoder, constants
        self.name, self.metrics, self.clock = name, metrics, clock
        self.longest = int(max_seconds * SPEECH_RATE)
        self._speakers = 0

    @asynccontextmanager
    async def open(self, request: LiveRecognition, told: Callable[[Partial], None]) -> AsyncIterator[LiveUtterance]:
        """See the port."""
        utterance = _Utterance(self, request, told)
        self._speakers += 1
        try:
            yield utterance
        finally:
            self._speakers -= 1
            await utterance.leave()

    @property
    def share(self) -> float:
        """What one speaker may take of a core for partials now."""
        return share(self.constants, self._speakers, self.decoder.cores)


class _Growing:
    """Audio that is added to at its end."""

    def __init__(self) -> None:
        self._held = np.zeros(2 * SPEECH_RATE, np.float32)
        self.length = 0

    def add(self, audio: Samples) -> None:
        end = self.length + len(audio)
        if end > len(self._held):
            grown = np.zeros(max(end, 2 * len(self._held)), np.float32)
            grown[: self.length] = self._held[: self.length]
            self._held = grown
        self._held[self.length : end] = audio
        self.length = end

    def first(self, length: int, zeros: int = 0) -> Samples:
        """A copy of the first `length` samples, and so many zeros behind them."""
        return np.pad(self._held[:length], (0, zeros))


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A reading, and the task that waits for it."""

    decoding: Decoding
    task: "asyncio.Task[Reading | None]"

    def stop(self) -> None:
        self.task.cancel()
        self.decoding.withdraw()  # a task that has never run does not do it


class _Utterance:
    """Carries out `ports.LiveUtterance`."""

    def __init__(self, shell: Redecoder, request: LiveRecognition, told: Callable[[Partial], None]) -> None:
        self._shell, self._request, self._told = shell, request, told
        self._policy = Redecoding(shell.constants, request.partials, request.language)
        self._audio = _Growing()
        self._partial: _Work | None = None
        self._early: _Work | None = None
        self._under_way: set[_Work] = set()
        self._finished = False

    def feed(self, audio: Samples, silence: int) -> None:
        """See the port. MisuseError after `finish`, and where it gets longer than the engine's `max_seconds`."""
        if self._finished:
            raise MisuseError(f"{self._shell.name} was fed an utterance that was finished")
        if self._audio.length + len(audio) > self._shell.longest:
            raise MisuseError(f"{self._shell.name} was fed an utterance of more than {self._shell.longest} samples")
        self._audio.add(audio)
        for step in self._policy.feed(len(audio), silence, self._shell.clock(), self._shell.share):
            match step:
                case Step.PARTIAL:
                    self._begin_partial()
                case Step.EARLY:
                    self._begin_early()
                case Step.DISCARD:
                    self._discard()

    async def finish(self, length: int) -> Transcript:
        """See the port. MisuseError the second time, and for more than was fed."""
        if self._finished or length > self._audio.length:
            raise MisuseError(f"{self._shell.name}: an utterance is finished once, within what was fed of it")
        self._finished = True
        self._policy.finish()
        if self._partial is not None:
            self._partial.stop()
        heard = await self._what_was_begun_early(length) or await self._read_whole(length)
        words = tuple(replace(w, start=min(w.start, length), end=min(w.end, length)) for w in heard.words)
        return replace(heard, words=words)

    async def leave(self) -> None:
        """Give up whatever is still under way; raises what went wrong in it that nobody foresaw."""
        tasks = [work.task for work in self._under_way]
        for work in self._under_way:
            work.stop()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(end, Exception):
                raise end

    # finals

    async def _what_was_begun_early(self, length: int) -> Transcript | None:
        """The final that was begun early, if it still is one; None too where it failed: the next one says why."""
        if self._early is not None and not self._policy.serves(length):
            self._discard()
        if self._early is None:
            return None
        self._early.decoding.promote()
        reading = await self._early.task
        if reading is None:
            return None
        self._count("early_used")
        return reading.transcript

    async def _read_whole(self, length: int) -> Transcript:
        prepared = prepare(self._audio.first(length))
        ask = Ask(self._wanted(prepared.audio))
        decoding = self._shell.decoder.begin(lambda: ask, Priority.FINAL)
        try:
            reading = await decoding.reading()
        finally:
            decoding.withdraw()
        return _placed(reading, prepared).transcript

    def _wanted(self, audio: Samples) -> Recognition:
        """What is asked about a final."""
        return Recognition(audio, self._request.language, hints=self._request.hints, words=self._request.words)

    def _begin_early(self) -> None:
        self._drop_waiting_partial()
        length = self._audio.length
        silence = length - self._policy.voiced
        tail = self._shell.constants.tail_ms * SPEECH_RATE // 1000
        zeros = max(0, min(tail - silence, self._shell.longest - length))
        prepared = prepare(self._audio.first(length, zeros))
        ask = Ask(self._wanted(prepared.audio))
        try:
            decoding = self._shell.decoder.begin(lambda: ask, Priority.SPECULATIVE)
        except VoxgateError:
            self._count("early_failed")
            return
        self._early = self._keep(decoding, self._await_early(decoding, prepared))

    async def _await_early(self, decoding: Decoding, prepared: Prepared) -> Reading | None:
        try:
            reading = await decoding.reading()
        except VoxgateError:
            self._count("early_failed")
            return None
        settled = self._request.settled
        self._tell(self._policy.heard_early(reading, settled=settled), self._policy.voiced, settled=settled)
        return _placed(reading, prepared)

    def _discard(self) -> None:
        if self._early is not None:
            self._early.stop()
            self._early = None
            self._count("early_discarded")

    # partials

    def _begin_partial(self) -> None:
        held = 0

        def ask() -> Ask:
            nonlocal held
            held, prefix = self._policy.begin(self._shell.clock())
            audio = prepare(self._audio.first(held)).audio
            return Ask(Recognition(audio, self._request.language, speech_certain=False), partial=True, prefix=prefix)

        async def wait(decoding: Decoding) -> None:
            try:
                reading = await decoding.reading()
            except (Shed, VoxgateError) as error:
                self._gave_up(error)
                return
            self._shell.metrics.observe("partial", reading.seconds, engine=self._shell.name)
            if reading.doubted:
                self._count("partial_doubted")
            self._tell(self._policy.heard(reading, held), held)

        try:
            decoding = self._shell.decoder.begin(ask, Priority.PARTIAL)
        except (Shed, VoxgateError) as error:
            self._gave_up(error)
            return
        self._partial = self._keep(decoding, wait(decoding))

    def _gave_up(self, error: Shed | VoxgateError) -> None:
        """A partial did not come. Where the engine is to blame the final, which will be asked for, says so."""
        if not isinstance(error, Shed):
            self._count("partial_failed")
        self._policy.gave_up(self._shell.clock())

    def _drop_waiting_partial(self) -> None:
        if self._partial is not None and self._partial.decoding.waits:
            self._partial.stop()
            self._count("partial_shed")
            self._policy.gave_up(self._shell.clock())

    # both

    def _keep(self, decoding: Decoding, waiting: Coroutine[Any, Any, Reading | None]) -> _Work:
        work = _Work(decoding, asyncio.create_task(waiting))
        self._under_way.add(work)
        work.task.add_done_callback(lambda task: self._over(work, task))
        return work

    def _over(self, work: _Work, task: "asyncio.Task[Reading | None]") -> None:
        if task.cancelled() or task.exception() is None:
            self._under_way.discard(work)

    def _tell(self, text: str | None, end: int, *, settled: bool = False) -> None:
        if text is not None:
            self._told(Partial(text, end, settled))

    def _count(self, event: str) -> None:
        self._shell.metrics.count(event, engine=self._shell.name)


def _placed(reading: Reading, prepared: Prepared) -> Reading:
    """With its words where they are in the utterance."""
    words = tuple(
        replace(word, start=prepared.place(word.start), end=prepared.place(word.end))
        for word in reading.transcript.words
    )
    return replace(reading, transcript=replace(reading.transcript, words=words))
