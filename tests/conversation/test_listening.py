import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytest

from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.listening import Listening
from voxgate.conversation.segmenter import Segment
from voxgate.domain import SPEECH_RATE, FileSegment, Guess, Recognition, Samples, Transcript
from voxgate.errors import Code, EngineError, RefusedError

MIXED = TranscriptionRequest("en", among=("en", "vi", "ja"), given=False)
FORCED = TranscriptionRequest("vi", among=("vi", "en", "ja"))


def level(audio: Samples) -> int:
    return round(float(np.abs(audio).max()) * 100)


class Hears:
    """A recognizer whose text is the language it was asked for and the level of the audio, times 100."""

    languages: Mapping[str, str] = MappingProxyType({"en": "good", "vi": "fair", "ja": "fair"})
    max_seconds = 30.0

    def __init__(self, *, unclear: bool = False, endless: str = "") -> None:
        self.asked: list[tuple[str, int]] = []
        self.cancelled = 0
        self._unclear, self._endless = unclear, endless

    async def recognize(self, request: Recognition) -> Transcript:
        self.asked.append((request.language, level(request.audio)))
        try:
            await asyncio.sleep(0)
            if request.language == self._endless:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Transcript(f"{request.language} {level(request.audio)}", request.language, unclear=self._unclear)


class Tells:
    """Tells the language from the level: {level: (language, probability)}; slower for even levels."""

    def __init__(self, told: dict[int, tuple[str, float]], error: Exception | None = None) -> None:
        self.told, self.told_of, self.error = told, list[int](), error

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        self.told_of.append(level(audio))
        for _ in range(1 if level(audio) % 2 else 20):
            await asyncio.sleep(0)
        if self.error:
            raise self.error
        language, probability = self.told[level(audio)]
        assert language in among
        return [Guess(language, probability), Guess("en", 1 - probability)]


class Both(Hears, Tells):
    """One engine that hears and tells."""

    def __init__(self, told: dict[int, tuple[str, float]], *, unclear: bool = False) -> None:
        Hears.__init__(self, unclear=unclear)
        Tells.__init__(self, told)


def segment(level: int, seconds: float = 3.0) -> Segment:
    return Segment(0, np.full(int(seconds * SPEECH_RATE), level / 100, np.float32))


async def hear(listening: Listening, *segments: Segment) -> list[str | None]:
    found = await asyncio.gather(*(listening.hear(each) for each in segments))
    return [None if each is None else each.text for each in found]


async def test_every_utterance_is_heard_in_its_own_language() -> None:
    stt = Hears()
    tells = Tells({20: ("vi", 0.9), 31: ("en", 0.9), 40: ("ja", 0.9)})
    listening = Listening(stt, MIXED, tells)
    assert await hear(listening, segment(20), segment(31), segment(40)) == ["vi 20", "en 31", "ja 40"]
    assert listening.mismatch is None


async def test_utterances_are_told_in_their_order_and_lock() -> None:
    stt = Hears()
    tells = Tells({20: ("vi", 0.9), 31: ("vi", 0.9)})
    listening = Listening(stt, MIXED, tells)
    assert await hear(listening, segment(20), segment(31), segment(40), segment(51)) == [
        "vi 20",
        "vi 31",
        "vi 40",
        "vi 51",
    ]
    assert tells.told_of == [20, 31]


async def test_a_short_utterance_takes_the_language_of_the_recording_so_far() -> None:
    tells = Tells({20: ("vi", 0.9)})
    listening = Listening(Hears(), MIXED, tells, margin=SPEECH_RATE)
    short = segment(31, 2.9)
    assert await hear(listening, short, segment(20), short) == ["en 31", "vi 20", "vi 31"]
    assert tells.told_of == [20]


async def test_what_is_likely_is_heard_while_its_language_is_told() -> None:
    stt = Hears(endless="en")
    listening = Listening(stt, MIXED, Tells({20: ("vi", 0.9), 30: ("vi", 0.9)}))
    assert await hear(listening, segment(20)) == ["vi 20"]
    assert stt.asked == [("en", 20), ("vi", 20)]
    assert stt.cancelled == 1, "the wrong assumption is not waited for"
    assert await hear(listening, segment(30)) == ["vi 30"]
    assert stt.asked[2:] == [("vi", 30)], "the right one is not made twice"


async def test_an_engine_that_tells_and_hears_is_not_kept_busy_by_a_first_assumption() -> None:
    both = Both({20: ("vi", 0.9), 30: ("vi", 0.9)})
    listening = Listening(both, MIXED, both)
    assert await hear(listening, segment(20), segment(30)) == ["vi 20", "vi 30"]
    assert both.asked == [("vi", 20), ("vi", 30)]


async def test_without_anybody_who_tells_the_language_that_is_taken_is_heard() -> None:
    stt = Hears()
    assert await hear(Listening(stt, MIXED), segment(20)) == ["en 20"]
    assert await hear(Listening(stt, TranscriptionRequest("en", given=False), Tells({})), segment(20)) == ["en 20"]


async def test_what_fails_comes_out_and_leaves_nothing_at_work() -> None:
    stt = Hears(endless="en")
    listening = Listening(stt, MIXED, Tells({20: ("vi", 0.9)}, EngineError("worn out", engine="tells")))
    with pytest.raises(EngineError, match="worn out"):
        await hear(listening, segment(20))
    assert stt.cancelled == 1


async def test_leaving_leaves_nothing_at_work() -> None:
    stt = Hears(endless="vi")
    listening = Listening(stt, MIXED, Tells({20: ("vi", 0.9)}))
    task = asyncio.create_task(listening.hear(segment(20)))
    while ("vi", 20) not in stt.asked:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stt.cancelled == 1
    assert len(asyncio.all_tasks()) == 1


# a language that was given


async def test_a_given_language_is_heard_and_contradicted_once() -> None:
    both = Both({20: ("en", 0.9), 30: ("ja", 0.9)})
    listening = Listening(both, FORCED, both)
    assert await hear(listening, segment(20)) == ["vi 20"]
    assert listening.mismatch == Guess("en", 0.9)
    assert await hear(listening, segment(30)) == ["vi 30"]
    assert listening.mismatch == Guess("en", 0.9)
    assert both.told_of == [20]


async def test_a_given_language_that_is_confirmed_is_not_asked_about_again() -> None:
    both = Both({20: ("en", 0.5), 30: ("vi", 0.9)})
    listening = Listening(both, FORCED, both)
    await hear(listening, segment(20))
    await hear(listening, segment(30))
    await hear(listening, segment(20))
    assert listening.mismatch is None
    assert both.told_of == [20, 30]


@pytest.mark.parametrize(("unclear", "asked"), [(False, []), (True, [20])])
async def test_another_engine_is_asked_only_in_doubt(unclear: bool, asked: list[int]) -> None:
    tells = Tells({20: ("en", 0.9)})
    listening = Listening(Hears(unclear=unclear), FORCED, tells)
    assert await hear(listening, segment(20)) == ["vi 20"]
    assert tells.told_of == asked
    assert (listening.mismatch is not None) == unclear


async def test_nothing_heard_in_speech_is_a_doubt_too() -> None:
    class Deaf(Hears):
        async def recognize(self, request: Recognition) -> Transcript:
            return Transcript("", request.language)

    listening = Listening(Deaf(), FORCED, Tells({20: ("en", 0.9)}))
    assert await hear(listening, segment(20)) == [None]
    assert listening.mismatch == Guess("en", 0.9)


async def test_a_text_is_not_given_up_for_want_of_a_warning() -> None:
    tells = Tells({20: ("en", 0.9)}, RefusedError("at capacity", code=Code.BUSY))
    listening = Listening(Hears(unclear=True), FORCED, tells)
    assert await hear(listening, segment(20)) == ["vi 20"]
    assert listening.mismatch is None
    tells.error = None
    await hear(listening, segment(20))
    assert listening.mismatch == Guess("en", 0.9)


async def test_what_a_wrong_assumption_failed_at_is_nobodys_business() -> None:
    class Busy(Hears):
        async def recognize(self, request: Recognition) -> Transcript:
            if request.language == "en":
                raise RefusedError("at capacity", code=Code.BUSY)
            return await super().recognize(request)

    listening = Listening(Busy(), MIXED, Tells({20: ("vi", 0.9), 30: ("en", 0.9)}))
    assert await hear(listening, segment(20)) == ["vi 20"]
    with pytest.raises(RefusedError, match="at capacity"):
        await hear(listening, segment(30))


async def test_a_short_utterance_contradicts_nothing() -> None:
    both = Both({20: ("en", 0.9)}, unclear=True)
    listening = Listening(both, FORCED, both, margin=SPEECH_RATE)
    found: FileSegment | None = await listening.hear(segment(20, 2.9))
    assert found is not None
    assert found.unclear
    assert both.told_of == []
