"""What the person does in a whole call, on a clock that jumps: turns that end, sounds over a reply, ears that fail."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from tests.conversation.ears import voice as speech
from tests.conversation.talks import ANSWER, BROKEN, Talk, ask, quiet, states, untouched, voice
from voxgate.calls import (
    AudioIn,
    AudioOut,
    CallProblem,
    CallRequest,
    Control,
    ControlIn,
    Outcome,
    RecordingEnded,
    ReplyInterrupted,
    SpeechOut,
    TextIn,
)


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


def test_who_writes_while_somebody_speaks_gets_one_answer_to_both() -> None:
    async def act(talk: Talk) -> None:
        speaking = ask(talk, pause=5)
        await asyncio.sleep(0.7)
        talk.caller.give(TextIn("In Hanoi."))
        await speaking

    (record,) = Talk().hold(act).records
    assert record.heard == "In Hanoi.\nWhat time is it?"


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


def test_a_backchannel_does_not_interrupt() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2), voice(35, 0.55), quiet(6)]))

    talk = Talk().hold(act)
    assert not talk.caller.of(ReplyInterrupted)
    assert np.array_equal(talk.caller.audio(1), untouched())
    assert len(talk.mind.asked) == 1


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


def test_sending_stops_at_the_threshold() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2)]), 32)
        talk.began = asyncio.get_running_loop().time()  # type: ignore[attr-defined]
        await talk.caller.speak(np.concatenate([voice(30, 1.2), quiet(1)]), 32)

    talk = Talk(request=CallRequest("c1", interrupt_windows=4)).hold(act)
    last = max(at for at, each in talk.caller.outputs if isinstance(each, AudioOut) and each.reply == 1)
    assert last - talk.began <= 4 * 0.032 + 0.001  # type: ignore[attr-defined]


# its own voice


def hearing_itself(after_s: float, *, guard: bool) -> Talk:
    """The bot's words, from the microphone, so long after it began to say them."""

    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(0.2)]), 32)
        while not talk.caller.of(AudioOut):
            await talk.caller.speak(quiet(0.032), 32)
        await talk.caller.speak(np.concatenate([quiet(after_s), voice(50, 0.75), quiet(5)]), 32)

    return Talk(request=CallRequest("c1", echo_guard=guard)).hold(act)


@pytest.mark.parametrize("after_s", [0.55, 0.75, 0.95])
def test_what_comes_back_of_its_own_words_does_not_stop_the_bot(after_s: float) -> None:
    """It says them from 0.5 to 1.25 s."""
    talk = hearing_itself(after_s, guard=True)
    assert not talk.caller.of(ReplyInterrupted)
    assert np.array_equal(talk.caller.audio(1), untouched())
    assert talk.caller.finals == ["What time is it?"]
    assert hearing_itself(after_s, guard=False).caller.of(ReplyInterrupted)


def test_a_person_who_repeats_the_words_of_the_bot_on_purpose_still_interrupts() -> None:
    talk = hearing_itself(1.9, guard=True)
    assert [each.reply for each in talk.caller.of(ReplyInterrupted)] == [1]
    assert talk.caller.finals == ["What time is it?", "the scripted answer"]


# nobody who stopped the bot is left in silence


def test_who_interrupts_by_control_and_is_not_understood_is_asked_again() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(ControlIn(Control.INTERRUPT))
        await talk.caller.speak(np.concatenate([voice(99), quiet(6)]))

    talk = Talk().hold(act)
    assert [(each.purpose, each.outcome) for each in talk.records] == [
        ("answer", Outcome.CUT),
        ("ask_again", Outcome.HEARD),
    ]
    assert talk.caller.replies[-1] == "Sorry, I didn't catch that. Could you say it again?"


def test_who_interrupts_by_control_and_says_nothing_wants_silence() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(ControlIn(Control.INTERRUPT))
        await talk.caller.speak(quiet(10))

    talk = Talk().hold(act)
    assert len(talk.records) == 1
    assert states(talk)[-1] == "listening"


@pytest.mark.parametrize("level", [99, 30])
def test_who_writes_while_he_talks_over_the_bot_gets_one_answer(level: int) -> None:
    """Also where what he said turns out to be nothing."""

    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talking = asyncio.ensure_future(talk.caller.speak(np.concatenate([voice(level, 0.45), quiet(6)])))
        await asyncio.sleep(0.35)
        talk.caller.give(TextIn("In Hanoi."))
        await talking

    talk = Talk().hold(act)
    assert [each.outcome for each in talk.records] == [Outcome.CUT, Outcome.HEARD]
    assert talk.records[1].heard == ("In Hanoi." if level == 99 else "In Hanoi.\nstop that please")


def test_a_pause_in_mid_turn_keeps_it_open() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(voice(40))
        talk.caller.give(ControlIn(Control.PAUSE))
        await asyncio.sleep(20)
        talk.caller.give(ControlIn(Control.RESUME))
        await talk.caller.speak(np.concatenate([voice(20), quiet(5)]))

    talk = Talk().hold(act)
    assert talk.caller.finals == ["and then we What time is it?"]
