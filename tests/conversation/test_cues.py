import asyncio

import numpy as np

from tests.conftest import Recorder
from tests.virtual import run
from voxgate.conversation.cues import Cues
from voxgate.conversation.endpointing import TurnEnd, TurnEndSettings
from voxgate.conversation.turn_table import EndedBy
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.testing.scripted_turn import ScriptedTurnDetector, ScriptedTurnSettings

PAUSE = SPEECH_RATE // 5
AUDIO = np.zeros(SPEECH_RATE, np.float32)


class Speaker:
    """Must be made on a running loop."""

    def __init__(self, silence_ms: int | None = None, **script: object) -> None:
        self.metrics = Recorder()
        self.answered = 0
        self.asked = 0
        self.cues = Cues(
            TurnEnd(TurnEndSettings(silence_ms=silence_ms)),
            ScriptedTurnDetector("turn", ScriptedTurnSettings.model_validate({"predict_ms": 45} | script)),
            sound_complete=0.95,
            spawn=asyncio.get_running_loop().create_task,
            timers=asyncio.get_running_loop(),
            metrics=self.metrics,
        )
        self.cues.begin()

    def audio(self) -> Samples:
        self.asked += 1
        return AUDIO

    def known(self) -> None:
        self.answered += 1

    def ask(self, pause: int = PAUSE) -> None:
        self.cues.ask(pause, self.audio, self.known)


def test_what_sounds_over_is_over_at_once() -> None:
    async def check() -> None:
        speaker = Speaker(probabilities=(0.96,))
        speaker.ask()
        assert speaker.cues.ended(PAUSE) is None
        await asyncio.sleep(0.05)
        assert speaker.answered == 1
        assert speaker.cues.sounds_complete
        assert speaker.cues.ended(PAUSE) is EndedBy.CUE
        assert speaker.metrics.observed == [("turn_detector", "agent")]

    run(check())


def test_an_answer_about_an_old_pause_is_of_no_use() -> None:
    async def check() -> None:
        for later in ("goes on", "over"):
            speaker = Speaker(probabilities=(0.96,))
            speaker.ask()
            if later == "over":
                speaker.cues.over()
            else:
                speaker.cues.goes_on(PAUSE)
            await asyncio.sleep(0.05)
            assert speaker.answered == 0
            assert not speaker.cues.sounds_complete

    run(check())


def test_a_detector_that_fails_is_done_without() -> None:
    async def check() -> None:
        speaker = Speaker(fail_every=1)
        speaker.ask()
        await asyncio.sleep(0.05)
        assert speaker.answered == 0
        assert speaker.metrics.counted == [("turn_detector_failed", "agent")]
        assert speaker.cues.ended(SPEECH_RATE) is EndedBy.SILENCE

    run(check())


def test_it_is_not_asked_where_it_decides_nothing() -> None:
    async def check() -> None:
        exact, short = Speaker(silence_ms=500), Speaker()
        exact.ask()
        short.ask(PAUSE // 2)
        assert exact.asked == short.asked == 0

    run(check())


def test_words_count_until_more_is_said() -> None:
    async def check() -> None:
        speaker = Speaker()
        speaker.cues.words("I want to", "en")
        assert speaker.cues.ended(SPEECH_RATE) is None
        speaker.cues.no_words()
        assert speaker.cues.ended(SPEECH_RATE) is EndedBy.SILENCE

    run(check())
