"""Whole calls of bots that have pictures, and captions: what rooms ask for."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conversation.talks import Talk, quiet, voice
from voxgate.calls import (
    AudioOut,
    CallEnded,
    CallRequest,
    Dropped,
    EndReason,
    ImageOut,
    ReplyInterrupted,
    ReplyText,
    SpokenOut,
    TextIn,
)
from voxgate.errors import EngineError

BOT = CallRequest("c1", instructions="Be brief.", captions=True, images={"menu": "The menu of the day", "map": ""})


def asked(*answers: str | Exception, seconds: float = 6, request: CallRequest = BOT) -> Talk:
    """A call in which something is written and answered."""

    async def act(talk: Talk) -> None:
        talk.mind.answers = list(answers)
        talk.caller.give(TextIn("What is there to eat?"))
        await talk.caller.speak(quiet(seconds))

    return Talk(request=request).hold(act)


def told_at(talk: Talk, kind: type) -> list[float]:
    return [at for at, each in talk.caller.outputs if isinstance(each, kind)]


def test_a_picture_is_shown_as_its_sentence_is_said_and_its_mark_is_nowhere() -> None:
    said = "We have much to choose from today. Look at this. It is all fresh."
    talk = asked("We have much to choose from today. [[image:menu]] Look at this. It is all fresh.")
    assert talk.caller.of(ImageOut) == [ImageOut(1, "menu")]
    begins = told_at(talk, AudioOut)[0] + 0.25 * 7  # seven words come before it, each a quarter of a second
    assert told_at(talk, ImageOut)[0] == pytest.approx(begins, abs=0.5)  # sent 200 ms ahead, in chunks of 100
    assert talk.caller.text(1) == talk.records[0].text == talk.records[0].spoken == said
    assert " ".join(talk.mouth.said) == said


def test_a_picture_that_is_named_is_shown() -> None:
    talk = asked("Of course. Here is the menu of the day for you.")
    assert talk.caller.of(ImageOut) == [ImageOut(1, "menu")]


def test_a_mark_at_the_end_shows_with_the_last_sentence_and_one_alone_is_named() -> None:
    assert asked("Yes. Here it is. [[image:map]]").caller.of(ImageOut) == [ImageOut(1, "map")]
    alone = asked("[[image:menu]]")
    assert alone.caller.of(ImageOut) == [ImageOut(1, "menu")]
    assert alone.caller.text(1) == "The menu of the day"
    assert asked("[[image:map]]").caller.text(1) == "map"


def test_the_model_is_told_which_pictures_there_are() -> None:
    assert "[[image:menu]] The menu of the day" in asked("Fine.").mind.asked[0][0]["content"]


def test_the_greeting_may_show_a_picture() -> None:
    async def act(talk: Talk) -> None:
        await talk.caller.speak(quiet(3))

    talk = Talk(request=replace(BOT, greeting="[[image:map]] Welcome to all of you.")).hold(act)
    assert talk.caller.text(1) == "Welcome to all of you."
    assert talk.caller.of(ImageOut) == [ImageOut(1, "map")]


def test_what_is_cut_off_before_its_picture_shows_none() -> None:
    async def act(talk: Talk) -> None:
        talk.mind.answers = ["One two three four five six seven eight nine ten. [[image:map]] Look.", "Good."]
        talk.caller.give(TextIn("Tell me."))
        await talk.caller.speak(np.concatenate([quiet(0.6), voice(30), quiet(4)]))

    talk = Talk(request=BOT).hold(act)
    assert talk.caller.of(ReplyInterrupted) != []
    assert talk.caller.of(ImageOut) == []


def test_captions_follow_the_voice_word_by_word() -> None:
    talk = asked("One two three four. Five six.")
    captions = talk.caller.of(SpokenOut)
    assert captions[-1] == SpokenOut(1, "One two three four. Five six.", final=True)
    assert [each.text for each in captions[:6]] == [
        "One",
        "One two",
        "One two three",
        "One two three four.",
        "One two three four. Five",
        "One two three four. Five six.",
    ]
    assert not any(each.final for each in captions[:-1])
    written = told_at(talk, ReplyText)[-1]
    assert told_at(talk, SpokenOut)[3] > written + 0.3  # the model had written it long before


def test_the_last_caption_of_a_reply_that_is_cut_is_what_was_heard() -> None:
    async def act(talk: Talk) -> None:
        talk.mind.answers = ["One two three four five six seven eight nine ten.", "Good."]
        talk.caller.give(TextIn("Tell me."))
        await talk.caller.speak(np.concatenate([quiet(0.6), voice(30), quiet(4)]))

    talk = Talk(request=BOT).hold(act)
    (cut,) = talk.caller.of(ReplyInterrupted)
    last = next(each for each in talk.caller.of(SpokenOut) if each.reply == cut.reply and each.final)
    assert last.text == cut.spoken == talk.records[0].spoken
    assert 0 < len(last.text) < len("One two three four five six seven eight nine ten.")


def test_a_reply_that_nobody_heard_has_no_caption() -> None:
    talk = asked(EngineError("broken, as wanted", engine="x"), "Fine.")
    assert [each.text for each in talk.caller.of(SpokenOut) if each.final] == [
        "Sorry, something went wrong. Please try again."
    ]


def test_without_captions_there_are_none() -> None:
    assert asked("One two.", request=CallRequest("c1")).caller.of(SpokenOut) == []


def test_a_call_may_have_a_grace_of_its_own() -> None:
    async def act(talk: Talk) -> None:
        talk.caller.give(Dropped())
        await talk.caller.speak(quiet(70))

    talk = Talk(request=replace(BOT, grace_s=60)).hold(act)
    assert talk.reason is EndReason.LOST
    assert told_at(talk, CallEnded) == [pytest.approx(60, abs=0.1)]
