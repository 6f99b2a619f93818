"""What came from a room and waits for the bot: audio of a few seconds at most, everything else in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from voxgate.domain import SPEECH_RATE
from voxgate.gateways.rooms.media import Closed, Heard, Muted, Played, RoomEvent, Typed

UNHEARD = 2 * SPEECH_RATE
"""Samples that wait to be heard before the oldest are dropped: a bot that is so far behind answers somebody else."""
UNREAD = 32
"""Texts that wait to be read before new ones are dropped."""


class Arrivals:
    """A bounded buffer between whoever carries a room and the one who takes its events."""

    def __init__(self) -> None:
        self.dropped = 0
        """Samples at SPEECH_RATE that nobody took in time."""
        self._waiting: deque[RoomEvent] = deque()
        self._unheard = 0  # samples
        self._unread = 0  # texts
        self._closed = False
        self._arrived = asyncio.Event()

    def put(self, event: RoomEvent) -> None:
        """The next event. Nothing follows `Closed`."""
        if self._closed:
            return
        match event:
            case Heard(samples=samples):
                self._unheard += len(samples)
                self._waiting.append(event)
                self._drop_oldest_sound()
            case Typed() if self._unread >= UNREAD:
                return
            case Muted() | Played() if self._waiting and type(self._waiting[-1]) is type(event):
                self._waiting[-1] = event  # the newer one says it all
            case _:
                self._unread += isinstance(event, Typed)
                self._closed = isinstance(event, Closed)
                self._waiting.append(event)
        self._arrived.set()

    async def events(self) -> AsyncIterator[RoomEvent]:
        """All of them, to `Closed`, which is the last."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            event = self._waiting.popleft()
            if isinstance(event, Heard):
                self._unheard -= len(event.samples)
            self._unread -= isinstance(event, Typed)
            yield event
            if isinstance(event, Closed):
                return

    def _drop_oldest_sound(self) -> None:
        """As much as is too much."""
        at = 0
        while self._unheard > UNHEARD:
            event = self._waiting[at]
            if isinstance(event, Heard):
                del self._waiting[at]
                self._unheard -= len(event.samples)
                self.dropped += len(event.samples)
            else:
                at += 1
