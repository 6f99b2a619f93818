"""A live session: audio in as it is spoken, and what is heard told as it is known.

Segments are told in their order (live_telling.py). Edges of speech are told the moment the detector is sure, whether
silence ends segments or commits alone do; a commit, a stall or the end of the session that ends speech is told as its
stop. A contradicted language is told once, after the segment that contradicts it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from voxgate.conversation.detector import INLINE_WINDOWS, Detector, Judged
from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.finals import TranscriptionRequest, Wording
from voxgate.conversation.gate import EnergyGate
from voxgate.conversation.live_listening import LiveListening, Piece
from voxgate.conversation.live_segments import Begin, Complete, Cut, LiveSegments, More, Step
from voxgate.conversation.live_telling import Telling
from voxgate.domain import SPEECH_RATE, LiveEvent, Partials, Samples, SpeechEdge
from voxgate.ports import LanguageIdentifier, Recognizer, Vad

__all__ = ["LiveTranscriber", "LiveTranscription", "LiveWanted", "Timers", "TranscriptionRequest"]

_MOST_PENDING = 4
"""Segments, or pieces of one, that may wait for their final before `feed` waits: a minute or two of speech."""
_BATCH_WINDOWS = 32
"""Windows judged and carried out before anybody else has a turn: a second of audio, less than a millisecond here."""


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Or not."""
        ...


class Timers(Protocol):
    """What a stall is measured with; every event loop is one."""

    def time(self) -> float:
        """Seconds from an arbitrary start; never jumps."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Call it so many seconds from now, once."""
        ...


@dataclass(frozen=True, slots=True)
class LiveWanted:
    """What is asked of a live session."""

    request: TranscriptionRequest = field(default_factory=TranscriptionRequest)
    endpoint: EndpointSettings | None = field(default_factory=EndpointSettings)
    """What ends segments besides commits; None: nothing does."""
    stall_ms: int | None = 1500
    """Audio that does not arrive for so long ends a segment as silence does; None: never, as where `endpoint` is."""
    partials: Partials = Partials.FAST
    speech_events: bool = True
    """Whether edges of speech are told."""
    settled: bool = False
    """Whether partials are told, too, of what the final would be in a pause (PartialHeard.settled)."""


class LiveTranscriber:
    """A voice detector and a recognizer, put together for live audio."""

    def __init__(
        self,
        vad: Vad,
        stt: Recognizer,
        *,
        identifier: LanguageIdentifier | None = None,
        timers: Timers | None = None,
    ) -> None:
        """`identifier`: who tells languages apart where a request leaves them open; maybe `stt` itself.

        `timers`: None for those of the running event loop.
        """
        self._vad = vad
        self._stt = stt
        self._identifier = identifier
        self._timers = timers

    @asynccontextmanager
    async def open(
        self,
        wanted: LiveWanted,
        told: Callable[[LiveEvent], None],
        *,
        judged: Callable[[Judged], None] = lambda _: None,
    ) -> AsyncIterator["LiveTranscription"]:
        """One session. `told` is called on the event loop, and must return at once; so is `judged`, with each window.

        Leaving the block cancels what is still being recognized and waits for it; nothing is told after that.
        """
        timers = self._timers or asyncio.get_running_loop()
        session = LiveTranscription(self._vad, self._stt, self._identifier, timers, wanted, told, judged)
        try:
            yield session
        finally:
            await session.aclose()


class LiveTranscription:
    """One session. `feed`, `commit` and `stop` are called one after the other, never two at once.

    Each may be cancelled: audio that was handed over is then heard before what the next call brings. Each raises what
    the engine failed with (EngineError, RefusedError), also while it waits; nothing goes on after that.
    """

    def __init__(
        self,
        vad: Vad,
        stt: Recognizer,
        identifier: LanguageIdentifier | None,
        timers: Timers,
        wanted: LiveWanted,
        told: Callable[[LiveEvent], None],
        judged: Callable[[Judged], None] = lambda _: None,
    ) -> None:
        endpoint = wanted.endpoint or EndpointSettings()
        margin = (endpoint.lead_ms + endpoint.tail_ms) * SPEECH_RATE // 1000
        self.position = 0
        """Samples fed so far."""
        self._wanted = wanted
        self._told = told
        self._shown = judged
        self._detector = Detector(vad, EnergyGate(vad.window, endpoint.released_below))
        self._segments = LiveSegments(wanted.endpoint, max_seconds=stt.max_seconds)
        self._listening = LiveListening(
            stt, wanted.request, wanted.partials, identifier, margin=margin, settled=wanted.settled
        )
        self._telling = Telling(Wording(wanted.request), partials=wanted.partials is not Partials.OFF)
        self._inbox: deque[Samples] = deque()  # windows that nobody has judged yet
        self._judging: asyncio.Future[list[Judged]] | None = None  # some of them, in a thread
        self._piece: Piece | None = None  # the one that has begun
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()  # something was heard, or failed
        self._stall = _Stall(timers, wanted.stall_ms if wanted.endpoint else None, self._stalled)

    async def feed(self, audio: Samples) -> None:
        """More audio, any number of samples at SPEECH_RATE. Waits while too many finals are under way."""
        self._raise_failure()
        self.position += len(audio)
        self._inbox += self._detector.windows(audio)
        if self._inbox or self._judging is not None:
            with self._stall:
                await self._work()
        self._stall.heard(is_open=self._segments.is_open)

    async def commit(self) -> None:
        """The segment ends here: exactly one FinalHeard answers, with empty text if nothing was said since the last.

        Returns when the segment is cut, not when its final is told.
        """
        await self._end(self._segments.commit)

    async def stop(self) -> None:
        """The audio has ended: what was begun gets its final. Returns when everything has been told."""
        await self._end(self._segments.stop)
        while self._tasks:
            self._raise_failure()
            self._changed.clear()
            await self._changed.wait()
        self._raise_failure()

    def paused(self) -> AbstractContextManager[object]:
        """While nobody takes audio from the client, because it is too far ahead, its silence is no stall."""
        return self._stall

    async def failure(self) -> None:
        """Waits until the engine fails, and raises what with: for whoever waits for something else meanwhile."""
        await asyncio.shield(self._failed)

    async def aclose(self) -> None:
        """Cancel what is under way, and wait for it."""
        self._stall.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._judging is not None:
            await asyncio.wait([self._judging])
            self._judging.exception()
        if self._failed.done():
            self._failed.exception()  # known to whoever asked; nobody's business any more

    async def _end(self, ended: Callable[[], list[Step]]) -> None:
        self._raise_failure()
        with self._stall:
            await self._work()
            self._judged(self._detector.flush())
            self._apply(ended())
        self._stall.heard(is_open=self._segments.is_open)

    async def _work(self) -> None:
        """Judge and carry out what is in the inbox. Cancelled, it goes on where it was when it is called again."""
        while True:
            await self._room()
            if self._judging is None:
                if not self._inbox:
                    return
                batch = [self._inbox.popleft() for _ in range(min(_BATCH_WINDOWS, len(self._inbox)))]
                if len(batch) <= INLINE_WINDOWS:
                    self._judged(self._detector.judge(batch))
                    continue
                self._judging = asyncio.ensure_future(asyncio.to_thread(self._detector.judge, batch))
            judged = await asyncio.shield(self._judging)
            self._judging = None
            self._judged(judged)

    async def _room(self) -> None:
        while self._telling.pending >= _MOST_PENDING:
            self._changed.clear()
            await self._changed.wait()
            self._raise_failure()

    def _stalled(self) -> bool:
        """Audio has stopped arriving; whether that could be dealt with now."""
        if self._inbox or self._judging is not None:
            return False
        try:
            self._judged(self._detector.flush())
            self._apply(self._segments.stalled())
        except Exception as error:  # a timer has nobody to raise it to
            self._fail(error)
        return True

    def _judged(self, judged: list[Judged]) -> None:
        for window, probability in judged:
            steps = self._segments.feed(window, probability)
            if steps:
                self._apply(steps)
            self._shown((window, probability))

    def _apply(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case More(audio=audio, silence=silence):
                    assert self._piece is not None
                    self._piece.feed(audio, silence)
                case SpeechEdge():
                    if self._wanted.speech_events:
                        self._told(step)
                case Begin(segment=number, start=start):
                    self._piece = Piece(start, self._tell)
                    self._telling.begin(number, self._piece.said)
                    self._spawn(self._hear(self._piece))
                case Cut(end=end):
                    assert self._piece is not None
                    self._piece.cut(end)
                    self._piece = None
                case Complete(segment=number, at=at, owed=owed):
                    self._tell(self._telling.complete(number, at, owed=owed, language=self._listening.language))

    def _tell(self, news: Iterable[LiveEvent] | None = None) -> None:
        for event in self._telling.news() if news is None else news:
            self._told(event)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        self._changed.set()

    async def _hear(self, piece: Piece) -> None:
        await self._listening.hear(piece)
        self._tell()
        self._changed.set()
        contradiction = await self._listening.contradiction(piece)
        if contradiction is not None:
            self._tell(self._telling.contradict(piece.said, contradiction))

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)
        self._changed.set()

    def _raise_failure(self) -> None:
        if self._failed.done():
            self._failed.result()


class _Stall:
    """Calls `stalled` once nothing was heard for so long, while something is open. Entered, it is suspended."""

    def __init__(self, timers: Timers, stall_ms: int | None, stalled: Callable[[], bool]) -> None:
        """`stalled` says whether it could deal with it; if not, it is called again."""
        self._timers = timers
        self._after = None if stall_ms is None else stall_ms / 1000
        self._stalled = stalled
        self._timer: Timer | None = None
        self._last = 0.0  # when something was last heard
        self._open = False
        self._suspended = 0

    def heard(self, *, is_open: bool) -> None:
        """Something was heard just now; `is_open`: whether it is of any consequence if nothing follows."""
        self._open = is_open
        if self._after is None:
            return
        self._last = self._timers.time()
        if is_open and self._timer is None:  # one timer for all that is heard: it finds out how much longer
            self._timer = self._timers.call_later(self._after, self._due)

    def cancel(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._after = None, None

    def __enter__(self) -> object:
        self._suspended += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._suspended -= 1
        self._last = self._timers.time()

    def _due(self) -> None:
        self._timer = None
        if self._after is None or not self._open:
            return
        left = self._after if self._suspended else self._last + self._after - self._timers.time()
        if left <= 0:
            if self._stalled():
                self._open = False
                return
            left = self._after
        self._timer = self._timers.call_later(left, self._due)
