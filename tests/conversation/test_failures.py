"""An engine that fails in any state of a call: what is lost is apologized for, and the next turn is heard and answered.

Each engine breaks once, in whatever it does at or after the moment the call first stands where the test wants it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from tests.conversation.talks import Ears, Mind, Mouth, Talk, Utterance, quiet, voice
from tests.virtual import run
from voxgate.calls import CallProblem, Control, ControlIn, EndIn, Outcome, StateOut, TextIn
from voxgate.conversation.conversation import Conversation
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.reply import Thinking
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.domain import Guess, Samples, Transcript
from voxgate.errors import Code, EngineError, RefusedError, VoxgateError
from voxgate.text.phrases import Phrase, phrase

SORRY = phrase(Phrase.APOLOGY, "en")[0]
LONG = " ".join(["This is a long answer, which takes its time."] * 6)
SHORT = "Yes."


class Fuse:
    """Blows once, where it is asked after it was lit."""

    def __init__(self, engine: str, error: VoxgateError | None = None) -> None:
        self.error = error or EngineError(f"{engine}, as wanted", engine=engine)
        self.lit = self.blown = False

    def ask(self) -> None:
        if self.lit and not self.blown:
            self.blown = True
            raise self.error


class SlowUtterance(Utterance):
    async def finish(self, length: int) -> Transcript:
        await asyncio.sleep(0.2)
        ears = self._ears
        assert isinstance(ears, FusedEars)
        ears.fuse.ask()
        return await super().finish(length)


class FusedEars(Ears):
    """Takes 200 ms for a final, so that every state is passed through."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    @asynccontextmanager
    async def open(self, request: Any, told: Any) -> AsyncIterator[Utterance]:
        yield SlowUtterance(self, request, told)


class FusedMind(Mind):
    """Writes a long answer at twice the speed of speech, and short ones when asked to tell more."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[Any]:
        asked = body["messages"][-1]["content"]
        self.asked.append(list(body["messages"]))
        yield self._written(SHORT if "Tell me more" in asked else LONG)

    async def _written(self, text: str) -> AsyncIterator[dict[str, Any]]:
        for word in text.split(" "):
            await asyncio.sleep(0.12)
            self.fuse.ask()
            yield {"choices": [{"delta": {"content": f"{word} "}}]}


class FusedMouth(Mouth):
    """Fails within a clause."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    @asynccontextmanager
    async def open(self, utterance: Any) -> AsyncIterator[Any]:
        async with super().open(utterance) as pieces:
            yield self._fused(pieces)

    async def _fused(self, pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for piece in pieces:
            self.fuse.ask()
            yield piece


class FusedDetector:
    """`ports.TurnDetector`."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse

    async def complete(self, audio: Samples) -> float:
        self.fuse.ask()
        return 0.5


class FusedIdentifier:
    """`ports.LanguageIdentifier`."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        self.fuse.ask()
        return [Guess("en", 0.99)]


def call(engine: str, error: VoxgateError | None = None) -> tuple[Talk, Fuse]:
    fuse, whole = Fuse(engine, error), Fuse("nobody")
    mind = FusedMind(fuse if engine == "mind" else whole)
    talk = Talk(
        ears=FusedEars(fuse if engine == "ears" else whole),
        mind=mind,
        mouth=FusedMouth(fuse if engine == "mouth" else whole),
        settings=TurnSettings(),
    )
    talk.parts = {
        "thinking": Thinking(mind),
        "turn": FusedDetector(fuse if engine == "detector" else whole),
        "identifier": FusedIdentifier(fuse) if engine == "identifier" else None,
        "hearing": TranscriptionRequest(correct=False, among=("en", "vi"), given=engine != "identifier"),
    }
    return talk, fuse


async def until(conversation: Conversation, state: str) -> None:
    async with asyncio.timeout(60):
        while state != ("paused" if conversation._floor.standing.paused else conversation._floor.state.value):
            await asyncio.sleep(0.005)


async def broken(talk: Talk, fuse: Fuse, state: str, *, length: float = 1.0) -> bool:
    """Hold a call in which it breaks: whether that was in this state. Everything is as it was behind it.

    `length`: of the first question, in seconds.
    """
    conversation = talk.conversation()
    caller = talk.caller

    async def speak() -> None:
        await caller.speak(np.concatenate([quiet(0.5), voice(20, length), quiet(3), voice(99, 0.5), quiet(1)]), 32)
        if state == "paused":
            caller.give(ControlIn(Control.PAUSE))
            await asyncio.sleep(3)
            caller.give(ControlIn(Control.RESUME))
        await caller.speak(quiet(25), 32)
        await caller.speak(np.concatenate([voice(25), quiet(8)]), 32)
        caller.give(EndIn())

    async def light() -> None:
        await until(conversation, state)
        fuse.lit = True

    tasks = [asyncio.create_task(speak()), asyncio.create_task(light())]
    await conversation.run(caller)
    await asyncio.gather(*tasks)
    assert caller.finals[-1] == "Tell me more"
    assert caller.replies[-1].strip() == SHORT
    assert [each.state for each in caller.of(StateOut)][-1] == "listening"
    assert talk.mouth.open_now == 0
    return fuse.blown


@pytest.mark.parametrize("state", ["listening", "hearing", "preparing", "confirming", "thinking"])
def test_a_model_that_fails_before_its_answer_is_heard(state: str) -> None:
    talk, fuse = call("mind")
    assert run(broken(talk, fuse, state))
    problems = [each.error for each in talk.caller.of(CallProblem)]
    if state in ("listening", "hearing", "preparing", "confirming"):  # a guess that failed is made once more
        assert problems == []
        assert talk.caller.replies[0].strip() == LONG
    else:
        assert problems == [fuse.error]
        assert talk.caller.replies[1] == SORRY


@pytest.mark.parametrize("state", ["speaking", "overhearing", "suspecting", "paused"])
def test_a_model_that_fails_in_mid_answer(state: str) -> None:
    talk, fuse = call("mind")
    assert run(broken(talk, fuse, state))
    assert [each.error for each in talk.caller.of(CallProblem)] == [fuse.error]
    first, second, *_ = talk.records
    assert (first.outcome, second.purpose, second.outcome) == (Outcome.FAILED, "apology", Outcome.HEARD)
    assert LONG.startswith(first.spoken)
    assert first.spoken
    assert talk.caller.replies[1] == SORRY
    assert len(talk.caller.audio(2))


@pytest.mark.parametrize("state", ["listening", "thinking", "speaking", "overhearing", "suspecting", "paused"])
def test_a_voice_that_fails_in_any_state(state: str) -> None:
    talk, fuse = call("mouth")
    assert run(broken(talk, fuse, state))
    assert [each.error for each in talk.caller.of(CallProblem)] == [fuse.error]
    assert talk.caller.replies[1] == SORRY


@pytest.mark.parametrize("state", ["listening", "hearing", "preparing", "confirming"])
def test_a_recognizer_that_fails_before_the_turn_is_understood(state: str) -> None:
    talk, fuse = call("ears")
    assert run(broken(talk, fuse, state))
    assert [each.error for each in talk.caller.of(CallProblem)] == [fuse.error]
    assert talk.caller.replies == [SORRY, f"{SHORT} "]


@pytest.mark.parametrize("state", ["speaking", "overhearing", "suspecting", "judging"])
def test_a_recognizer_that_fails_under_an_answer_leaves_it_alone(state: str) -> None:
    talk, fuse = call("ears")
    talk.ears.settles = state != "judging"  # else what was said is known before its final
    assert run(broken(talk, fuse, state))
    assert talk.caller.replies[0].strip() == LONG
    assert next(each.outcome for each in talk.records if each.purpose == "answer") is Outcome.HEARD


@pytest.mark.parametrize("state", ["listening", "hearing"])
def test_a_turn_detector_that_fails_is_done_without(state: str) -> None:
    talk, fuse = call("detector")
    assert run(broken(talk, fuse, state))
    assert talk.caller.of(CallProblem) == []
    assert [each.strip() for each in talk.caller.replies] == [LONG, SHORT]


@pytest.mark.parametrize("state", ["listening", "hearing"])
def test_nobody_can_tell_the_language(state: str) -> None:
    """What was said in an unknown language is lost, not put into words of the wrong one; the rest is heard."""
    talk, fuse = call("identifier")
    assert run(broken(talk, fuse, state, length=3.0))
    assert [each.error for each in talk.caller.of(CallProblem)] == [fuse.error]
    assert talk.caller.replies[0] == SORRY
    assert talk.caller.finals[0] == ""


def test_an_engine_that_is_busy_is_apologized_for_too() -> None:
    talk, fuse = call("mind", RefusedError("the engine has no time", code=Code.BUSY))
    assert run(broken(talk, fuse, "thinking"))
    assert [each.error for each in talk.caller.of(CallProblem)] == [fuse.error]
    assert talk.caller.replies[1] == SORRY


def test_a_model_that_fails_for_who_writes() -> None:
    async def act(talk: Talk) -> None:
        talk.mind.answers = [EngineError("as wanted", engine="mind")]
        talk.caller.give(TextIn("Hello?"))
        await asyncio.sleep(5)
        talk.caller.give(TextIn("Hello?"))
        await asyncio.sleep(5)

    talk = Talk().hold(act)
    assert talk.caller.replies == [SORRY, "This is the scripted answer. It is always the same."]
