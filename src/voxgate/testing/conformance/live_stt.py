"""What every recognizer must do that hears while one speaks (`ports.LiveSpeechToText`), besides the suite `stt`.

One that only hears whole utterances is not asked for this: Voxgate makes it hear while one speaks.
"""

import asyncio
from collections.abc import Awaitable

import numpy as np

from voxgate.domain import SPEECH_RATE, LiveRecognition, Partial, Partials, Recognition, Samples, Transcript
from voxgate.errors import MisuseError
from voxgate.ports import LiveUtterance, Recognizer
from voxgate.testing.conformance import expect
from voxgate.testing.conformance.stt import SAMPLE, Spoken, expect_transcript, plain_words

_WINDOW = SPEECH_RATE // 25
_PAUSE = SPEECH_RATE * 3 // 5


def _padded(audio: Samples) -> Samples:
    """With the pause behind it that ends an utterance."""
    return np.concatenate([audio, np.zeros(_PAUSE, np.float32)])


async def _say(utterance: LiveUtterance, audio: Samples, *, patient: bool = True) -> None:
    """Feed speech and the pause behind it, with time for an engine to say something meanwhile."""
    padded = _padded(audio)
    for start in range(0, len(padded), _WINDOW):
        piece = padded[start : start + _WINDOW]
        utterance.feed(piece, max(0, start + len(piece) - len(audio)))
        await asyncio.sleep(_WINDOW / SPEECH_RATE / 8 if patient else 0)


async def check_answer(engine: Recognizer, sample: Spoken = SAMPLE) -> None:
    """What is heard while it is spoken is, in the end, what is heard of the whole; without word times unless asked.

    Word for word: punctuation may hang on how much silence an engine has waited for.
    """
    length = len(sample.audio) + SPEECH_RATE // 5
    whole = await engine.recognize(Recognition(_padded(sample.audio)[:length], sample.language))
    for words in (False, True):
        async with engine.open(LiveRecognition(sample.language, words=words), lambda _: None) as utterance:
            await _say(utterance, sample.audio)
            heard = await utterance.finish(length)
        expect_transcript(heard, _padded(sample.audio)[:length])
        expect(heard.language == sample.language, f"{sample.language} was asked for, {heard.language} came")
        said = plain_words(heard.text) == plain_words(whole.text)
        expect(said, f"heard live it was {heard.text!r}, as a whole {whole.text!r}")
        expect(bool(heard.words) == (words and bool(heard.text)), "word times come where they are asked for, only")


async def check_partials(engine: Recognizer, sample: Spoken = SAMPLE) -> None:
    """Partials have a text, cover what was fed and no less than the one before, and none follows `finish`."""
    told: list[Partial] = []
    fed = 0
    async with engine.open(LiveRecognition(sample.language), told.append) as utterance:
        padded = _padded(sample.audio)
        for start in range(0, len(sample.audio), _WINDOW):
            piece = padded[start : start + _WINDOW]
            fed += len(piece)
            utterance.feed(piece, 0)
            await asyncio.sleep(_WINDOW / SPEECH_RATE / 8)
            expect(all(0 < partial.end <= fed for partial in told), "a partial covers more than was fed")
        finishing = asyncio.ensure_future(utterance.finish(fed))
        await asyncio.sleep(0)
        before = len(told)
        await finishing
        expect(len(told) == before, "a partial was told after the utterance was finished")
    await asyncio.sleep(0.05)
    expect(len(told) == before, "a partial was told after the block was left")
    expect(all(partial.text.strip() for partial in told), "a partial is empty")
    ends = [partial.end for partial in told]
    expect(ends == sorted(ends), f"partials cover less than those before them: {ends}")


async def check_without_partials(engine: Recognizer, sample: Spoken = SAMPLE) -> None:
    """Who wants none gets none."""
    told: list[Partial] = []
    async with engine.open(LiveRecognition(sample.language, partials=Partials.OFF), told.append) as utterance:
        await _say(utterance, sample.audio)
        await utterance.finish(len(sample.audio))
    expect(not told, f"{len(told)} partials were told though none were wanted")


async def check_part(engine: Recognizer, sample: Spoken = SAMPLE) -> None:
    """Only the first `length` samples count: silence says nothing, whatever comes behind it."""
    silence = np.zeros(SPEECH_RATE, np.float32)
    async with engine.open(LiveRecognition(sample.language), lambda _: None) as utterance:
        utterance.feed(silence, len(silence))
        utterance.feed(sample.audio, 0)
        heard = await utterance.finish(len(silence))
    expect(heard.text == "", f"of the silence before the speech {heard.text!r} was heard")


async def check_leaving(engine: Recognizer, sample: Spoken = SAMPLE) -> None:
    """Leaving in the middle, also while the final is waited for, disturbs nobody."""
    wanted = LiveRecognition(sample.language)
    async with engine.open(wanted, lambda _: None):
        pass
    async with engine.open(wanted, lambda _: None) as utterance:
        utterance.feed(sample.audio, 0)
        await asyncio.sleep(0)

    async def finish() -> None:
        async with engine.open(wanted, lambda _: None) as utterance:
            await _say(utterance, sample.audio, patient=False)
            await utterance.finish(len(sample.audio))

    leaving = asyncio.ensure_future(finish())
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    async with engine.open(wanted, lambda _: None) as utterance:
        await _say(utterance, sample.audio)
        heard = await utterance.finish(len(sample.audio))
    whole = await engine.recognize(Recognition(sample.audio, sample.language))
    said = plain_words(heard.text) == plain_words(whole.text)
    expect(said, f"after callers left {heard.text!r} was heard, as a whole {whole.text!r}")


async def check_misuse(engine: Recognizer, sample: Spoken = SAMPLE) -> None:
    """An utterance is finished once, within what was fed of it, and takes no more then: else MisuseError."""
    async with engine.open(LiveRecognition(sample.language), lambda _: None) as utterance:
        utterance.feed(sample.audio, 0)
        await _expect_misuse(utterance.finish(len(sample.audio) + 1), "more was finished than was fed")
        await utterance.finish(len(sample.audio))
        await _expect_misuse(utterance.finish(len(sample.audio)), "an utterance was finished twice")
        try:
            utterance.feed(sample.audio, 0)
        except MisuseError:
            return
        expect(False, "an utterance that was finished took more audio")


async def _expect_misuse(finishing: Awaitable[Transcript], otherwise: str) -> None:
    try:
        await finishing
    except MisuseError:
        return
    expect(False, otherwise)
