"""What holds of every call, whatever is said, wished and broken, in any order."""

import asyncio
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.conversation.talks import Talk, quiet, voice
from tests.virtual import VirtualLoop
from voxgate.calls import (
    AnnounceIn,
    AudioEnd,
    AudioIn,
    AudioOut,
    CallEnded,
    CallOutput,
    CallProblem,
    CallRequest,
    Control,
    ControlDone,
    ControlIn,
    Dropped,
    EndIn,
    EndReason,
    LatencyOut,
    PlayedIn,
    RecordingEnded,
    ReplyInterrupted,
    ReplyText,
    ReplyWhole,
    Returned,
    SpeechOut,
    StateOut,
    TextIn,
    TranscriptOut,
)
from voxgate.conversation.speculation import Speculate
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.domain import SPEECH_RATE
from voxgate.errors import EngineError
from voxgate.text.phrases import Phrase


class Laws:
    """Watches one call."""

    def __init__(self) -> None:
        self.state = "listening"
        self.live: int | None = None
        """The reply that was told of and has not ended."""
        self.begun = 0
        self.whole: set[int] = set()
        self.cut: set[int] = set()
        self.ended: set[int] = set()
        self.chunks: dict[int, int] = {}
        self.final = 0
        """The last turn that is over."""
        self.speaking = False
        self.over = False

    def heard(self, output: CallOutput) -> None:
        assert not self.over, "something follows the end"
        match output:
            case ReplyText(reply=reply, text=text):
                assert text
                assert reply not in self.whole
                self._of(reply)
            case AudioOut(reply=reply, index=index, samples=samples):
                self._of(reply)
                assert self.state != "paused", "audio in a pause"
                assert len(samples)
                assert index == self.chunks.get(reply, 0), "a chunk is lost, or sent twice"
                self.chunks[reply] = index + 1
            case ReplyWhole(reply=reply):
                self._of(reply)
                assert reply not in self.whole, "told whole twice"
                self.whole.add(reply)
            case ReplyInterrupted(reply=reply):
                self._of(reply)
                assert reply in self.whole
                self.cut.add(reply)
            case AudioEnd(reply=reply, chunks=chunks):
                assert reply == self.live
                assert reply in self.whole, "it ended before its text was told"
                assert chunks == self.chunks.get(reply, 0)
                self.ended.add(reply)
                self.live = None
            case LatencyOut(reply=reply):
                assert reply in self.ended
            case TranscriptOut(turn=turn, final=final, text=text):
                assert turn > self.final, "something of a turn after its final"
                assert final or text
                if final:
                    self.final = turn
            case SpeechOut(started=started):
                assert started is not self.speaking, "two edges of a kind"
                self.speaking = started
            case StateOut(state=state):
                assert state != self.state, "told twice"
                self.state = state
            case CallEnded():
                self.over = True
                assert self.live is None, "a reply without an end"

    def _of(self, reply: int) -> None:
        assert reply not in self.ended | self.cut, "something of a reply after its end"
        if self.live is None:
            assert reply > self.begun, "an old reply comes back"
            self.begun = reply
            self.live = reply
        assert reply == self.live, "two replies at once"


class Calls(RuleBasedStateMachine):
    """A caller without manners, engines that fail, and a clock that jumps."""

    @initialize(
        speculate=st.sampled_from(Speculate),
        pieces=st.booleans(),
        greeting=st.sampled_from(["", "Hello there."]),
        silence_ms=st.sampled_from([None, 100, 600]),
        guard=st.booleans(),
        settles=st.booleans(),
        final_s=st.sampled_from([0.0, 0.3]),
    )
    def begin(
        self,
        speculate: Speculate,
        pieces: bool,
        greeting: str,
        silence_ms: int | None,
        guard: bool,
        settles: bool,
        final_s: float,
    ) -> None:
        self.loop = VirtualLoop()
        self.laws = Laws()
        self.talk = Talk(
            request=CallRequest("c1", pieces=pieces, greeting=greeting, silence_ms=silence_ms, echo_guard=guard),
            settings=TurnSettings(speculate=speculate),
        )
        self.talk.caller._heard = self.laws.heard
        self.talk.ears.settles, self.talk.ears.final_s = settles, final_s
        self.asked = 0
        self.away = False
        self.run = self.loop.create_task(self.call())
        self.wait(0.0)

    async def call(self) -> EndReason:
        return await self.talk.conversation().run(self.talk.caller)

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @property
    def done(self) -> bool:
        return self.run.done()

    @precondition(lambda self: not self.done)
    @rule(level=st.sampled_from([20, 30, 35, 40, 99]), seconds=st.sampled_from([0.1, 0.4, 1.0, 2.0]))
    def speak(self, level: int, seconds: float) -> None:
        self._hear(voice(level, seconds))

    @precondition(lambda self: not self.done)
    @rule(seconds=st.sampled_from([0.1, 0.25, 0.5, 1.5, 4.0]))
    def be_quiet(self, seconds: float) -> None:
        self._hear(quiet(seconds))

    def _hear(self, audio: np.ndarray) -> None:
        if self.away:
            self.wait(len(audio) / SPEECH_RATE)
        else:
            self.loop.run_until_complete(self.talk.caller.speak(audio))

    @precondition(lambda self: not self.done)
    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 5.0]))
    def send_nothing(self, seconds: float) -> None:
        self.wait(seconds)

    @precondition(lambda self: not self.done)
    @rule(level=st.sampled_from([0, 20]), seconds=st.sampled_from([0.3, 3.0]))
    def send_all_at_once(self, level: int, seconds: float) -> None:
        if not self.away:
            self.talk.caller.give(AudioIn(voice(level, seconds)))

    @precondition(lambda self: not self.done)
    @rule(action=st.sampled_from(Control))
    def control(self, action: Control) -> None:
        if not self.away:
            self.asked += 1
            self.talk.caller.give(ControlIn(action))

    @precondition(lambda self: not self.done)
    @rule(text=st.sampled_from(["Hello?", "..."]))
    def write(self, text: str) -> None:
        self.talk.caller.give(TextIn(text))

    @precondition(lambda self: not self.done)
    @rule()
    def stop_recording(self) -> None:
        self.talk.caller.give(RecordingEnded())

    @precondition(lambda self: not self.done)
    @rule(reply=st.integers(0, 5), samples=st.sampled_from([0, 24_000, 10**9]))
    def report(self, reply: int, samples: int) -> None:
        self.talk.caller.give(PlayedIn(reply, samples))

    @precondition(lambda self: not self.done)
    @rule()
    def announce(self) -> None:
        self.talk.caller.give(AnnounceIn(Phrase.CREDITS_END))

    @precondition(lambda self: not self.done)
    @rule()
    def drop(self) -> None:
        self.away = True
        self.talk.caller.give(Dropped())

    @precondition(lambda self: not self.done)
    @rule()
    def come_back(self) -> None:
        self.away = False
        self.talk.caller.give(Returned())

    @precondition(lambda self: not self.done)
    @rule(what=st.sampled_from(["ears", "mind", "mouth", "silent mind"]))
    def break_something(self, what: str) -> None:
        broken = EngineError("as wanted", engine=what)
        if what == "ears":
            self.talk.ears.failing.append(broken)
        elif what == "mouth":
            self.talk.mouth.failing.append(broken)
        else:
            self.talk.mind.answers.append(broken if what == "mind" else " ")

    @invariant()
    def it_never_fails(self) -> None:
        if hasattr(self, "run") and self.done:
            assert self.run.result() in {EndReason.CLIENT, EndReason.LOST}

    def teardown(self) -> None:
        if not hasattr(self, "run"):
            return
        try:
            self._settles()
            self._ends()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.wait(0)
            self.loop.close()

    def _settles(self) -> None:
        """Nobody speaks any more, nothing is in the way: it listens again, and answers who asks."""
        talk = self.talk
        talk.ears.failing.clear()
        talk.mouth.failing.clear()
        talk.mind.answers.clear()
        if self.done:
            return
        self.away = False
        self.asked += 2
        for given in (Returned(), ControlIn(Control.RESUME), ControlIn(Control.START_LISTENING)):
            talk.caller.give(given)
        self._hear(quiet(40))
        assert self.laws.state == "listening"
        assert not self.laws.speaking
        before = len(talk.records)
        self._hear(np.concatenate([voice(20), quiet(15)]))
        assert talk.caller.finals[-1] == "What time is it?"
        assert [each.text for each in talk.records[before:]] == ["This is the scripted answer. It is always the same."]
        assert len(talk.caller.of(ControlDone)) == self.asked

    def _ends(self) -> None:
        self.talk.caller.give(EndIn())
        self.wait(0.01)
        assert self.done
        assert self.laws.over
        assert asyncio.all_tasks(self.loop) == set(), "a task that nobody joined"
        assert self.talk.mind.open_now == self.talk.mouth.open_now == 0
        replies = [each.reply for each in self.talk.records]
        assert replies == sorted(set(replies)), "a reply that ended twice"
        assert all(one < other for one, other in pairwise(replies))
        assert self.laws.ended <= set(replies)
        assert not [each for each in self.talk.caller.of(CallProblem) if "call has failed" in each.error.message]


Calls.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCalls = Calls.TestCase
