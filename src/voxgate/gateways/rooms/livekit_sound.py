"""The bot's voice on its way to a LiveKit server: our queue, and a short one of the SDK's, which paces it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from voxgate.domain import Samples
from voxgate.gateways.rooms.media import VOICE_RATE

if TYPE_CHECKING:
    from livekit.rtc import AudioSource

QUEUE_MS: Final = 200
"""What the SDK holds ahead of the network: as long as our event loop may be held up without a gap in the sound. It does
not delay an interruption, for it can be emptied."""
PIECE: Final = VOICE_RATE // 20
"""Samples handed over at once: each costs a call into the SDK and an event back, and is counted when it is over."""
STEP: Final = VOICE_RATE // 100
"""Samples that the SDK sends at once; it keeps what is less until there is more."""


class Voice:
    """What the bot is about to say, and how much of it has left."""

    def __init__(self, source: "AudioSource", played: Callable[[int], None]) -> None:
        """`played`: told how many samples, since the last `flush`, have left."""
        self._source = source
        self._played = played
        self._queue: deque[Samples] = deque()
        self._filled = asyncio.Event()
        self._era = 0
        """Counts flushes: a piece that was under way through one is of the past."""
        self._handed = 0
        """Samples that the SDK was given since the last flush."""
        self._told = 0
        """And how many of them were said to have left."""

    def put(self, samples: Samples) -> None:
        """Behind what is there already."""
        if len(samples):
            self._queue.append(samples)
            self._filled.set()

    def flush(self) -> None:
        """Forget what has not left, ours and what the SDK holds."""
        self._era += 1
        self._handed = self._told = 0
        self._queue.clear()
        self._filled.clear()
        self._source.clear_queue()

    async def run(self) -> None:
        """Hand over what is there, for as long as it takes; to be cancelled."""
        from livekit.rtc import AudioFrame

        while True:
            if not self._queue:
                await self._run_dry()
                continue
            era = self._era
            piece = self._take()
            pcm = np.rint(np.clip(piece, -1.0, 1.0) * 32767).astype(np.int16)
            pcm = np.pad(pcm, (0, -len(pcm) % STEP))
            await self._source.capture_frame(AudioFrame(pcm.tobytes(), VOICE_RATE, 1, len(pcm)))
            if era == self._era:
                self._handed += len(piece)
                self._tell()
            else:
                self._source.clear_queue()  # flushed meanwhile: the piece may have gone in behind that

    async def _run_dry(self) -> None:
        """Nothing is left to hand over: tell of the last that is still to leave, and wait for more."""
        self._filled.clear()
        era = self._era
        while self._handed and era == self._era and (left := self._source.queued_duration) > 0:
            try:
                async with asyncio.timeout(min(left, PIECE / VOICE_RATE)):
                    await self._filled.wait()
            except TimeoutError:
                self._tell()
                continue
            return
        if era == self._era:
            self._tell()
        await self._filled.wait()

    def _take(self) -> Samples:
        """At most a piece from the front of the queue."""
        taken: list[Samples] = []
        missing = PIECE
        while self._queue and missing:
            first = self._queue.popleft()
            if len(first) > missing:
                self._queue.appendleft(first[missing:])
                first = first[:missing]
            taken.append(first)
            missing -= len(first)
        return np.concatenate(taken)

    def _tell(self) -> None:
        queued = round(self._source.queued_duration * VOICE_RATE)
        left = self._handed - queued
        if left > self._told:
            self._told = left
            self._played(left)
