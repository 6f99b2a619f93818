from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.conftest import Recorder
from tests.engines.test_redecoder import Clock, settle
from voxgate.domain import SPEECH_RATE, Guess, LiveRecognition, Partial, Partials, Recognition, Samples, Transcript
from voxgate.engines.redecoded import Redecoded, RedecodedTelling, live
from voxgate.ports import LanguageIdentifier, LiveSpeechToText
from voxgate.testing.conformance import Check, live_stt, suite
from voxgate.testing.scripted import ScriptedSpeechToText, ScriptedSttSettings

WINDOW = 512
SECOND = np.full(SPEECH_RATE, 0.5, np.float32)


@dataclass
class Plain:
    """A recognizer that hears whole utterances, as the scripted one says."""

    inside: ScriptedSpeechToText = field(default_factory=lambda: ScriptedSpeechToText("plain", ScriptedSttSettings()))
    max_seconds: float = 30.0
    closed: int = 0

    @property
    def languages(self) -> Mapping[str, str]:
        return self.inside.languages

    async def recognize(self, request: Recognition) -> Transcript:
        return await self.inside.recognize(request)

    async def aclose(self) -> None:
        self.closed += 1


class Telling(Plain):
    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        return [Guess(among[0], 1.0)]


@pytest.mark.parametrize("check", suite(live_stt), ids=lambda check: check.__name__)
async def test_an_engine_that_hears_whole_utterances_hears_while_one_speaks(check: Check, metrics: Recorder) -> None:
    await check(live(Plain(), "plain", metrics))


async def test_it_is_whatever_it_was_besides(metrics: Recorder) -> None:
    plain, telling = live(Plain(), "plain", metrics), live(Telling(), "telling", metrics)
    assert isinstance(plain, Redecoded)
    assert isinstance(plain, LiveSpeechToText)
    assert not isinstance(plain, LanguageIdentifier)
    assert isinstance(telling, RedecodedTelling)
    assert isinstance(telling, LanguageIdentifier)
    assert await telling.identify(SECOND, ["vi"]) == [Guess("vi", 1.0)]
    assert (plain.languages, plain.max_seconds) == ({"en": "good"}, 30)
    assert (await plain.recognize(Recognition(SECOND))).text
    engine = Plain()
    await live(engine, "plain", metrics).aclose()
    assert engine.closed == 1


def test_who_hears_while_one_speaks_is_left_alone(metrics: Recorder) -> None:
    engine = ScriptedSpeechToText("scripted", ScriptedSttSettings())
    assert live(engine, "scripted", metrics) is engine


async def test_partials_of_such_an_engine_are_rare_and_agreed(metrics: Recorder) -> None:
    clock, told = Clock(), list[Partial]()
    wrapped = Redecoded(Plain(), "plain", metrics, clock)
    async with wrapped.open(LiveRecognition(partials=Partials.FAST), told.append) as utterance:
        for _ in range(300):
            clock.now += WINDOW / SPEECH_RATE
            utterance.feed(np.full(WINDOW, 0.5, np.float32), 0)
            await settle()
    assert [partial.text for partial in told] == ["This is what the script says."]
    assert metrics.observed.count(("partial", "plain")) == 4
