"""Examples; then every standing a call can reach; then a runner that believes what it is told, over random events."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voxgate.conversation.turn_table import (
    GUESSING,
    OVER,
    QUIET,
    REPLYING,
    TALKING,
    Act,
    EndedBy,
    Kind,
    Purpose,
    State,
)
from voxgate.conversation.turns import OF_REPLY, OF_TURN, Do, Event, Reply, Standing, Step, stale, step
from voxgate.errors import MisuseError

K, A, S, P = Kind, Act, State, Purpose


def about(standing: Standing, kind: Kind) -> Event:
    """The event of this kind, about what goes on."""
    number = None
    if kind in OF_TURN:
        number = standing.turn
    elif kind in OF_REPLY:
        number = standing.reply.number if standing.reply else standing.replies
    return Event(kind, number, EndedBy.SILENCE if kind is K.TURN_ENDED else None)


class Call:
    """A call whose events are written down one after another."""

    def __init__(self) -> None:
        self.now = Standing()
        self.last = Step(self.now)

    def __call__(self, *kinds: Kind) -> list[Act]:
        """The acts of the last of these."""
        for kind in kinds:
            self.last = step(self.now, about(self.now, kind))
            self.now = self.last.standing
        return [do.act for do in self.last.actions]

    def speaking(self) -> "Call":
        self(K.SPEECH_STARTED, K.SPEECH_ENDED, K.TURN_ENDED, K.FINAL_WORDS, K.REPLY_TEXT, K.PLAYOUT_STARTED)
        assert self.now.state is S.SPEAKING
        return self


@pytest.fixture
def call() -> Call:
    return Call()


def test_a_turn_and_its_answer(call: Call) -> None:
    assert call(K.SPEECH_STARTED) == [A.OPEN_TURN, A.TELL_STATE]
    assert call(K.WORDS) == [A.TELL_WORDS]
    assert call(K.SPEECH_ENDED) == [A.HEAR_SO_FAR]
    assert call(K.TURN_ENDED) == [A.FINISH_TURN, A.TELL_STATE]
    assert call.last.actions[0] == Do(A.FINISH_TURN, 1, by=EndedBy.SILENCE)
    assert call(K.FINAL_WORDS) == [A.KEEP_TURN, A.START_REPLY]
    assert call.last.actions[1] == Do(A.START_REPLY, 1, P.ANSWER)
    assert call.now.state is S.THINKING
    assert call(K.REPLY_TEXT) == []
    assert call(K.PLAYOUT_STARTED) == [A.TELL_STATE]
    assert call(K.REPLY_COMPLETE) == [A.TELL_RESPONSE]
    assert call(K.PLAYED_OUT) == [A.KEEP_REPLY, A.TELL_AUDIO_END, A.TELL_STATE]
    assert call.now == Standing(turn=1, replies=1)


def test_a_guess_that_was_right_is_released(call: Call) -> None:
    call(K.SPEECH_STARTED)
    assert call(K.GUESS) == [A.PREPARE_REPLY]
    assert call.now.wire == "hearing"
    assert call(K.REPLY_TEXT) == []
    assert call(K.REPLY_COMPLETE) == []  # unheard, untold
    assert call(K.TURN_ENDED) == [A.FINISH_TURN, A.TELL_STATE]
    assert call(K.FINAL_SAME) == [A.KEEP_TURN, A.RELEASE_REPLY, A.TELL_RESPONSE]
    assert call.now.state is S.THINKING


@pytest.mark.parametrize("kind", [K.SPEECH_STARTED, K.GUESS_REFUTED, K.REPLY_FAILED])
def test_a_guess_that_was_wrong_was_never_there(call: Call, kind: Kind) -> None:
    call(K.SPEECH_STARTED, K.GUESS, K.REPLY_TEXT, K.REPLY_COMPLETE)
    assert call(kind) == [A.DISCARD_REPLY]
    assert call.now == Standing(S.HEARING, turn=1, replies=1)


def test_other_words_than_guessed(call: Call) -> None:
    call(K.SPEECH_STARTED, K.GUESS, K.REPLY_TEXT, K.TURN_ENDED)
    assert call(K.FINAL_WORDS) == [A.DISCARD_REPLY, A.KEEP_TURN, A.START_REPLY]
    assert call.now.reply == Reply(2, P.ANSWER)


def test_a_pause_that_was_taken_for_the_end(call: Call) -> None:
    call(K.SPEECH_STARTED, K.TURN_ENDED)
    assert call(K.SPEECH_STARTED) == [A.REOPEN_TURN, A.TELL_STATE]
    assert stale(call.now, Event(K.FINAL_WORDS, 1))
    assert call.now.state is S.HEARING


def test_going_on_before_the_answer_is_heard(call: Call) -> None:
    call(K.SPEECH_STARTED, K.TURN_ENDED, K.FINAL_WORDS, K.REPLY_TEXT)
    assert call(K.SPEECH_STARTED) == [A.OPEN_TURN, A.HOLD_PLAYOUT]
    assert call.now.state is S.SUSPECTING
    with pytest.raises(MisuseError, match="no reply may begin"):
        call(K.PLAYOUT_STARTED)
    assert call(K.CONFIRMED) == [
        A.CANCEL_REPLY,
        A.CUT_HISTORY,
        A.TELL_RESPONSE_CUT,
        A.TELL_INTERRUPTED,
        A.TELL_AUDIO_END,
        A.TELL_STATE,
    ]
    # the second half is empty after all: the first is answered
    call(K.TURN_ENDED)
    assert call(K.FINAL_EMPTY) == [A.DROP_TURN, A.START_REPLY]
    assert call.last.actions[1] == Do(A.START_REPLY, 2, P.ANSWER)


def test_nobody_hears_of_a_reply_that_had_no_text(call: Call) -> None:
    call(K.SPEECH_STARTED, K.TURN_ENDED, K.FINAL_WORDS, K.SPEECH_STARTED)
    assert call(K.CONFIRMED) == [A.CANCEL_REPLY, A.CUT_HISTORY, A.TELL_STATE]


def test_a_cough_changes_nothing(call: Call) -> None:
    call.speaking()
    assert call(K.SPEECH_STARTED) == [A.OPEN_TURN]
    assert call(K.SPEECH_ENDED) == [A.DROP_TURN]
    assert call.now.state is S.SPEAKING


def test_a_suspicion_holds_the_playout_and_a_backchannel_resumes_it(call: Call) -> None:
    call.speaking()
    call(K.SPEECH_STARTED)
    assert call(K.SUSPECTED) == [A.HOLD_PLAYOUT]
    assert call(K.WORDS) == [A.JUDGE_WORDS]
    assert call(K.SPEECH_ENDED) == [A.HEAR_SO_FAR]
    assert call(K.DISMISSED) == [A.DROP_TURN, A.RESUME_PLAYOUT]
    assert call.now.state is S.SPEAKING


def test_two_seconds_without_words(call: Call) -> None:
    call.speaking()
    call(K.SPEECH_STARTED, K.SUSPECTED)
    assert call(K.LAPSED) == [A.RESUME_PLAYOUT]
    assert call.now.state is S.OVERHEARING
    assert A.CANCEL_REPLY in call(K.CONFIRMED)  # late words interrupt still


def test_words_interrupt(call: Call) -> None:
    call.speaking()
    call(K.REPLY_COMPLETE, K.SPEECH_STARTED, K.SUSPECTED)
    assert call(K.CONFIRMED) == [
        A.CANCEL_REPLY,
        A.CUT_HISTORY,
        A.TELL_INTERRUPTED,
        A.TELL_AUDIO_END,
        A.TELL_STATE,
    ]
    assert call.now.state is S.HEARING
    call(K.TURN_ENDED)
    assert call(K.FINAL_WORDS) == [A.KEEP_TURN, A.START_REPLY]
    assert call.now.owed is None


def test_an_interruption_without_words_goes_on_where_the_bot_was(call: Call) -> None:
    call.speaking()
    call(K.SPEECH_STARTED, K.SUSPECTED, K.CONFIRMED, K.TURN_ENDED)
    assert call(K.FINAL_EMPTY) == [A.DROP_TURN, A.START_REPLY]
    assert call.last.actions[1] == Do(A.START_REPLY, 2, P.GO_ON)


def test_push_to_talk_without_words_is_asked_again(call: Call) -> None:
    call.speaking()
    assert call(K.INTERRUPT)[-1] is A.TELL_STATE
    assert call.now.state is S.LISTENING
    call(K.SPEECH_STARTED, K.TURN_ENDED, K.FINAL_EMPTY)
    assert call.last.actions[1] == Do(A.START_REPLY, 2, P.ASK_AGAIN)


def test_an_empty_turn_that_interrupted_nothing_is_forgotten(call: Call) -> None:
    call(K.SPEECH_STARTED, K.TURN_ENDED)
    assert call(K.FINAL_EMPTY) == [A.DROP_TURN, A.TELL_STATE]
    assert call.now.state is S.LISTENING


def test_yes_is_an_answer_when_nobody_speaks_and_none_while_the_bot_does(call: Call) -> None:
    call(K.SPEECH_STARTED, K.TURN_ENDED)
    assert call(K.FINAL_BACKCHANNEL) == [A.KEEP_TURN, A.START_REPLY]
    call(K.REPLY_TEXT, K.PLAYOUT_STARTED, K.SPEECH_STARTED, K.SUSPECTED, K.TURN_ENDED)
    assert call(K.FINAL_BACKCHANNEL) == [A.DROP_TURN, A.RESUME_PLAYOUT]


def test_what_was_begun_over_the_last_words_of_the_bot_is_the_next_turn(call: Call) -> None:
    call.speaking()
    call(K.REPLY_COMPLETE, K.SPEECH_STARTED, K.SUSPECTED)
    assert call(K.PLAYED_OUT) == [A.KEEP_REPLY, A.TELL_AUDIO_END, A.TELL_STATE]
    assert call.now.state is S.HEARING
    assert stale(call.now, Event(K.CONFIRMED, call.now.turn))


def test_a_final_that_tells_of_an_interruption_late(call: Call) -> None:
    call.speaking()
    call(K.SPEECH_STARTED, K.SUSPECTED, K.TURN_ENDED, K.LAPSED)
    assert call.now.state is S.WEIGHING
    acts = call(K.FINAL_WORDS)
    assert acts[:2] == [A.CANCEL_REPLY, A.CUT_HISTORY]
    assert acts[-3:] == [A.KEEP_TURN, A.START_REPLY, A.TELL_STATE]


def test_pause_keeps_the_place(call: Call) -> None:
    call.speaking()
    assert call(K.PAUSE) == [A.HOLD_PLAYOUT, A.TELL_STATE]
    assert (call.now.wire, call.now.hears, call.now.plays) == ("paused", False, False)
    call(K.REPLY_COMPLETE)
    call(K.PAUSE)
    assert call.last.ignored == "the call is paused already"
    assert call(K.RESUME) == [A.RESUME_PLAYOUT, A.TELL_STATE]
    call(K.RESUME)
    assert call.last.ignored


def test_pause_within_a_turn_keeps_the_turn(call: Call) -> None:
    call(K.SPEECH_STARTED)
    assert call(K.PAUSE) == [A.TELL_STATE]
    with pytest.raises(MisuseError, match="paused"):
        call(K.TURN_ENDED)
    assert call(K.RESUME) == [A.TELL_STATE]
    assert call.now.state is S.HEARING


def test_a_reply_that_begins_during_a_pause_waits(call: Call) -> None:
    call(K.SPEECH_STARTED, K.TURN_ENDED, K.PAUSE)
    assert call(K.FINAL_WORDS) == [A.KEEP_TURN, A.START_REPLY, A.HOLD_PLAYOUT]
    call(K.REPLY_TEXT)
    with pytest.raises(MisuseError, match="paused"):
        call(K.PLAYOUT_STARTED)
    assert call(K.RESUME) == [A.RESUME_PLAYOUT, A.TELL_STATE]


def test_to_stop_listening_ends_the_turn(call: Call) -> None:
    call(K.SPEECH_STARTED)
    assert call(K.STOP_LISTENING) == [A.FINISH_TURN, A.TELL_STATE]
    assert call.last.actions[0].by is EndedBy.CONTROL
    call(K.STOP_LISTENING)
    assert call.last.ignored
    call(K.FINAL_EMPTY)
    with pytest.raises(MisuseError, match="listened"):
        call(K.SPEECH_STARTED)
    call(K.START_LISTENING)
    call(K.SPEECH_STARTED)


def test_typed_text_interrupts(call: Call) -> None:
    assert call(K.TYPED) == [A.KEEP_TYPED, A.START_REPLY, A.TELL_STATE]
    assert call.now.turn == 1
    call(K.REPLY_TEXT, K.PLAYOUT_STARTED)
    acts = call(K.TYPED)
    assert acts[:2] == [A.CANCEL_REPLY, A.CUT_HISTORY]
    assert acts[-3:] == [A.KEEP_TYPED, A.START_REPLY, A.TELL_STATE]
    assert call.now.turn == 2


def test_typed_beside_an_empty_turn_is_answered(call: Call) -> None:
    call(K.SPEECH_STARTED, K.GUESS)
    assert call(K.TYPED) == [A.DISCARD_REPLY, A.KEEP_TYPED]
    call(K.TURN_ENDED)
    call(K.FINAL_EMPTY)
    assert call.last.actions[1].purpose is P.ANSWER


def test_failure_is_apologized_for_once(call: Call) -> None:
    call.speaking()
    acts = call(K.REPLY_FAILED)
    assert acts == [
        A.TELL_ERROR,
        A.FAIL_REPLY,
        A.TELL_RESPONSE_CUT,
        A.TELL_AUDIO_END,
        A.START_REPLY,
        A.TELL_STATE,
    ]
    assert call.now.reply == Reply(2, P.APOLOGY)
    assert call(K.REPLY_FAILED) == [A.TELL_ERROR, A.FAIL_REPLY, A.TELL_STATE]
    assert call.now.state is S.LISTENING


def test_a_failure_under_suspicion_apologizes_when_it_may(call: Call) -> None:
    call.speaking()
    call(K.SPEECH_STARTED, K.SUSPECTED)
    assert call(K.REPLY_FAILED)[-2:] == [A.HOLD_PLAYOUT, A.TELL_STATE]
    assert call(K.DISMISSED) == [A.DROP_TURN, A.RESUME_PLAYOUT]
    assert call.now.state is S.THINKING


def test_greeting_and_announcing(call: Call) -> None:
    call(K.GREET)
    assert call.last.actions[0].purpose is P.GREETING
    call(K.GREET)
    assert call.last.ignored
    call(K.SPEECH_STARTED)
    call(K.ANNOUNCE)
    assert call.now.reply is not None
    assert call.now.reply.purpose is P.ANNOUNCEMENT


def test_nothing_to_interrupt_is_said_so(call: Call) -> None:
    call(K.INTERRUPT)
    assert call.last == Step(Standing(), ignored="nothing is being said")


def test_the_end_is_the_end(call: Call) -> None:
    call.speaking()
    acts = call(K.END)
    assert acts[:2] == [A.CANCEL_REPLY, A.CUT_HISTORY]
    assert acts[-1] is A.TELL_ENDED
    call(K.END)
    assert call.last.ignored
    assert all(stale(call.now, about(call.now, kind)) for kind in K if kind is not K.END)
    with pytest.raises(MisuseError, match="over"):
        call(K.SPEECH_STARTED)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event(K.TURN_ENDED, 1), "who ended"),
        (Event(K.SPEECH_STARTED, by=EndedBy.STALL), "who ended"),
        (Event(K.WORDS, 7), "number 7"),
        (Event(K.WORDS), "number None"),
        (Event(K.INTERRUPT, 1), "no number"),
        (Event(K.FINAL_WORDS, 1), "no final is awaited"),
        (Event(K.PLAYED_OUT, 1), "no reply"),
    ],
)
def test_illegal_steps(event: Event, message: str) -> None:
    hearing = step(Standing(), Event(K.SPEECH_STARTED)).standing
    with pytest.raises(MisuseError, match=message):
        step(hearing, event)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ((K.REPLY_COMPLETE,), "no text"),
        ((K.PLAYOUT_STARTED,), "no text"),
        ((K.REPLY_TEXT, K.REPLY_TEXT), "told before"),
        ((K.REPLY_TEXT, K.REPLY_COMPLETE, K.REPLY_COMPLETE), "told before"),
        ((K.REPLY_TEXT, K.PLAYOUT_STARTED, K.PLAYOUT_STARTED), "no reply may begin"),
        ((K.REPLY_TEXT, K.PLAYED_OUT), "not whole"),
    ],
)
def test_a_reply_grows_in_order(call: Call, kinds: tuple[Kind, ...], message: str) -> None:
    call(K.TYPED, *kinds[:-1])
    with pytest.raises(MisuseError, match=message):
        call(kinds[-1])


# every standing that can be reached, numbers aside


def bare(standing: Standing) -> Standing:
    reply = standing.reply and replace(standing.reply, number=1)
    return replace(standing, turn=1, replies=1, reply=reply)


def steps(standing: Standing) -> Iterator[tuple[Kind, Step]]:
    for kind in K:
        event = about(standing, kind)
        if stale(standing, event):
            continue
        try:
            yield kind, step(standing, event)
        except MisuseError:
            continue


@pytest.fixture(scope="module")
def reachable() -> dict[Standing, dict[Kind, Standing]]:
    start = replace(Standing(), turn=1, replies=1)
    found: dict[Standing, dict[Kind, Standing]] = {}
    waiting = [start]
    while waiting:
        standing = waiting.pop()
        if standing in found:
            continue
        found[standing] = {kind: bare(taken.standing) for kind, taken in steps(standing)}
        waiting += found[standing].values()
    return found


def test_every_standing_is_sound(reachable: dict[Standing, dict[Kind, Standing]]) -> None:
    assert {standing.state for standing in reachable} == set(S)
    for standing in reachable:
        assert (standing.reply is not None) == (standing.state in REPLYING | GUESSING), standing
        if standing.state is S.SPEAKING:
            assert standing.reply is not None
            assert standing.reply.played
        if standing.state in GUESSING | {S.THINKING}:
            assert standing.reply is not None
            assert not standing.reply.played
        assert not (standing.deaf and standing.state in TALKING), standing
        assert not (standing.paused and standing.plays)


def test_no_standing_is_a_dead_end(reachable: dict[Standing, dict[Kind, Standing]]) -> None:
    """Out of each a call comes back to listening, by itself unless its client paused it or stopped listening."""
    own_way = set(K) - {K.TYPED, K.INTERRUPT, K.GREET, K.ANNOUNCE, K.END, K.STOP_LISTENING, K.PAUSE, K.SPEECH_STARTED}
    home = {each for each in reachable if each.state is S.LISTENING and each.hears}
    while True:
        more = {
            each
            for each, after in reachable.items()
            if each not in home and any(kind in own_way and to in home for kind, to in after.items())
        }
        if not more:
            break
        home |= more
    assert {each for each in reachable if each.state is not S.ENDED} == home


def test_everything_can_be_ended_and_paused(reachable: dict[Standing, dict[Kind, Standing]]) -> None:
    for standing, after in reachable.items():
        if standing.state is not S.ENDED:
            assert after[K.END].state is S.ENDED
            assert {K.PAUSE, K.RESUME, K.INTERRUPT, K.TYPED, K.ANNOUNCE} <= set(after)


def test_pausing_and_resuming_is_as_if_nothing_had_been(reachable: dict[Standing, dict[Kind, Standing]]) -> None:
    for standing, after in reachable.items():
        if not standing.paused and standing.state is not S.ENDED:
            assert reachable[after[K.PAUSE]][K.RESUME] == standing


def test_nobody_who_interrupted_is_left_in_silence(reachable: dict[Standing, dict[Kind, Standing]]) -> None:
    for standing, after in reachable.items():
        for kind in (K.CONFIRMED, K.INTERRUPT, K.TYPED):
            to = after.get(kind)
            if to is not None and standing.state in REPLYING and to.reply is None:
                assert to.owed is not None, (standing, kind)
        if standing.owed is not None and standing.state in OVER:
            taken = step(standing, about(standing, K.FINAL_EMPTY))
            assert taken.standing.reply is not None, standing


# a runner that does as it is told


class Runner(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = Standing()
        self.turn: int | None = None  # open, or awaiting its final
        self.awaits_final = False
        self.turns_over: set[int] = set()
        self.reply: int | None = None
        self.guess = False
        self.replies_over: set[int] = set()
        self.held = False
        self.told: dict[int, list[Act]] = {}
        self.wire = "listening"
        self.ended = 0

    def happen(self, event: Event) -> None:
        before = self.now
        if stale(before, event):
            return
        try:
            taken = step(before, event)
        except MisuseError:
            assert self.now is before
            return
        self.now = taken.standing
        if taken.ignored:
            assert not taken.actions
            assert taken.standing == before
        for do in taken.actions:
            self.carry_out(do)
        assert self.wire == self.now.wire or self.now.state is S.ENDED

    def carry_out(self, do: Do) -> None:
        act, number = do.act, do.number
        assert not self.ended, "nothing comes after the end"
        if act in {A.START_REPLY, A.PREPARE_REPLY}:
            assert self.reply is None, "at most one reply"
            assert number not in self.replies_over
            self.reply, self.guess, self.held = number, act is A.PREPARE_REPLY, False
            self.told[number] = []
        elif act is A.RELEASE_REPLY:
            assert (self.reply, self.guess) == (number, True)
            self.guess = False
        elif act in {A.DISCARD_REPLY, A.CANCEL_REPLY, A.FAIL_REPLY, A.KEEP_REPLY}:
            assert self.reply == number
            assert self.guess is (act is A.DISCARD_REPLY)
            assert not (act is A.DISCARD_REPLY and self.told[number])
            self.replies_over.add(number)
            self.reply = None
        elif act is A.CUT_HISTORY:
            assert number in self.replies_over
        elif act in {A.HOLD_PLAYOUT, A.RESUME_PLAYOUT}:
            assert self.reply == number
            assert self.held is (act is A.RESUME_PLAYOUT)
            self.held = act is A.HOLD_PLAYOUT
        elif act in {A.TELL_RESPONSE, A.TELL_RESPONSE_CUT, A.TELL_INTERRUPTED, A.TELL_AUDIO_END}:
            assert not (self.guess and self.reply == number)
            assert A.TELL_AUDIO_END not in self.told[number], "nothing of a reply after its end"
            assert act not in self.told[number]
            assert not {act, *self.told[number]} >= {A.TELL_RESPONSE, A.TELL_RESPONSE_CUT}
            self.told[number].append(act)
        elif act is A.OPEN_TURN:
            assert self.turn is None
            assert number not in self.turns_over
            self.turn, self.awaits_final = number, False
        elif act in {A.FINISH_TURN, A.REOPEN_TURN}:
            assert self.turn == number
            assert self.awaits_final is (act is A.REOPEN_TURN)
            self.awaits_final = act is A.FINISH_TURN
        elif act in {A.KEEP_TURN, A.DROP_TURN}:
            assert self.turn == number
            assert act is A.DROP_TURN or self.awaits_final
            self.turns_over.add(number)
            self.turn = None
        elif act in {A.HEAR_SO_FAR, A.TELL_WORDS, A.JUDGE_WORDS}:
            assert self.turn == number
            assert not self.awaits_final
        elif act is A.TELL_STATE:
            assert self.wire != self.now.wire
            self.wire = self.now.wire
        elif act is A.TELL_ENDED:
            self.ended += 1
        else:
            assert act in {A.KEEP_TYPED, A.TELL_ERROR}

    @rule(kind=st.sampled_from([kind for kind in K if kind is not K.END]))
    def something_happens(self, kind: Kind) -> None:
        self.happen(about(self.now, kind))

    @rule(kind=st.sampled_from(sorted(OF_TURN | OF_REPLY)), number=st.integers(0, 5))
    def something_late_happens(self, kind: Kind, number: int) -> None:
        self.happen(Event(kind, number, EndedBy.STALL if kind is K.TURN_ENDED else None))

    @precondition(lambda self: self.now.replies > 3)
    @rule()
    def it_ends(self) -> None:
        self.happen(Event(K.END))

    @invariant()
    def the_runner_and_the_standing_agree(self) -> None:
        now = self.now
        assert (now.reply.number if now.reply else None) == self.reply
        assert now.open_turn == self.turn
        assert (self.turn is None) == (now.state in QUIET | {S.ENDED})
        if self.turn is not None:
            assert self.awaits_final == (now.state in OVER)
        if now.reply is not None and now.state in REPLYING:
            assert self.held is not now.plays
        if now.state is S.ENDED:
            assert self.ended == 1
            assert self.reply is None
            assert all(number in self.replies_over for number in range(1, now.replies + 1))
            assert self.turn is None


TestRunner = Runner.TestCase
TestRunner.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
