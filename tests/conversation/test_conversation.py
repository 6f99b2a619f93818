"""Whole calls, on a clock that jumps: what the caller gets, and what is remembered."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from tests.conversation.ears import voice as speech
from tests.conversation.talks import Talk, quiet, voice
from voxgate.calls import (
    AnnounceIn,
    AudioEnd,
    AudioIn,
    AudioOut,
    CallEnded,
    CallProblem,
    CallRequest,
    Control,
    ControlDone,
    ControlIn,
    Dropped,
    EndIn,
    EndReason,
    LatencyOut,
    OnWire,
    Outcome,
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
from voxgate.errors import EngineError
from voxgate.text.phrases import Phrase, phrase

ANSWER = "This is the scripted answer. It is always the same."
BROKEN = EngineError("broken, as wanted", engine="x")


def ask(talk: Talk, level: int = 20, pause: float = 1.5) -> "asyncio.Future[None]":
    return asyncio.ensure_future(talk.caller.speak(np.concatenate([voice(level), quiet(pause)])))


def states(talk: Talk) -> list[str]:
    return [each.state for each in talk.caller.of(StateOut)]


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


def test_the_reply_comes_in_chunks_as_it_is_played_and_never_far_ahead() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(5)]))

    sent = [at for at, each in Talk().hold(act).caller.outputs if isinstance(each, AudioOut)]
    assert sent[1] == pytest.approx(sent[0], abs=0.001)
    assert np.diff(sent[1:-1]) == pytest.approx(0.1, abs=0.002)


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


def test_a_wire_that_can_tell_when_audio_left_is_believed() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1)]))
        first = next(at for at, each in talk.caller.outputs if isinstance(each, AudioOut))
        talk.caller.give(OnWire(1, first + 0.025))
        await talk.caller.speak(quiet(4))

    (record,) = Talk().hold(act).records
    assert record.latency.wire is not None
    assert record.latency.wire.ms == pytest.approx(25, abs=1)


def test_what_is_guessed_is_hidden_in_the_silence_and_what_is_not_comes_later() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(25), quiet(6)]))

    guessed, waiting = Talk().hold(act), Talk(settings=TurnSettings(speculate=Speculate.OFF)).hold(act)
    (one,), (other,) = guessed.records, waiting.records
    assert (one.guessed, other.guessed) == (True, False)
    assert one.latency.total_ms is not None
    assert other.latency.total_ms is not None
    assert other.latency.total_ms - one.latency.total_ms == pytest.approx(120, abs=5)  # 50 + 50 + 20


def test_a_guess_that_was_wrong_leaves_no_trace() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(40), quiet(0.5), voice(20), quiet(5)]))

    talk = Talk().hold(act)
    assert talk.caller.finals == ["and then we What time is it?"]
    assert [each["content"] for each in talk.mind.asked[0] if each["role"] == "user"] == ["and then we"]
    assert [each["content"] for each in talk.mind.asked[1] if each["role"] == "user"] == talk.caller.finals
    assert {each.reply for each in talk.caller.of(ReplyText)} == {2}
    (record,) = talk.records
    assert (record.reply, record.guessed, record.discarded) == (2, True, 1)
    counted = [event for event, _ in talk.metrics.counted]
    assert [counted.count(event) for event in ("guess_discarded", "guess_used", "reply_heard", "reply_failed")] == [
        1,
        1,
        1,
        0,
    ]
    assert counted.count("guess_tokens") == len(ANSWER.split())


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


def test_sending_stops_at_the_threshold() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2)]), 32)
        talk.began = asyncio.get_running_loop().time()  # type: ignore[attr-defined]
        await talk.caller.speak(np.concatenate([voice(30, 1.2), quiet(1)]), 32)

    talk = Talk(request=CallRequest("c1", interrupt_windows=4)).hold(act)
    last = max(at for at, each in talk.caller.outputs if isinstance(each, AudioOut) and each.reply == 1)
    assert last - talk.began <= 4 * 0.032 + 0.001  # type: ignore[attr-defined]


def test_a_noise_holds_the_bot_and_lets_it_go_on_from_the_exact_sample() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2), voice(99, 0.4), quiet(6)]))

    talk = Talk().hold(act)
    assert not talk.caller.of(ReplyInterrupted)
    assert talk.caller.finals == ["What time is it?"]
    assert talk.records[0].suspected == 1
    sent = [at for at, each in talk.caller.outputs if isinstance(each, AudioOut)]
    assert max(np.diff(sent)) > 0.2
    assert np.array_equal(talk.caller.audio(1), untouched())


def test_a_backchannel_does_not_interrupt() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2), voice(35, 0.55), quiet(6)]))

    talk = Talk().hold(act)
    assert not talk.caller.of(ReplyInterrupted)
    assert np.array_equal(talk.caller.audio(1), untouched())
    assert len(talk.mind.asked) == 1


def untouched() -> np.ndarray:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(6)]))

    return Talk().hold(act).caller.audio(1)


def test_noise_that_was_taken_for_an_interruption_lets_the_bot_say_the_rest() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2), voice(99, 1.0), quiet(8)]))

    talk = Talk().hold(act)
    first, second = talk.records
    assert (first.outcome, second.purpose, second.outcome) == (Outcome.CUT, "go_on", Outcome.HEARD)
    assert ANSWER.endswith(second.spoken)
    assert talk.caller.finals == ["What time is it?"]


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


def test_who_stops_listening_has_said_his_turn() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(voice(20))
        talk.caller.give(ControlIn(Control.STOP_LISTENING))
        await talk.caller.speak(voice(30, 5))

    talk = Talk().hold(act)
    assert talk.caller.finals == ["What time is it?"]
    assert [each.ended_by for each in talk.records] == ["control"]
    assert [each.started for each in talk.caller.of(SpeechOut)] == [True, False]


@pytest.mark.parametrize("known", [True, False])
def test_audio_that_stops_arriving_ends_the_turn(known: bool) -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(voice(20))
        if known:
            talk.caller.give(RecordingEnded())
        await asyncio.sleep(5)

    talk = Talk().hold(act)
    (record,) = talk.records
    assert (record.heard, record.ended_by) == ("What time is it?", "stall")
    assert record.latency.endpointing is not None
    assert record.latency.endpointing.ms == pytest.approx(0 if known else 700, abs=70)


def test_an_exact_silence_is_exact() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(6)]), 32)

    for silence_ms in (100, 1500):
        (record,) = Talk(request=CallRequest("c1", silence_ms=silence_ms)).hold(act).records
        assert record.ended_by == "silence"
        assert record.latency.endpointing is not None
        assert silence_ms <= record.latency.endpointing.ms <= silence_ms + 32


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


def test_who_writes_while_somebody_speaks_gets_one_answer_to_both() -> None:
    async def act(talk: Talk) -> None:
        speaking = ask(talk, pause=5)
        await asyncio.sleep(0.7)
        talk.caller.give(TextIn("In Hanoi."))
        await speaking

    (record,) = Talk().hold(act).records
    assert record.heard == "In Hanoi.\nWhat time is it?"


def test_the_bot_may_speak_first() -> None:
    async def act(talk: Talk) -> None:
        await asyncio.sleep(3)

    talk = Talk(request=CallRequest("c1", greeting="Hello there.")).hold(act)
    assert talk.caller.replies == ["Hello there."]
    assert not talk.mind.asked
    assert talk.records[0].purpose == "greeting"
    assert not talk.caller.of(LatencyOut)


def test_an_announcement_is_made_at_once() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(AnnounceIn(Phrase.CREDITS_END))
        await talk.caller.speak(quiet(4))

    talk = Talk().hold(act)
    assert talk.caller.replies[-1] == phrase(Phrase.CREDITS_END, "en")[0]
    assert [each.purpose for each in talk.records] == ["answer", "announcement"]


# failures


@pytest.mark.parametrize("guessing", ["on", "off"])
def test_a_model_that_fails_is_apologized_for_and_the_call_goes_on(guessing: str) -> None:
    async def act(talk: Talk) -> None:
        talk.mind.answers = [BROKEN] * (2 if guessing == "on" else 1)
        await talk.caller.speak(np.concatenate([voice(20), quiet(5), voice(25), quiet(5)]))

    talk = Talk(settings=TurnSettings(speculate=Speculate(guessing))).hold(act)
    assert [each.error for each in talk.caller.of(CallProblem)] == [BROKEN]
    assert talk.caller.replies == ["Sorry, something went wrong. Please try again.", ANSWER]
    assert states(talk)[-1] == "listening"


def test_a_model_that_says_nothing_has_failed() -> None:
    async def act(talk: Talk) -> None:
        talk.mind.answers = [" "]
        await talk.caller.speak(np.concatenate([voice(20), quiet(5)]))

    talk = Talk(settings=TurnSettings(speculate=Speculate.OFF)).hold(act)
    assert "answered nothing" in talk.caller.of(CallProblem)[0].error.message
    assert talk.caller.replies == ["Sorry, something went wrong. Please try again."]


def test_where_the_voice_fails_the_apology_is_at_least_written() -> None:
    async def act(talk: Talk) -> None:
        talk.mouth.failing = [BROKEN, BROKEN]
        await talk.caller.speak(np.concatenate([voice(20), quiet(5), voice(25), quiet(5)]))

    talk = Talk(settings=TurnSettings(speculate=Speculate.OFF)).hold(act)
    assert talk.caller.replies[-2:] == ["Sorry, something went wrong. Please try again.", ANSWER]
    assert [each.outcome for each in talk.records] == [Outcome.FAILED, Outcome.FAILED, Outcome.HEARD]
    assert len(talk.caller.of(AudioEnd)) == 3


def test_ears_that_fail_are_apologized_for_and_hear_the_next_turn() -> None:
    async def act(talk: Talk) -> None:
        talk.ears.failing = [BROKEN]
        await talk.caller.speak(np.concatenate([voice(20), quiet(7), voice(25), quiet(5)]))

    talk = Talk().hold(act)
    assert [each.error for each in talk.caller.of(CallProblem)] == [BROKEN]
    assert talk.caller.replies == ["Sorry, something went wrong. Please try again.", ANSWER]
    assert talk.caller.finals == ["", "Tell me more"]


def test_ears_that_fail_under_a_reply_leave_it_alone() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2)]))
        talk.ears.failing = [BROKEN]
        await talk.caller.speak(np.concatenate([voice(99, 0.4), quiet(6)]))

    talk = Talk().hold(act)
    assert talk.caller.of(CallProblem)
    assert np.array_equal(talk.caller.audio(1), untouched())


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


def test_a_client_may_tell_what_it_has_played() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(PlayedIn(1, 0))
        talk.caller.give(ControlIn(Control.INTERRUPT))
        await talk.caller.speak(quiet(1))

    talk = Talk().hold(act)
    assert talk.caller.of(ReplyInterrupted) == [ReplyInterrupted(1, "")]


# loudness


def test_what_is_softer_than_the_gate_is_no_speech() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2)]))

    loud = replace(CallRequest("c1"), loudness_gate=6000)
    assert Talk(request=loud).hold(act).caller.finals == ["What time is it?"]
    assert Talk(request=replace(loud, loudness_gate=15_000)).hold(act).caller.finals == []


def test_audio_may_come_in_any_size() -> None:
    async def act(talk: Talk) -> None:
        talk.caller.give(AudioIn(np.concatenate([speech(20, pause=2)])))
        await asyncio.sleep(5)

    assert Talk().hold(act).caller.finals == ["What time is it?"]
