"""Live sessions under test: what they told, and a clock that goes when told to."""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

from tests.conversation.ears import Ears, LoudIsSpeech, Tells
from voxgate.conversation.live import LiveTranscriber, LiveTranscription, LiveWanted
from voxgate.domain import FinalHeard, LiveEvent, PartialHeard, Samples, SpeechEdge

PLAIN = LiveWanted()
BY_COMMIT = LiveWanted(endpoint=None)


class FakeTimers:
    """`Timers` that go off when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None], /) -> "FakeTimer":
        entry = (self.now + delay, next(self._count), callback)
        heapq.heappush(self.due, entry)
        return FakeTimer(self, entry)

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due and self.due[0][0] <= end:
            self.now, _, callback = heapq.heappop(self.due)
            callback()
        self.now = end


class FakeTimer:
    def __init__(self, timers: FakeTimers, entry: tuple[float, int, Callable[[], None]]) -> None:
        self._timers, self._entry = timers, entry

    def cancel(self) -> None:
        self._timers.due.remove(self._entry)
        heapq.heapify(self._timers.due)


class Told(list[LiveEvent]):
    """Everything that was told, in short: `(final, 0, text)`."""

    @property
    def finals(self) -> list[str]:
        return [event.heard.text for event in self if isinstance(event, FinalHeard)]

    @property
    def segments(self) -> list[tuple[int, int, int, str]]:
        return [
            (event.segment, event.heard.start, event.heard.end, event.heard.text)
            for event in self
            if isinstance(event, FinalHeard)
        ]

    @property
    def partials(self) -> list[tuple[int, str]]:
        return [(event.segment, event.text) for event in self if isinstance(event, PartialHeard)]

    @property
    def edges(self) -> list[tuple[bool, int]]:
        return [(event.started, event.at) for event in self if isinstance(event, SpeechEdge)]


def opened(
    told: Told,
    ears: Ears,
    wanted: LiveWanted = PLAIN,
    *,
    timers: FakeTimers | None = None,
    identifier: Tells | None = None,
) -> AbstractAsyncContextManager[LiveTranscription]:
    transcriber = LiveTranscriber(LoudIsSpeech(), ears, identifier=identifier, timers=timers or FakeTimers())
    return transcriber.open(wanted, told.append)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def speak(session: LiveTranscription, audio: Samples, size: int = 320) -> None:
    for at in range(0, len(audio), size):
        await session.feed(audio[at : at + size])
        if at // size % 5 == 0:
            await asyncio.sleep(0)
    await settle()


async def session_of(audio: Samples, wanted: LiveWanted = PLAIN, ears: Ears | None = None, size: int = 320) -> Told:
    told = Told()
    async with opened(told, ears or Ears(), wanted) as session:
        await speak(session, audio, size)
        await session.stop()
    return told
