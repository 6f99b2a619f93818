"""Audio of a live session on its way in: not too far ahead of real time, paid for before it is heard, and timed.

Samples are at SPEECH_RATE; moments are seconds of the clock that is handed in.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from voxgate.clock import Clock
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.services.billing import HOLD_STEP_S
from voxgate.services.metering import Meter

_HOLD = HOLD_STEP_S * SPEECH_RATE
"""Samples that are paid for at a time: no piece goes beyond, so that all that is paid for is heard."""
_PIECE = SPEECH_RATE
"""Most samples that are paced, paid for and heard at once."""
_ARRIVALS = 512
"""Latest pieces whose time of arrival is remembered: ten seconds in 20 ms frames, longer than any partial takes."""
_DECISIONS = 32
"""Latest ends of segments that are remembered: more finals are never under way, and noise has ends without finals."""


class Hearing(Protocol):
    """Where audio goes: `conversation.live.LiveTranscription`."""

    async def feed(self, audio: Samples) -> None:
        """Hear it."""

    def paused(self) -> AbstractContextManager[object]:
        """While nobody asks the client for audio."""
        ...


class Pace:
    """How far audio runs ahead of real time. Pure.

    A client that was held up may catch up: time in which nothing came counts, as much of it as may be ahead.
    """

    def __init__(self, most_s: float, now: float) -> None:
        """`most_s`: `limits.audio_ahead_s`."""
        self._most_s = most_s
        self._until = now  # when what has come would be over, in real time

    def take(self, samples: int, now: float) -> float:
        """So many more come in; seconds to wait before they are heard."""
        self._until = max(self._until, now - self._most_s) + samples / SPEECH_RATE
        return max(0.0, self._until - now - self._most_s)


class Lags:
    """How late what is told comes, for the metrics."""

    def __init__(self, observe: Callable[[str, float], None], clock: Clock) -> None:
        """`observe`: called with a stage and its seconds."""
        self._observe = observe
        self._time = clock.monotonic
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_ARRIVALS)
        self._covered = 0  # samples whose first partial was told
        self._decided: dict[int, float] = {}  # end of a segment -> when it was decided
        self._asked: deque[float] = deque()  # when the finals that commits are owed were asked for, oldest first

    def arrived(self, position: int) -> None:
        """All audio before `position` is there."""
        self._arrivals.append((position, self._time()))

    def decided(self, end: int) -> None:
        """The segment that ends here, if there is one, is over: silence was long enough, or a commit came."""
        self._decided.setdefault(end, self._time())
        if len(self._decided) > _DECISIONS:
            del self._decided[next(iter(self._decided))]

    def asked(self) -> None:
        """The next final that nobody has asked for yet is asked for, wherever it ends: where only commits end them."""
        self._asked.append(self._time())

    def partial(self, end: int) -> None:
        """A partial is told that covers the audio before `end`; only the first that covers some audio counts."""
        if end <= self._covered:
            return
        self._covered = end
        arrivals = self._arrivals
        while arrivals and arrivals[0][0] < end:
            arrivals.popleft()
        if arrivals:
            self._observe("live_partial", self._time() - arrivals[0][1])

    def final(self, end: int) -> None:
        """The final of the segment that ends here is told; of one that was cut in the middle of speech, nothing was
        decided, and of one that says nothing, none is told."""
        decided = self._asked.popleft() if self._asked else self._decided.get(end)
        self._decided = {later: moment for later, moment in self._decided.items() if later > end}
        if decided is not None:
            self._observe("live_final", self._time() - decided)


class Intake:
    """All the audio of one session."""

    def __init__(
        self,
        hearing: Hearing,
        meter: Meter,
        lags: Lags,
        clock: Clock,
        *,
        ahead_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`ahead_s`: `limits.audio_ahead_s`. `sleep`: how real time is waited for, in seconds."""
        self.heard = 0
        """Samples so far: what is billed."""
        self._hearing = hearing
        self._meter = meter
        self._lags = lags
        self._clock = clock
        self._sleep = sleep
        self._pace = Pace(ahead_s, clock.monotonic())

    async def take(self, audio: Samples) -> None:
        """Hear all of it. Waits while that is too far ahead of real time, and while too much is being recognized.

        Raises RefusedError `insufficient_credits` once everything that was paid for has been handed over; StoreError;
        what hearing raises.
        """
        while len(audio):
            size = min(len(audio), _PIECE, _HOLD - self.heard % _HOLD)
            piece, audio = audio[:size], audio[size:]
            if (wait_s := self._pace.take(size, self._clock.monotonic())) > 0:
                with self._hearing.paused():
                    await self._sleep(wait_s)
            await self._meter.ahead(size)
            self._lags.arrived(self.heard + size)
            await self._hearing.feed(piece)
            self.heard += size
            self._meter.delivered(size)
