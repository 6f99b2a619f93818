"""Whole calls, on a clock that jumps: what the caller gets, and what is remembered."""

import asyncio

import numpy as np
import pytest

from tests.conversation.talks import ANSWER, Talk, ask, quiet, states, untouched, voice
from voxgate.calls import (
    AudioEnd,
    AudioOut,
    CallEnded,
    CallProblem,
    Control,
    ControlDone,
    ControlIn,
    Dropped,
    EndIn,
    EndReason,
    LatencyOut,
    Outcome,
    ReplyInterrupted,
    ReplyWhole,
    Returned,
    StateOut,
    TextIn,
    TranscriptOut,
)


def test_a_question_is_answered() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([quiet(1), voice(20), quiet(5)]))

    talk = Talk().hold(act)
    caller = talk.caller
    assert [(each.text, each.final) for each in caller.of(TranscriptOut)] == [
        ("What time is it?", False),
        ("What time is it?", True),
    ]
    assert caller.text(1) == ANSWER
    assert caller.of(ReplyWhole) == [ReplyWhole(1, ANSWER, interrupted=False, language="en")]
    assert states(talk) == ["hearing", "thinking", "speaking", "listening"]
    chunks = caller.of(AudioOut)
    assert [each.index for each in chunks] == list(range(len(chunks)))
    assert {each.rate for each in chunks} == {24_000}
    assert len(caller.audio(1)) == pytest.approx(24_000 * (10 * 0.25 + 0.26), abs=2)
    assert caller.of(AudioEnd) == [AudioEnd(1, len(chunks))]
    assert [type(each) for _, each in caller.outputs[-4:]] == [AudioEnd, LatencyOut, StateOut, CallEnded]
    assert talk.reason is EndReason.CLIENT


def test_what_is_remembered_of_a_turn() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([quiet(1), voice(20), quiet(5)]))

    talk = Talk().hold(act)
    (record,) = talk.records
    assert (record.call, record.turn, record.reply, record.ended_by) == ("c1", 1, 1, "cue")
    assert (record.heard, record.text, record.spoken) == ("What time is it?", ANSWER, ANSWER)
    assert (record.language, record.reply_language, record.outcome) == ("en", "en", Outcome.HEARD)
    assert record.speech_ms == pytest.approx(1000 + 250, abs=64)  # with the lead in front
    assert record.played_ms == pytest.approx(2760, abs=2)
    assert (record.guessed, record.discarded, record.suspected) == (True, 0, 0)
    stages = record.latency
    assert stages.endpointing is not None
    assert stages.stt_final is not None
    assert stages.first_token is not None
    assert stages.first_clause is not None
    assert stages.first_audio is not None
    assert stages.wire is not None
    assert stages.stt_final.start_ms == stages.endpointing.start_ms == 0
    assert 100 <= stages.stt_final.end_ms <= 250
    assert stages.first_token.ms == pytest.approx(50, abs=1)
    assert stages.first_clause.ms == pytest.approx(50, abs=1)
    assert stages.first_audio.ms == pytest.approx(20, abs=1)
    assert stages.wire.end_ms == pytest.approx(stages.endpointing.end_ms, abs=1)
    assert talk.caller.of(LatencyOut) == [LatencyOut(1, stages)]


def test_the_model_is_told_what_was_said_before() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(5), voice(25), quiet(5)]))

    talk = Talk().hold(act)
    assert talk.mind.asked[-1] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "Tell me more"},
    ]


# interruptions


def test_who_says_words_interrupts_and_the_history_keeps_what_was_heard() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2), voice(30, 1.2), quiet(5)]))

    talk = Talk().hold(act)
    caller = talk.caller
    (cut,) = caller.of(ReplyInterrupted)
    assert cut.reply == 1
    assert ANSWER.startswith(cut.spoken)
    assert cut.spoken
    of_first = [each for _, each in caller.outputs if getattr(each, "reply", 0) == 1]
    assert [type(each) for each in of_first[of_first.index(cut) :]] == [ReplyInterrupted, AudioEnd, LatencyOut]
    assert caller.finals == ["What time is it?", "stop that please"]
    assert {"role": "assistant", "content": cut.spoken + " …"} in talk.mind.asked[-1]
    assert [each.outcome for each in talk.records] == [Outcome.CUT, Outcome.HEARD]
    assert talk.records[0].spoken == cut.spoken
    assert talk.records[0].suspected == 1


# controls


def test_controls_are_answered_and_say_why_they_had_no_effect() -> None:
    async def act(talk: Talk) -> None:
        for action in Control:
            talk.caller.give(ControlIn(action))
        await asyncio.sleep(0.1)

    done = {each.action: each.ignored for each in Talk().hold(act).caller.of(ControlDone)}
    assert done == {
        Control.INTERRUPT: "nothing is being said",
        Control.START_LISTENING: "the call is listening already",
        Control.STOP_LISTENING: "",
        Control.PAUSE: "",
        Control.RESUME: "",
    }


def test_a_pause_keeps_the_place() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(ControlIn(Control.PAUSE))
        await talk.caller.speak(voice(30, 3))  # nobody listens
        talk.caller.give(ControlIn(Control.RESUME))
        await talk.caller.speak(quiet(4))

    talk = Talk().hold(act)
    assert talk.caller.finals == ["What time is it?"]
    assert "paused" in states(talk)
    assert np.array_equal(talk.caller.audio(1), untouched())
    sent = [at for at, each in talk.caller.outputs if isinstance(each, AudioOut)]
    assert max(np.diff(sent)) == pytest.approx(3, abs=0.2)


def test_control_interrupt_is_immediate() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(ControlIn(Control.INTERRUPT))
        await talk.caller.speak(quiet(1))

    talk = Talk().hold(act)
    (cut,) = talk.caller.of(ReplyInterrupted)
    at = next(at for at, each in talk.caller.outputs if each == cut)
    assert max(at for at, each in talk.caller.outputs if isinstance(each, AudioOut)) <= at
    assert talk.caller.of(ControlDone) == [ControlDone(Control.INTERRUPT)]


# typed turns, announcements, greetings


def test_a_typed_turn_is_answered_and_cuts_what_is_being_said() -> None:
    async def act(talk: Talk) -> None:
        talk.caller.give(TextIn("Hello?"))
        await asyncio.sleep(1)
        talk.caller.give(TextIn("Never mind."))
        await asyncio.sleep(5)

    talk = Talk().hold(act)
    assert [each.ended_by for each in talk.records] == ["typed", "typed"]
    assert [each.heard for each in talk.records] == ["Hello?", "Never mind."]
    assert [each.outcome for each in talk.records] == [Outcome.CUT, Outcome.HEARD]
    assert talk.records[0].latency.endpointing is None
    assert talk.records[0].latency.total_ms == pytest.approx(120, abs=2)


# failures


def test_our_own_fault_ends_this_call_and_is_told() -> None:
    async def act(talk: Talk) -> None:
        talk.caller.give(TextIn("Hello?"))
        await asyncio.sleep(1)

    talk = Talk()
    talk.mind.answers = [ValueError("nobody foresaw it")]
    talk.hold(act)
    assert talk.reason is EndReason.FAILED
    assert [type(each) for _, each in talk.caller.outputs[-2:]] == [CallProblem, CallEnded]


# connections


def test_a_call_outlives_its_connection() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(Dropped())
        await asyncio.sleep(20)
        talk.caller.give(Returned())
        await talk.caller.speak(quiet(5))

    talk = Talk().hold(act)
    assert talk.reason is EndReason.CLIENT
    assert np.array_equal(talk.caller.audio(1), untouched())
    assert states(talk)[-3:] == ["paused", "speaking", "listening"]


def test_a_client_that_does_not_come_back_ends_the_call() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(voice(20))
        talk.caller.give(Dropped())
        await asyncio.sleep(100)

    talk = Talk().hold(act)
    assert talk.reason is EndReason.LOST
    at = next(at for at, each in talk.caller.outputs if isinstance(each, CallEnded))
    assert at == pytest.approx(31, abs=0.1)


def test_a_turn_that_was_begun_when_the_connection_broke_is_answered_to_who_returns() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(voice(20))
        talk.caller.give(Dropped())
        await asyncio.sleep(3)
        assert not talk.caller.of(AudioOut)
        talk.caller.give(Returned())
        await asyncio.sleep(5)

    talk = Talk().hold(act)
    assert talk.caller.finals == ["What time is it?"]
    assert np.array_equal(talk.caller.audio(1), untouched())


@pytest.mark.parametrize("after", [0.0, 0.5, 1.1, 1.3, 2.0, 3.0])
def test_a_call_can_end_at_any_time(after: float) -> None:
    async def act(talk: Talk) -> None:
        asking = ask(talk, pause=4)
        await asyncio.sleep(after)
        talk.caller.give(EndIn(EndReason.SERVER))
        await asking

    talk = Talk().hold(act)
    assert talk.reason is EndReason.SERVER
    assert isinstance(talk.caller.outputs[-1][1], CallEnded)


# loudness
