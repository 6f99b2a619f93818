import numpy as np
import pytest

from voxgate.domain import SPEECH_RATE, LiveRecognition, Partial, Partials, Transcript
from voxgate.errors import EngineError, MisuseError
from voxgate.testing.scripted import ScriptedSpeechToText, ScriptedSttSettings
from voxgate.testing.scripted_live import rms, sounds

QUARTER = np.full(SPEECH_RATE // 4, 0.5, np.float32)


def engine(**settings: object) -> ScriptedSpeechToText:
    return ScriptedSpeechToText("scripted", ScriptedSttSettings.model_validate({"text": "one two three"} | settings))


async def shown(partials: Partials, **settings: object) -> list[Partial]:
    told: list[Partial] = []
    async with engine(**settings).open(LiveRecognition(partials=partials), told.append) as utterance:
        for _ in range(3):
            utterance.feed(QUARTER, 0)
        utterance.feed(QUARTER * 0, len(QUARTER))
    return told


async def test_words_are_revealed_as_they_are_spoken() -> None:
    assert await shown(Partials.FAST) == [
        Partial("one", 4_000),
        Partial("one two", 8_000),
        Partial("one two three", 12_000),
    ]
    assert await shown(Partials.FAST, word_ms=500) == [Partial("one", 8_000)]


async def test_calm_is_a_word_behind_until_there_is_a_pause() -> None:
    assert await shown(Partials.CALM) == [
        Partial("one", 8_000),
        Partial("one two", 12_000),
        Partial("one two three", 16_000),
    ]
    assert await shown(Partials.OFF) == []


async def test_silence_shows_nothing() -> None:
    told: list[Partial] = []
    async with engine().open(LiveRecognition(), told.append) as utterance:
        utterance.feed(np.zeros(SPEECH_RATE, np.float32), 0)
        assert await utterance.finish(SPEECH_RATE) == Transcript("", "en")
    assert told == []


async def test_the_final_is_placed_in_what_was_fed() -> None:
    async with engine().open(LiveRecognition(words=True), lambda _: None) as utterance:
        utterance.feed(QUARTER, 0)
        heard = await utterance.finish(2_000)
    assert heard.text == "one two three"
    assert [(word.start, word.end) for word in heard.words] == [(0, 666), (666, 2_000), (2_000, 2_000)]


async def test_it_fails_as_scripted_and_is_used_once() -> None:
    async with engine(fail_every=1).open(LiveRecognition(), lambda _: None) as utterance:
        utterance.feed(QUARTER, 0)
        with pytest.raises(EngineError):
            await utterance.finish(len(QUARTER))
        with pytest.raises(MisuseError):
            await utterance.finish(len(QUARTER))
        with pytest.raises(MisuseError):
            utterance.feed(QUARTER, 0)


def test_what_sounds() -> None:
    assert (rms(QUARTER), sounds(QUARTER)) == (0.5, True)
    assert (rms(QUARTER[:0]), sounds(QUARTER[:0]), sounds(QUARTER * np.float32(0.001))) == (0.0, False, False)


async def test_in_each_pause_it_tells_the_final_where_that_is_asked_for() -> None:
    told: list[Partial] = []
    async with engine(text="one two three", word_ms=100).open(LiveRecognition(settled=True), told.append) as utterance:
        for _ in range(2):
            utterance.feed(QUARTER[:1600], 0)
            utterance.feed(np.zeros(1599, np.float32), 1599)
            utterance.feed(np.zeros(1, np.float32), 1600)
            utterance.feed(np.zeros(1600, np.float32), 3200)
    assert [each.text for each in told if each.settled] == ["one two three"] * 2
    assert [each.end for each in told if each.settled] == [1600, 6400]
