import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.conftest import Recorder
from voxgate.domain import (
    SPEECH_RATE,
    LiveRecognition,
    Partial,
    Partials,
    Transcript,
    Word,
)
from voxgate.engines.pool import Priority, Shed
from voxgate.engines.redecoder import Ask, Redecoder
from voxgate.engines.redecoding import Constants, Reading
from voxgate.errors import Code, EngineError, MisuseError, RefusedError
from voxgate.ports import LiveUtterance

CONSTANTS = Constants(
    first_ms=500, every_ms=200, share=0.5, all_share=0.7, agreed_only=False, forced=True, early_ms=100, tail_ms=200
)
WINDOW = 512
SECOND = np.full(SPEECH_RATE, 0.5, np.float32)


@dataclass(eq=False)
class Work:
    """A reading that a test answers when it likes."""

    make: Callable[[], Ask]
    priority: Priority
    waits: bool = False
    withdrawn: bool = False
    asked: Ask | None = None
    answer: "asyncio.Future[Reading]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def start(self) -> Ask:
        self.asked, self.waits = self.make(), False
        return self.asked

    def promote(self) -> None:
        self.priority = Priority.FINAL

    def withdraw(self) -> None:
        self.withdrawn = True

    async def reading(self) -> Reading:
        return await self.answer


@dataclass
class Desk:
    """A decoder that takes every job and does none."""

    cores: int = 2
    busy: bool = False
    waiting: bool = False
    work: list[Work] = field(default_factory=list)

    def begin(self, ask: Callable[[], Ask], priority: Priority) -> Work:
        if self.busy:
            raise Shed if priority is Priority.PARTIAL else RefusedError("no", code=Code.BUSY)
        work = Work(ask, priority, waits=self.waiting)
        self.work.append(work)
        if not self.waiting:
            work.start()
        return work


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Room:
    """One redecoder over one desk, and one utterance."""

    metrics: Recorder
    desk: Desk = field(default_factory=Desk)
    clock: Clock = field(default_factory=Clock)
    told: list[Partial] = field(default_factory=list)
    silence: int = 0

    def __post_init__(self) -> None:
        self.redecoder = Redecoder(
            self.desk, CONSTANTS, name="desk", max_seconds=5, metrics=self.metrics, clock=self.clock
        )

    def open(self, **wanted: Any) -> AbstractAsyncContextManager[LiveUtterance]:
        return self.redecoder.open(LiveRecognition(**wanted), self.told.append)

    def say(self, utterance: LiveUtterance, windows: int, *, speech: bool = True) -> None:
        for _ in range(windows):
            self.clock.now += WINDOW / SPEECH_RATE
            self.silence = 0 if speech else self.silence + WINDOW
            utterance.feed(np.full(WINDOW, 0.5 if speech else 0, np.float32), self.silence)


@pytest.fixture
def room(metrics: Recorder) -> Room:
    return Room(metrics)


def says(text: str, *words: Word) -> Reading:
    cuts = tuple(range(1, len(text.split()) + 1))
    return Reading(Transcript(text, "en", words=words), 0.0, tokens=cuts, cuts=cuts)


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_partials_are_told_as_they_come(room: Room) -> None:
    async with room.open(hints=("Ojukwu",), words=True) as utterance:
        room.say(utterance, 16)
        (work,) = room.desk.work
        assert work.asked is not None
        asked = work.asked.request
        assert (work.priority, work.asked.partial) == (Priority.PARTIAL, True)
        assert len(asked.audio) == 1_600 + 16 * WINDOW + 3_200, "short audio is given silence around it"
        assert (asked.hints, asked.words, asked.speech_certain) == ((), False, False)
        work.answer.set_result(says("I want to."))
        await settle()
        assert room.told == [Partial("I want to", 16 * WINDOW)]
        room.say(utterance, 8)
        room.desk.work[1].answer.set_result(says("I want to go."))
        await settle()
        room.say(utterance, 8)
        assert room.desk.work[2].asked is not None
        assert room.desk.work[2].asked.prefix == (1, 2), "what two readings agree on, less a word"
    assert ("partial", "desk") in room.metrics.observed


async def test_a_partial_that_waits_holds_the_newest_audio_when_it_begins(room: Room) -> None:
    room.desk.waiting = True
    async with room.open() as utterance:
        room.say(utterance, 40)
        (work,) = room.desk.work
        assert len(work.start().request.audio) == 40 * WINDOW


async def test_a_quiet_voice_is_raised_as_in_files(room: Room) -> None:
    async with room.open() as utterance:
        utterance.feed(SECOND * np.float32(0.002), 0)
        assert room.desk.work[0].asked is not None
        assert np.abs(room.desk.work[0].asked.request.audio).max() > 0.09


async def test_a_partial_the_pool_gave_up_comes_later(room: Room) -> None:
    async with room.open() as utterance:
        room.say(utterance, 16)
        room.desk.work[0].answer.set_exception(Shed())
        await settle()
        room.desk.busy = True
        room.say(utterance, 8)
        room.desk.busy = False
        room.say(utterance, 8)
        assert len(room.desk.work) == 2
        room.desk.work[1].answer.set_exception(EngineError("dead", engine="desk"))
        await settle()
        room.say(utterance, 8)
        assert len(room.desk.work) == 3
    assert room.metrics.counted == [("partial_failed", "desk")], "the pool counts what it sheds"


async def test_the_final_that_was_begun_in_the_silence_is_ready(room: Room) -> None:
    async with room.open(hints=("Ojukwu",), words=True) as utterance:
        room.say(utterance, 10)
        room.say(utterance, 4, speech=False)
        (early,) = room.desk.work
        assert early.asked is not None
        asked = early.asked.request
        assert (early.priority, early.asked.partial) == (Priority.SPECULATIVE, False)
        assert len(asked.audio) == 1_600 + 10 * WINDOW + 3_200 + 3_200, "200 ms of silence, and those of short audio"
        assert (asked.hints, asked.words, asked.speech_certain) == (("Ojukwu",), True, True)
        early.answer.set_result(says("Go.", Word("Go.", 2_000, 9_999)))
        await settle()
        assert room.told == [Partial("Go.", 10 * WINDOW)]
        room.say(utterance, 12, speech=False)
        heard = await utterance.finish(12 * WINDOW)
        assert (heard.text, heard.words) == ("Go.", (Word("Go.", 400, 12 * WINDOW),)), "placed, and cut where it ends"
    assert len(room.desk.work) == 1
    assert ("early_used", "desk") in room.metrics.counted


async def test_who_asks_for_it_is_told_what_the_final_would_be(room: Room) -> None:
    async with room.open(settled=True, partials=Partials.CALM) as utterance:
        room.say(utterance, 20)
        room.desk.work[0].answer.set_result(says("Go on"))
        await settle()
        room.say(utterance, 5, speech=False)
        room.desk.work[-1].answer.set_result(says("Go."))
        await settle()
    assert room.told == [Partial("Go", 16 * WINDOW), Partial("Go.", 20 * WINDOW, settled=True)]


async def test_a_final_that_is_not_ready_is_promoted_and_waited_for(room: Room) -> None:
    async with room.open() as utterance:
        room.say(utterance, 10)
        room.say(utterance, 16, speech=False)
        finishing = asyncio.create_task(utterance.finish(16 * WINDOW))
        await settle()
        early = room.desk.work[0]
        assert early.priority is Priority.FINAL
        early.answer.set_result(says("Go."))
        assert (await finishing).text == "Go."
    assert room.told == [], "no partial after finish"


async def test_speech_that_goes_on_gives_the_early_final_up(room: Room) -> None:
    async with room.open() as utterance:
        room.say(utterance, 10)
        room.say(utterance, 5, speech=False)
        room.say(utterance, 1)
        early = room.desk.work[0]
        assert early.withdrawn
        finishing = asyncio.create_task(utterance.finish(16 * WINDOW))
        await settle()
        final = room.desk.work[-1]
        assert (final.priority, final.asked is not None) == (Priority.FINAL, True)
        final.answer.set_result(says("Go on."))
        assert (await finishing).text == "Go on."
    assert room.metrics.counted == [("early_discarded", "desk")]


async def test_a_cut_within_the_speech_is_not_served_by_it(room: Room) -> None:
    async with room.open() as utterance:
        room.say(utterance, 10)
        room.say(utterance, 5, speech=False)
        finishing = asyncio.create_task(utterance.finish(8 * WINDOW))
        await settle()
        assert room.desk.work[0].withdrawn
        assert room.desk.work[1].asked is not None
        assert len(room.desk.work[1].asked.request.audio) == 1_600 + 8 * WINDOW + 3_200
        room.desk.work[1].answer.set_result(says("Go"))
        assert (await finishing).text == "Go"


async def test_where_the_early_final_fails_the_final_says_why(room: Room) -> None:
    for busy in (False, True):
        room.desk.busy = busy
        async with room.open() as utterance:
            room.say(utterance, 10)
            room.say(utterance, 5, speech=False)
            if not busy:
                room.desk.work[0].answer.set_exception(EngineError("died", engine="desk"))
                await settle()
            finishing = asyncio.create_task(utterance.finish(10 * WINDOW))
            await settle()
            if not busy:
                room.desk.work[1].answer.set_exception(EngineError("died again", engine="desk"))
            with pytest.raises((EngineError, RefusedError), match="no" if busy else "died again"):
                await finishing
    assert room.metrics.counted == [("early_failed", "desk")] * 2


async def test_a_pause_ends_a_partial_that_still_waits(room: Room) -> None:
    room.desk.waiting = True
    async with room.open() as utterance:
        room.say(utterance, 20)
        room.say(utterance, 5, speech=False)
        partial, early = room.desk.work
        assert (partial.withdrawn, early.withdrawn) == (True, False)
        room.say(utterance, 8)
        assert room.desk.work[-1].priority is Priority.PARTIAL, "and the speech that follows brings the next"
    assert ("partial_shed", "desk") in room.metrics.counted


async def test_finishing_gives_up_the_partial_under_way(room: Room) -> None:
    async with room.open() as utterance:
        room.say(utterance, 16)
        finishing = asyncio.create_task(utterance.finish(16 * WINDOW))
        await settle()
        assert room.desk.work[0].withdrawn
        room.desk.work[1].answer.set_result(says("Go."))
        await finishing
    assert room.told == []


async def test_leaving_gives_up_everything(room: Room) -> None:
    async with room.open() as utterance:
        room.say(utterance, 16)
        room.say(utterance, 5, speech=False)
    assert len(room.desk.work) == 2
    assert all(work.withdrawn for work in room.desk.work)
    async with room.open() as utterance:
        utterance.feed(SECOND, 0)
        finishing = asyncio.create_task(utterance.finish(SPEECH_RATE))
        await settle()
        finishing.cancel()
        await asyncio.gather(finishing, return_exceptions=True)
    assert all(work.withdrawn for work in room.desk.work)


async def test_a_bug_in_a_partial_is_not_lost(room: Room) -> None:
    with pytest.raises(ZeroDivisionError):
        async with room.open() as utterance:
            room.say(utterance, 16)
            room.desk.work[0].answer.set_exception(ZeroDivisionError())
            await settle()


async def test_speakers_share(room: Room) -> None:
    async with room.open(), room.open(), room.open():
        assert room.redecoder.share == pytest.approx(0.7 * 2 / 3)
    assert room.redecoder.share == 0.5


async def test_an_utterance_has_a_longest(room: Room) -> None:
    async with room.open() as utterance:
        utterance.feed(np.zeros(5 * SPEECH_RATE, np.float32), 5 * SPEECH_RATE)
        with pytest.raises(MisuseError, match="80000"):
            utterance.feed(SECOND[:1], 0)
