import asyncio

import pytest

from tests.conversation.ears import Ears, LoudIsSpeech, W, silence, voice
from tests.conversation.live_sessions import PLAIN, FakeTimers, Told, opened, settle, speak
from voxgate.conversation.live import LiveTranscriber
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, EngineError, RefusedError


@pytest.mark.parametrize("error", [EngineError("worn out", engine="ears"), RefusedError("busy", code=Code.BUSY)])
@pytest.mark.parametrize("verb", ["feed", "commit", "stop"])
async def test_what_the_engine_fails_with_comes_out_of_the_next_call(error: Exception, verb: str) -> None:
    told, ears = Told(), Ears()
    ears.failing["20"] = error
    async with opened(told, ears) as session:
        await speak(session, voice(20, pause=0.6))
        for _ in range(2):
            with pytest.raises(type(error)):
                await (session.feed(silence(0.1)) if verb == "feed" else getattr(session, verb)())
    assert told.finals == []
    assert ears.active == 0


async def test_what_the_engine_fails_with_wakes_whoever_waits() -> None:
    told, ears = Told(), Ears()
    ears.held["20"] = asyncio.Event()
    ears.failing["20"] = EngineError("worn out", engine="ears")
    async with opened(told, ears) as session:
        await speak(session, voice(20, pause=0.6))
        watching = asyncio.create_task(session.failure())
        stopping = asyncio.create_task(session.stop())
        await settle()
        assert not stopping.done()
        assert not watching.done()
        ears.held["20"].set()
        for task in (stopping, watching):
            with pytest.raises(EngineError, match="worn out"):
                await task


async def test_nobody_need_ask_what_failed() -> None:
    ears = Ears()
    ears.failing["20"] = EngineError("worn out", engine="ears")
    async with opened(Told(), ears) as session:
        await speak(session, voice(20, pause=0.6))


async def test_a_watch_can_be_given_up() -> None:
    async with opened(Told(), Ears()) as session:
        watching = asyncio.create_task(session.failure())
        await settle()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await speak(session, voice(20))
        await session.stop()


async def test_a_detector_that_fails_in_a_stall_is_known_by_the_next_call() -> None:
    class Breaks(LoudIsSpeech):
        def probability(self, window: Samples) -> float:
            if not window[-1]:
                raise EngineError("deaf", engine="vad")
            return super().probability(window)

    timers = FakeTimers()
    async with LiveTranscriber(Breaks(), Ears(), timers=timers).open(PLAIN, Told().append) as session:
        await session.feed(voice(20, pause=0)[: 10 * W + 5])
        timers.pass_by(2)
        with pytest.raises(EngineError, match="deaf"):
            await session.feed(silence(0.1))


async def test_too_many_finals_under_way_make_the_next_audio_wait() -> None:
    told, ears = Told(), Ears()
    for level in range(20, 30):
        ears.held[str(level)] = asyncio.Event()
    async with opened(told, ears) as session:
        feeding = asyncio.create_task(speak(session, voice(*range(20, 30)), size=1600))
        await settle()
        assert not feeding.done()
        assert ears.active == 4
        for level in range(20, 30):
            ears.held[str(level)].set()
        await feeding
        await session.stop()
    assert told.finals == [str(level) for level in range(20, 30)]


async def test_commits_wait_too() -> None:
    told, ears = Told(), Ears()
    ears.held["20"] = asyncio.Event()
    async with opened(told, ears) as session:
        await speak(session, voice(20, pause=0))
        for _ in range(4):
            await session.commit()
        waiting = asyncio.create_task(session.commit())
        await settle()
        assert not waiting.done()
        ears.held["20"].set()
        await waiting
    assert told.finals == ["20", "", "", "", ""]


@pytest.mark.parametrize("size", [320, 100_000])
async def test_a_feed_that_was_cancelled_is_made_good_by_the_next_call(size: int) -> None:
    told, ears = Told(), Ears()
    for level in (20, 30, 40, 50):
        ears.held[str(level)] = asyncio.Event()
    audio = voice(20, 30, 40, 50, 60)
    async with opened(told, ears) as session:
        at = 0
        while True:
            feeding = asyncio.create_task(session.feed(audio[at : at + size]))
            at += size
            done, _ = await asyncio.wait([feeding], timeout=0.05 if size > 320 or at > 6 * SPEECH_RATE else None)
            if not done:
                break
        feeding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await feeding
        for event in ears.held.values():
            event.set()
        await session.feed(audio[at:])
        await session.stop()
        assert session.position == len(audio)
    assert told.finals == ["20", "30", "40", "50", "60"]


async def test_leaving_cancels_what_is_under_way_and_tells_nothing_more() -> None:
    told, ears = Told(), Ears()
    ears.held = {"20": asyncio.Event(), "30": asyncio.Event()}
    timers = FakeTimers()
    async with opened(told, ears, timers=timers) as session:
        await speak(session, voice(20, 30, pause=1))
        await speak(session, voice(40, pause=0))
        assert ears.active == 3
    before = len(told)
    ears.held["20"].set()
    await settle()
    assert ears.active == 0
    assert len(told) == before
    assert len(asyncio.all_tasks()) == 1
    assert timers.due == []


async def test_leaving_in_the_middle_of_a_long_block_waits_for_the_thread() -> None:
    async with opened(Told(), Ears()) as session:
        feeding = asyncio.create_task(session.feed(voice(*range(20, 80), pause=0)))
        await asyncio.sleep(0)
        feeding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await feeding
