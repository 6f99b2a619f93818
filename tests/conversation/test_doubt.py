import asyncio

import numpy as np
import pytest

from tests.conversation.ears import Tells, voice
from voxgate.conversation.doubt import Doubt
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.domain import SPEECH_RATE, Guess, Samples, Transcript
from voxgate.errors import Code, EngineError, RefusedError

FORCED = TranscriptionRequest("vi", among=("vi", "en"))
AUDIO = voice(20, seconds=3, pause=0)
CLEAR, UNCLEAR = Transcript("xin", "vi"), Transcript("xin", "vi", unclear=True)


def test_it_is_due_where_the_text_is_doubtful_or_asking_is_cheap() -> None:
    tells = Tells({})
    far, near = Doubt(FORCED, tells, tells_itself=False), Doubt(FORCED, tells, tells_itself=True)
    assert not far.is_due(CLEAR, len(AUDIO))
    assert far.is_due(UNCLEAR, len(AUDIO))
    assert far.is_due(Transcript("", "vi"), len(AUDIO))
    assert near.is_due(CLEAR, len(AUDIO))


def test_it_is_not_due_for_little_speech_or_without_anybody_to_ask_or_where_nothing_was_named() -> None:
    tells = Tells({})
    assert not Doubt(FORCED, tells, tells_itself=True).is_due(UNCLEAR, 2 * SPEECH_RATE - 1)
    assert not Doubt(FORCED, None, tells_itself=True).is_due(UNCLEAR, len(AUDIO))
    open_ended = TranscriptionRequest("en", among=("vi", "en"), given=False)
    assert not Doubt(open_ended, tells, tells_itself=True).is_due(UNCLEAR, len(AUDIO))


async def test_a_contradiction_is_found_once() -> None:
    doubt = Doubt(FORCED, Tells({"20": [("en", 0.9)]}), tells_itself=True)
    assert await doubt.weigh(CLEAR, AUDIO, len(AUDIO)) == Guess("en", 0.9)
    assert doubt.mismatch == Guess("en", 0.9)
    assert await doubt.weigh(CLEAR, AUDIO, len(AUDIO)) is None


async def test_two_at_once_find_one() -> None:
    doubt = Doubt(FORCED, Tells({"20": [("en", 0.9), ("en", 0.95)]}), tells_itself=True)
    found = await asyncio.gather(*(doubt.weigh(CLEAR, AUDIO, len(AUDIO)) for _ in range(2)))
    assert found == [Guess("en", 0.9), None]


async def test_a_confirmed_language_is_not_doubted_again() -> None:
    doubt = Doubt(FORCED, Tells({"20": [("en", 0.7), ("vi", 0.6)]}), tells_itself=True)
    assert await doubt.weigh(CLEAR, AUDIO, len(AUDIO)) is None
    assert await doubt.weigh(CLEAR, AUDIO, len(AUDIO)) is None
    assert not doubt.is_due(UNCLEAR, len(AUDIO))


@pytest.mark.parametrize("error", [EngineError("worn out", engine="tells"), RefusedError("busy", code=Code.BUSY)])
async def test_who_cannot_be_asked_now_is_asked_next_time(error: Exception) -> None:
    doubt = Doubt(FORCED, Tells({"20": [error, ("en", 0.9)]}), tells_itself=True)
    assert await doubt.weigh(CLEAR, AUDIO, len(AUDIO)) is None
    assert await doubt.weigh(CLEAR, AUDIO, len(AUDIO)) == Guess("en", 0.9)


async def test_what_is_asked_about_is_loud_enough() -> None:
    class Loud(Tells):
        async def identify(self, audio: Samples, among: object) -> list[Guess]:
            assert float(np.max(np.abs(audio))) == pytest.approx(0.25, abs=0.01)
            return [Guess("en", 0.9)]

    assert await Doubt(FORCED, Loud({}), tells_itself=True).weigh(CLEAR, AUDIO / np.float32(20), len(AUDIO)) is not None
