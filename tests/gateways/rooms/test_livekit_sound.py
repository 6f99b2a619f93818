import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import numpy as np
from livekit.rtc import AudioFrame, AudioSource

from voxgate.gateways.rooms.livekit_sound import PIECE, STEP, Voice
from voxgate.gateways.rooms.media import VOICE_RATE


class Source:
    """An SDK that takes a piece whenever the test lets it, and plays when the test says so."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.samples = np.zeros(0, np.int16)
        self.queued_duration = 0.0
        self.cleared = 0
        self._permits = asyncio.Semaphore(0)

    async def capture_frame(self, frame: AudioFrame) -> None:
        await self._permits.acquire()
        self.taken.append(frame.samples_per_channel)
        self.samples = np.concatenate([self.samples, np.frombuffer(frame.data, np.int16)])
        self.queued_duration += frame.samples_per_channel / VOICE_RATE

    def clear_queue(self) -> None:
        self.cleared += 1
        self.queued_duration = 0.0

    async def take(self, pieces: int) -> None:
        for _ in range(pieces):
            self._permits.release()
        await settled(lambda: self._permits.locked())


async def settled(what: Callable[[], bool]) -> None:
    for _ in range(50):
        await asyncio.sleep(0)
    assert what()


@asynccontextmanager
async def speaking() -> AsyncIterator[tuple[Voice, Source, list[int]]]:
    source, played = Source(), list[int]()
    voice = Voice(cast(AudioSource, source), played.append)
    running = asyncio.create_task(voice.run())
    yield voice, source, played
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_sound_is_handed_over_in_pieces_and_counted_as_it_leaves() -> None:
    async with speaking() as (voice, source, played):
        voice.put(np.full(PIECE, 0.5, np.float32))
        voice.put(np.full(2 * STEP, -2.0, np.float32))
        await source.take(1)
        assert source.taken == [PIECE]
        assert played == []  # all of it is queued
        source.queued_duration = 0.01
        await source.take(1)
        assert source.taken == [PIECE, 2 * STEP]
        assert played == [PIECE + 2 * STEP - round((0.01 + 0.02) * VOICE_RATE)]
        assert source.samples[0] == round(0.5 * 32767)
        assert source.samples[-1] == -32767  # clipped


async def test_the_last_step_is_filled_with_silence_that_is_not_counted() -> None:
    async with speaking() as (voice, source, played):
        voice.put(np.ones(STEP + 1, np.float32))
        await source.take(1)
        assert source.taken == [2 * STEP]
        assert not source.samples[STEP + 1 :].any()
        source.queued_duration = 0.0
        voice.put(np.ones(STEP, np.float32))
        await source.take(1)
        source.queued_duration = 0.0
        assert max(played) <= 2 * STEP + 1


async def test_what_is_flushed_is_gone_also_from_the_sdk_and_counting_begins_anew() -> None:
    async with speaking() as (voice, source, played):
        voice.put(np.ones(4 * PIECE, np.float32))
        await source.take(1)
        voice.flush()
        assert source.cleared == 1
        await source.take(1)  # the one that was under way
        assert source.cleared == 2
        assert source.taken == [PIECE, PIECE]
        assert played == []
        voice.put(np.ones(PIECE, np.float32))
        source.queued_duration = -0.05  # as if what is taken next left at once
        await source.take(1)
        assert played == [PIECE]


async def test_nothing_is_nothing() -> None:
    async with speaking() as (voice, source, played):
        voice.put(np.zeros(0, np.float32))
        await source.take(0)
        assert (source.taken, played) == ([], [])
