"""Calls under test: a caller, scripted engines, and a clock that jumps (tests/virtual.py)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.conftest import Recorder
from tests.conversation.ears import LoudIsSpeech, levels
from tests.virtual import run
from voxgate.calls import CallRequest, EndIn, EndReason, StateOut, TurnRecord
from voxgate.conversation.conversation import Conversation
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.parts import Parts
from voxgate.conversation.reply import Thinking, Voicing
from voxgate.conversation.speculation import Load
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.domain import SPEECH_RATE, LiveRecognition, Partial, Recognition, Samples, Transcript
from voxgate.errors import EngineError, VoxgateError
from voxgate.ports import ChatAnswer
from voxgate.testing.calls import FakeCaller
from voxgate.testing.scripted import (
    ScriptedLanguageModel,
    ScriptedLlmSettings,
    ScriptedTextToSpeech,
    ScriptedTtsSettings,
)

SAYS = {
    20: "What time is it?",
    25: "Tell me more",
    30: "stop that please",
    35: "uh-huh",
    40: "and then we",
    45: "xin chào",
    50: "the scripted answer",
}
"""What the levels of a voice say, in hundredths."""
ANSWER = "This is the scripted answer. It is always the same."
"""What the model answers, unless told otherwise."""
BROKEN = EngineError("broken, as wanted", engine="x")


def voice(level: int, seconds: float = 1.0) -> Samples:
    """Somebody says what SAYS; a level that is not in it is a noise."""
    return np.full(int(seconds * SPEECH_RATE), level / 100, np.float32)


def quiet(seconds: float) -> Samples:
    return np.zeros(int(seconds * SPEECH_RATE), np.float32)


class Utterance:
    """Reveals a phrase half a second after it began, and settles 100 ms into a pause."""

    def __init__(self, ears: "Ears", request: LiveRecognition, told: Callable[[Partial], None]) -> None:
        self._ears, self._request, self._told = ears, request, told
        self._audio = np.zeros(0, np.float32)
        self._shown = ""
        self._settled = False

    def feed(self, audio: Samples, silence: int) -> None:
        self._audio = np.concatenate([self._audio, audio])
        if silence >= SPEECH_RATE // 10:
            if self._ears.settles and not self._settled:
                self._settled = True
                self._told(Partial(self._ears.says(self._audio), len(self._audio) - silence, settled=True))
            return
        self._settled = False
        text = self._ears.says(self._audio[: max(0, len(self._audio) - SPEECH_RATE // 2)])
        if text and text != self._shown:
            self._shown = text
            self._told(Partial(text, len(self._audio)))

    async def finish(self, length: int) -> Transcript:
        await asyncio.sleep(self._ears.final_s)
        self._ears.fail()
        return Transcript(self._ears.says(self._audio[:length]), self._ears.language, confidence=0.9)


class Ears:
    """`ports.Recognizer`: what is said are levels."""

    languages: Mapping[str, str] = {"en": "good"}
    max_seconds = 30.0

    def __init__(self) -> None:
        self.settles = True
        self.final_s = 0.0
        self.language = "en"
        self.failing: list[VoxgateError] = []

    def says(self, audio: Samples) -> str:
        return " ".join(SAYS[int(each)] for each in levels(audio).split() if int(each) in SAYS)

    def fail(self) -> None:
        if self.failing:
            raise self.failing.pop(0)

    async def recognize(self, request: Recognition) -> Transcript:
        raise NotImplementedError

    @asynccontextmanager
    async def open(self, request: LiveRecognition, told: Callable[[Partial], None]) -> AsyncIterator[Utterance]:
        assert request.settled
        yield Utterance(self, request, told)


class Mind(ScriptedLanguageModel):
    """Remembers what it was asked; fails, or answers something else, when told to."""

    def __init__(self) -> None:
        super().__init__("mind", ScriptedLlmSettings(first_token_ms=50, token_ms=10))
        self.asked: list[list[dict[str, str]]] = []
        self.answers: list[str | Exception] = []
        self.open_now = 0

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[ChatAnswer]:  # type: ignore[override]
        self.asked.append(list(body["messages"]))
        said = self.answers.pop(0) if self.answers else None
        if isinstance(said, Exception):
            raise said
        mind: ScriptedLanguageModel = self
        if said is not None:
            mind = ScriptedLanguageModel("mind", ScriptedLlmSettings(text=said, first_token_ms=50, token_ms=10))
        self.open_now += 1
        try:
            async with ScriptedLanguageModel.open(mind, body) as answer:
                yield answer
        finally:
            self.open_now -= 1


class Mouth(ScriptedTextToSpeech):
    """Remembers what it said; fails when told to."""

    def __init__(self) -> None:
        super().__init__("mouth", ScriptedTtsSettings(first_audio_ms=20, piece_ms=5))
        self.said: list[str] = []
        self.failing: list[VoxgateError] = []
        self.open_now = 0

    @asynccontextmanager
    async def open(self, utterance: Any) -> AsyncIterator[Any]:
        self.said.append(utterance.text)
        if self.failing:
            raise self.failing.pop(0)
        self.open_now += 1
        try:
            async with super().open(utterance) as pieces:
                yield pieces
        finally:
            self.open_now -= 1


@dataclass
class Talk:
    """One call, and everybody in it."""

    caller: FakeCaller = field(default_factory=FakeCaller)
    ears: Ears = field(default_factory=Ears)
    mind: Mind = field(default_factory=Mind)
    mouth: Mouth = field(default_factory=Mouth)
    metrics: Recorder = field(default_factory=Recorder)
    records: list[TurnRecord] = field(default_factory=list)
    request: CallRequest = field(default_factory=lambda: CallRequest("c1", instructions="Be brief."))
    settings: TurnSettings = field(default_factory=TurnSettings)
    parts: dict[str, Any] = field(default_factory=dict)
    """Other parts than these."""
    reason: EndReason | None = None

    def turn(self, record: TurnRecord) -> None:
        self.records.append(record)

    def conversation(self) -> Conversation:
        """The call, to be run."""
        mouth: Any = self.mouth
        parts: dict[str, Any] = {
            "vad": LoudIsSpeech(),
            "stt": self.ears,
            "hearing": TranscriptionRequest(correct=False),
            "identifier": None,
            "turn": None,
            "thinking": Thinking(self.mind),
            "remote": False,
            "voices": {"en": Voicing(mouth, "tone", "en")},
            "spoken": "en",
            "load": Load(2),
            "metrics": self.metrics,
            "observers": (self,),
        } | self.parts
        return Conversation(self.request, Parts(**parts), self.settings)

    async def _hold(self, act: Callable[["Talk"], Coroutine[Any, Any, None]]) -> None:
        conversation = self.conversation()

        async def script() -> None:
            await act(self)
            self.caller.give(EndIn())

        acting = asyncio.create_task(script())
        self.reason = await conversation.run(self.caller)
        await acting
        assert self.mind.open_now == self.mouth.open_now == 0

    def hold(self, act: Callable[["Talk"], Coroutine[Any, Any, None]]) -> "Talk":
        """Hold the call while `act` plays the caller; it ends when that does."""
        run(self._hold(act))
        return self


def ask(talk: Talk, level: int = 20, pause: float = 1.5) -> "asyncio.Future[None]":
    """Somebody asks, and then says nothing for a while."""
    return asyncio.ensure_future(talk.caller.speak(np.concatenate([voice(level), quiet(pause)])))


def states(talk: Talk) -> list[str]:
    """What the client was told of who has the floor."""
    return [each.state for each in talk.caller.of(StateOut)]


def untouched() -> np.ndarray:
    """The audio of an answer that nothing disturbs."""

    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(6)]))

    return Talk().hold(act).caller.audio(1)
