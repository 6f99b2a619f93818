"""The parts of turn-taking put together: whole calls, with a runner of one page, on a clock of windows.

The recognizer writes a word when it has ended, the model answers at once, and the voice says a letter in 60 ms: what is
tested is who speaks when, and what is remembered.
"""

import random
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from voxgate.conversation.endpoint import Endpointer, EndpointSettings, SpeechStarted
from voxgate.conversation.endpointing import TurnEnd
from voxgate.conversation.history import History
from voxgate.conversation.interruption import Judge
from voxgate.conversation.playout import Playout, PlayoutSettings
from voxgate.conversation.script import Script
from voxgate.conversation.turn_table import REPLYING, TALKING, Act, EndedBy, Kind, Purpose, State
from voxgate.conversation.turns import OF_REPLY, OF_TURN, Do, Event, Standing, stale, step
from voxgate.text.ending import ending
from voxgate.text.sentences import split
from voxgate.text.words import same_words

W = 512
S = 16_000
LONGEST = 60
"""Windows a sound lasts at most."""
LETTER = S * 60 // 1000
ANSWER = "This is the first sentence of an answer. Here is the second one, and it is longer. That is all."


@dataclass
class Sound:
    """Words, or noise without any, from one window to another."""

    start: int
    end: int
    text: str = ""


@dataclass
class Caller:
    """One call: what is said, and what became of it."""

    sounds: list[Sound]
    standing: Standing = field(default_factory=Standing)
    history: History = field(default_factory=History)
    ended_by: list[EndedBy] = field(default_factory=list)
    heard: dict[int, int] = field(default_factory=dict)
    """Samples that the caller heard of each reply."""
    purposes: list[Purpose] = field(default_factory=list)
    cut: dict[int, str] = field(default_factory=dict)
    log: list[tuple[int, Act]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpointer = Endpointer(EndpointSettings(silence_ms=200))
        self.judge, self.end = Judge(), TurnEnd()
        self.at = self.turn_from = 0
        self.guess: str | None = None
        self.final_due = False
        self.script, self.playout = Script(S), Playout(PlayoutSettings(), S)
        self.told = 0

    def sounding(self, since: int) -> list[Sound]:
        """What began since that window and has begun by now."""
        first = bisect_left(self.sounds, since, key=lambda sound: sound.start)
        last = bisect_right(self.sounds, self.at // W, key=lambda sound: sound.start)
        return self.sounds[first:last]

    def words(self) -> str:
        """What the recognizer has of the open turn."""
        said = []
        for sound in self.sounding(-(-self.turn_from // W)):
            words = sound.text.split()
            for k, word in enumerate(words, 1):
                if (sound.start + (sound.end - sound.start) * k // len(words)) * W <= self.at:
                    said.append(word)
        return " ".join(said)

    def happen(self, kind: Kind, by: EndedBy | None = None) -> None:
        reply = self.standing.reply
        number = self.standing.turn if kind in OF_TURN else None
        if kind in OF_REPLY:
            number = reply.number if reply else -1
        event = Event(kind, number, by)
        if stale(self.standing, event):
            return
        taken = step(self.standing, event)
        self.standing = taken.standing
        for do in taken.actions:
            self.log.append((self.at, do.act))
            self.carry_out(do)

    def carry_out(self, do: Do) -> None:
        if do.act is Act.OPEN_TURN:
            self.turn_from = self.started_at
            self.end.begin()
        elif do.act is Act.HEAR_SO_FAR:
            words = self.words()
            if self.standing.state in REPLYING:
                self.verdicts(self.judge.heard_out(words, "en", self.at))
            elif words:
                self.end.words(ending(words, "en"))
                self.guess = words
                self.happen(Kind.GUESS)
        elif do.act is Act.FINISH_TURN:
            assert do.by is not None
            self.ended_by.append(do.by)
            self.end.over()
            self.final_due = True
        elif do.act is Act.KEEP_TURN:
            self.history.hear(self.words(), turn=do.number)
        elif do.act in {Act.START_REPLY, Act.PREPARE_REPLY}:
            assert do.purpose is not None
            self.purposes.append(do.purpose)
            self.begin(do)
            if do.act is Act.START_REPLY:
                self.history.answer(do.number, self.script)
        elif do.act is Act.RELEASE_REPLY:
            self.history.answer(do.number, self.script)
        elif do.act is Act.HOLD_PLAYOUT:
            self.playout.hold()
        elif do.act is Act.RESUME_PLAYOUT:
            self.playout.resume()
        elif do.act is Act.CUT_HISTORY:
            self.heard[do.number] = self.playout.stop(self.at)
            self.cut[do.number] = self.history.cut(do.number, self.heard[do.number])
            self.judge.close()
        elif do.act is Act.KEEP_REPLY:
            self.heard[do.number] = self.playout.sent
            self.history.keep(do.number)
            self.judge.close()

    def begin(self, do: Do) -> None:
        text = {Purpose.GO_ON: self.history.rest(), Purpose.ASK_AGAIN: "Sorry?"}.get(do.purpose or Purpose.ANSWER)
        self.script, self.playout = Script(S), Playout(PlayoutSettings(), S)
        self.script.write(text or ANSWER)
        for clause in split(text or ANSWER):
            self.script.say(clause)
            self.script.voiced(LETTER * len(clause))
            self.playout.add(np.zeros(LETTER * len(clause), np.float32))
        self.script.said()
        self.script.whole = True
        self.playout.finish()
        self.told = 0

    def reply_grows(self) -> None:
        reply = self.standing.reply
        if reply is None:
            return
        if not reply.texted:
            self.happen(Kind.REPLY_TEXT)
            self.happen(Kind.REPLY_COMPLETE)
        if self.standing.plays:
            while self.playout.due(self.at) is not None:
                if self.standing.reply is not None and not self.standing.reply.played:
                    self.happen(Kind.PLAYOUT_STARTED)
        if self.playout.played_out(self.at):
            self.happen(Kind.PLAYED_OUT)

    def verdicts(self, kinds: list[Kind]) -> None:
        for kind in kinds:
            self.happen(kind)

    def window(self) -> None:
        """32 ms."""
        if self.final_due:
            self.final_due = False
            words = self.words()
            if self.guess is not None and self.standing.state is State.CONFIRMING and same_words(words, self.guess):
                self.happen(Kind.FINAL_SAME)
            elif not words:
                self.happen(Kind.FINAL_EMPTY)
            elif self.judge.is_for_the_bot(words, "en", self.at):
                self.happen(Kind.FINAL_WORDS)
            else:
                self.happen(Kind.FINAL_BACKCHANNEL)
        number = self.at // W
        speech = any(sound.start <= number < sound.end for sound in self.sounding(number - LONGEST))
        before = self.words()
        pause = self.endpointer.position - self.endpointer.voiced_until
        edges = self.endpointer.feed(0.9 if speech else 0.0, W)
        self.at += W
        for edge in edges:
            if isinstance(edge, SpeechStarted):
                self.started_at = edge.at
                if self.standing.state in TALKING:
                    self.end.spoke(pause)
                self.happen(Kind.SPEECH_STARTED)
                reply = self.standing.reply
                if reply is not None and self.standing.state in REPLYING:
                    self.judge.begin(self.at, speaking=reply.played)
            else:
                self.happen(Kind.SPEECH_ENDED)
        if self.standing.state in TALKING and self.words() != before:
            self.happen(Kind.WORDS)
            if self.standing.state in REPLYING:
                self.verdicts(self.judge.words(self.words(), "en", self.at))
        self.verdicts(self.judge.window(speech, W, self.at))
        self.verdicts(self.judge.elapsed(self.at))
        pause = self.endpointer.position - self.endpointer.voiced_until
        if self.standing.state in TALKING and not self.endpointer.is_open:
            by = self.end.ended(pause)
            if by is not None:
                self.happen(Kind.TURN_ENDED, by)
        self.reply_grows()

    def run(self, seconds: float) -> "Caller":
        for _ in range(int(seconds * S / W)):
            self.window()
        return self

    def when(self, act: Act) -> list[int]:
        """The windows in which this was done."""
        return [at // W for at, each in self.log if each is act]


def said(caller: Caller) -> list[tuple[str, str, bool]]:
    return [(each.role, each.text, each.interrupted) for each in caller.history.said]


QUESTION = Sound(10, 60, "what is the time please")


def test_a_question_is_answered() -> None:
    caller = Caller([QUESTION]).run(15)
    assert said(caller) == [("user", QUESTION.text, False), ("assistant", ANSWER, False)]
    assert caller.standing == Standing(turn=1, replies=1)
    assert caller.purposes == [Purpose.ANSWER]
    assert caller.ended_by == [EndedBy.CUE]
    assert caller.heard[1] == LETTER * sum(map(len, split(ANSWER)))


def test_a_pause_within_a_turn_does_not_end_it() -> None:
    caller = Caller([Sound(10, 40, "I want to"), Sound(70, 100, "book a table")]).run(15)
    assert said(caller)[0] == ("user", "I want to book a table", False)
    assert caller.purposes[0] is caller.purposes[-1] is Purpose.ANSWER
    assert Act.DISCARD_REPLY in [act for _, act in caller.log]  # the guess in the pause


def test_words_interrupt_and_the_history_knows_what_was_heard() -> None:
    caller = Caller([QUESTION, Sound(130, 150, "stop that now please")]).run(20)
    (spoken,) = caller.cut.values()
    assert ANSWER.startswith(spoken)
    assert 5 < len(spoken) < len(ANSWER) - 20
    assert said(caller) == [
        ("user", QUESTION.text, False),
        ("assistant", spoken, True),
        ("user", "stop that now please", False),
        ("assistant", ANSWER, False),
    ]
    (held,) = caller.when(Act.HOLD_PLAYOUT)
    assert held == 138  # the end of the eighth window


def test_a_backchannel_holds_the_bot_for_a_moment_and_leaves_no_trace() -> None:
    caller = Caller([QUESTION, Sound(130, 142, "mm-hmm yeah")]).run(20)
    assert said(caller) == [("user", QUESTION.text, False), ("assistant", ANSWER, False)]
    ((held,), (resumed,)) = caller.when(Act.HOLD_PLAYOUT), caller.when(Act.RESUME_PLAYOUT)
    assert 0 < resumed - held < 15


@pytest.mark.parametrize("windows", [3, 7])
def test_a_click_is_not_even_noticed(windows: int) -> None:
    caller = Caller([QUESTION, Sound(130, 130 + windows)]).run(20)
    assert caller.when(Act.HOLD_PLAYOUT) == []
    assert len(said(caller)) == 2


def test_a_long_noise_interrupts_and_the_bot_goes_on_with_what_was_not_heard() -> None:
    caller = Caller([QUESTION, Sound(200, 230)]).run(25)
    (spoken,) = caller.cut.values()
    assert caller.purposes == [Purpose.ANSWER, Purpose.GO_ON]
    rest = said(caller)[-1][1]
    assert ANSWER.endswith(rest)
    assert len(spoken) + len(rest) >= len(ANSWER) - 1
    assert caller.standing.state is State.LISTENING


def test_going_on_before_the_answer_is_heard_makes_one_question() -> None:
    caller = Caller([Sound(10, 40, "what is the time")])
    caller.run(2.2)  # the turn is over, the answer has not begun or only just
    assert caller.standing.state in {State.THINKING, State.SPEAKING, State.CLOSING, State.CONFIRMING}
    caller.sounds.append(Sound(caller.at // W + 1, caller.at // W + 40, "in Paris right now"))
    caller.run(20)
    users = [text for role, text, _ in said(caller) if role == "user"]
    assert " ".join(users) == "what is the time in Paris right now"
    assert said(caller)[-1] == ("assistant", ANSWER, False)


@pytest.mark.parametrize("seed", range(12))
def test_ten_minutes_of_anything(seed: int) -> None:
    dice = random.Random(seed)
    sounds, at = [], 5
    while at < 18_000:
        length = dice.choice([1, 2, 4, 9, 15, 25, 60])
        text = dice.choice(["", "mm-hmm", "stop", "and then", "what is the time?", "I want to", "five five five"])
        sounds.append(Sound(at, at + length, text))
        at += length + dice.choice([2, 5, 9, 20, 40, 150, 400])
    caller = Caller(sounds).run(620)
    assert caller.standing.state is State.LISTENING
    assert caller.standing.reply is None
    assert caller.standing.turn > 20
    done = Counter(act for _, act in caller.log)
    assert done[Act.START_REPLY] + done[Act.PREPARE_REPLY] == caller.standing.replies
    assert done[Act.KEEP_REPLY] + done[Act.CANCEL_REPLY] + done[Act.DISCARD_REPLY] == caller.standing.replies
    assert done[Act.OPEN_TURN] == done[Act.KEEP_TURN] + done[Act.DROP_TURN] == caller.standing.turn
