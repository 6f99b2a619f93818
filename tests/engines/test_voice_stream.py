import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from voxgate.domain import Speech, Utterance, Word
from voxgate.engines.voice_stream import AHEAD_S, speaking
from voxgate.errors import Code, EngineError, PeerError

RATE = 100


class Fake:
    """Says a second of ones for every piece, in two halves, with the piece as its one word."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []
        self.stopped = False
        self.fails_at: int | None = None
        self.hangs = False

    async def speak(self, piece: str, ahead_s: float) -> AsyncGenerator[Speech, None]:
        self.said.append((piece, ahead_s))
        try:
            yield Speech(np.ones(50, np.float32), RATE, (Word(piece, 10, 40),))
            if self.fails_at == len(self.said):
                raise EngineError("died", engine="fake", retryable=True)
            if self.hangs:
                await asyncio.Event().wait()
            yield Speech(np.ones(50, np.float32), RATE)
        finally:
            self.stopped = True


async def listen(utterance: Utterance, fake: Fake) -> list[Speech]:
    async with speaking(utterance, RATE, fake.speak) as stream:
        return [speech async for speech in stream]


async def test_pieces_come_in_order_with_pauses_between_and_words_counted_from_the_start() -> None:
    fake = Fake()
    heard = await listen(Utterance("One two. Three four.", "v"), fake)
    samples = np.concatenate([speech.samples for speech in heard])
    pause = samples.size - 200
    assert [piece for piece, _ in fake.said] == ["One two.", "Three four."]
    assert not samples[100 : 100 + pause].any()
    assert pause == 26
    assert [(word.text, word.start, word.end) for speech in heard for word in speech.words] == [
        ("One two.", 10, 40),
        ("Three four.", 100 + pause + 10, 100 + pause + 40),
    ]


async def test_pauses_shrink_with_speed() -> None:
    fast = await listen(Utterance("One two. Three four.", "v", speed=2.0), Fake())
    assert sum(speech.samples.size for speech in fast) == 200 + 13


@pytest.mark.parametrize("text", ["", "   ", "...", "—!?", "\x00\x07", "\n\n"])
async def test_a_text_with_nothing_to_say_is_silent(text: str) -> None:
    fake = Fake()
    assert await listen(Utterance(text, "v"), fake) == []
    assert fake.said == []


async def test_a_slow_reader_puts_off_the_pieces_it_does_not_need_yet() -> None:
    fake = Fake()
    text = " ".join(f"This is sentence number {number}." for number in range(50))
    async with speaking(Utterance(text, "v"), RATE, fake.speak) as stream:
        await anext(stream)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(fake.said) <= AHEAD_S + 2
        ahead = len(fake.said)
        for _ in range(6):
            await anext(stream)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(fake.said) > ahead
    assert len(fake.said) < 20
    assert fake.said[0][1] == 0
    assert fake.said[5][1] > 3  # the engine is told how much the listener still has


async def test_leaving_stops_the_engine() -> None:
    fake = Fake()
    fake.hangs = True
    async with speaking(Utterance("One.", "v"), RATE, fake.speak) as stream:
        await anext(stream)
        assert not fake.stopped
    assert fake.stopped


async def test_what_goes_wrong_comes_behind_what_was_made() -> None:
    fake = Fake()
    fake.fails_at = 2
    heard = 0
    with pytest.raises(EngineError, match="died"):
        async with speaking(Utterance("One two. Three four.", "v"), RATE, fake.speak) as stream:
            async for speech in stream:
                heard += speech.samples.size
    assert heard == 100 + 26 + 50


@pytest.mark.parametrize("speed", [0.2, 4.1, 0.0, -1.0, float("nan")])
async def test_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(PeerError) as caught:
        await listen(Utterance("One.", "v", speed=speed), Fake())
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "speed")


async def test_a_cancelled_reader_stops_the_engine() -> None:
    fake = Fake()
    fake.hangs = True
    task = asyncio.create_task(listen(Utterance("One.", "v"), fake))
    while not fake.said:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fake.stopped
