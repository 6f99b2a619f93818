"""What the bot does in a whole call, on a clock that jumps: guesses, greetings, apologies, what is told and played."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from tests.conversation.talks import ANSWER, BROKEN, Talk, quiet, states, voice
from voxgate.calls import (
    AnnounceIn,
    AudioEnd,
    AudioOut,
    CallProblem,
    CallRequest,
    Control,
    ControlIn,
    LatencyOut,
    OnWire,
    Outcome,
    PlayedIn,
    ReplyInterrupted,
    ReplyText,
)
from voxgate.conversation.speculation import Speculate
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.domain import Samples
from voxgate.text.phrases import Phrase, phrase


def test_the_reply_comes_in_chunks_as_it_is_played_and_never_far_ahead() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(5)]))

    sent = [at for at, each in Talk().hold(act).caller.outputs if isinstance(each, AudioOut)]
    assert sent[1] == pytest.approx(sent[0], abs=0.001)
    assert np.diff(sent[1:-1]) == pytest.approx(0.1, abs=0.002)


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


def test_after_a_cough_in_the_pause_the_same_is_guessed_again() -> None:
    def act(*between: Samples) -> Callable[[Talk], Coroutine[Any, Any, None]]:
        async def spoken(talk: Talk) -> None:
            await talk.caller.speak(np.concatenate([voice(20), *between, quiet(6)]))

        return spoken

    plain, coughed = Talk().hold(act()), Talk().hold(act(quiet(0.3), voice(60, 0.2)))
    assert coughed.caller.finals == plain.caller.finals == ["What time is it?"]
    (one,), (other,) = plain.records, coughed.records
    assert (one.guessed, one.discarded, other.guessed, other.discarded) == (True, 0, True, 1)
    assert len(coughed.mind.asked) == 2
    assert one.latency.total_ms is not None
    assert other.latency.total_ms is not None
    assert other.latency.total_ms < one.latency.total_ms + 60  # 120 more without a guess


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


def test_a_client_may_tell_what_it_has_played() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(1.5)]))
        talk.caller.give(PlayedIn(1, 0))
        talk.caller.give(ControlIn(Control.INTERRUPT))
        await talk.caller.speak(quiet(1))

    talk = Talk().hold(act)
    assert talk.caller.of(ReplyInterrupted) == [ReplyInterrupted(1, "")]


def test_noise_that_was_taken_for_an_interruption_lets_the_bot_say_the_rest() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(np.concatenate([voice(20), quiet(2), voice(99, 1.0), quiet(8)]))

    talk = Talk().hold(act)
    first, second = talk.records
    assert (first.outcome, second.purpose, second.outcome) == (Outcome.CUT, "go_on", Outcome.HEARD)
    assert ANSWER.endswith(second.spoken)
    assert talk.caller.finals == ["What time is it?"]
