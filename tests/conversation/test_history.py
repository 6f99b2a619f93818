from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.history import CUT_MARK, History, HistorySettings, Said
from voxgate.conversation.script import Script
from voxgate.errors import MisuseError


def script(text: str, *, whole: bool = True) -> Script:
    """A letter lasts 100 samples."""
    made = Script(1000)
    made.write(text)
    made.say(text)
    made.voiced(100 * len(text))
    made.said()
    made.whole = whole
    return made


def answered(history: History, number: int, question: str, answer: str) -> None:
    history.hear(question, turn=number)
    history.answer(number, script(answer))
    history.keep(number)


def contents(history: History) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in history.messages()]


def test_turns_and_answers() -> None:
    history = History("Be brief.")
    answered(history, 1, "Who are you?", "A bot.")
    history.hear("Good", turn=2, typed=True)
    assert contents(history) == [
        ("system", "Be brief."),
        ("user", "Who are you?"),
        ("assistant", "A bot."),
        ("user", "Good"),
    ]
    assert history.said[-1] == Said("user", "Good", 2, typed=True)


def test_no_instructions_no_message() -> None:
    history = History()
    history.hear("hello", turn=1)
    assert contents(history) == [("user", "hello")]


def test_an_interrupted_reply_keeps_what_was_heard() -> None:
    history = History()
    history.hear("Tell me", turn=1)
    history.answer(1, script("aaaa bbbb cccc"))
    assert history.cut(1, 900) == "aaaa bbbb"
    history.hear("stop", turn=2)
    assert contents(history) == [("user", "Tell me"), ("assistant", "aaaa bbbb" + CUT_MARK), ("user", "stop")]
    assert history.said[1].interrupted


def test_a_reply_of_which_nothing_was_heard_leaves_no_trace() -> None:
    history = History()
    history.hear("I want", turn=1)
    history.answer(1, script("Sure."))
    assert history.cut(1, 0) == ""
    history.hear("a pizza", turn=2)
    assert contents(history) == [("user", "I want a pizza")]
    assert len(history.said) == 2


def test_an_empty_reply_leaves_no_trace_either() -> None:
    history = History()
    history.answer(1, Script(1000))
    history.keep(1)
    assert history.said == ()


def test_the_rest_of_a_reply() -> None:
    history = History()
    assert history.rest() is None
    history.answer(1, script("a b c d e f g h i j k l"))
    history.cut(1, 1600)
    assert history.rest() == "i j k l"
    history.answer(2, script("more"))
    history.keep(2)
    assert history.rest() is None


def test_the_rest_of_a_reply_that_was_never_complete_is_asked_for() -> None:
    history = History()
    history.hear("Tell me", turn=1)
    history.answer(1, script("aaaa bbbb", whole=False))
    history.cut(1, 400)
    assert history.rest() is None
    asked = history.messages(go_on=True)
    assert asked[1] == {"role": "assistant", "content": "aaaa" + CUT_MARK}
    assert asked[2]["role"] == "user"
    assert "Go on" in asked[2]["content"]
    assert len(history.said) == 2  # the request is not remembered


def test_what_went_on_is_one_answer() -> None:
    history = History()
    history.hear("Tell me", turn=1)
    history.answer(1, script("aaaa bbbb"))
    history.cut(1, 400)
    history.answer(2, script("bbbb"))
    history.keep(2)
    assert contents(history) == [("user", "Tell me"), ("assistant", "aaaa bbbb")]


def test_a_guess_is_only_tried() -> None:
    history = History()
    history.hear("hello", turn=1)
    assert history.messages(guess="there")[-1]["content"] == "hello there"
    assert len(history.said) == 1


def test_the_language_of_the_answer() -> None:
    history = History("Be brief.")
    first = history.messages(language="vi")[0]["content"]
    assert first.startswith("Be brief.\n\n")
    assert "Vietnamese" in first
    assert "Singlish" in History().messages(language="en-SG")[0]["content"]


def test_one_reply_at_a_time() -> None:
    history = History()
    with pytest.raises(MisuseError, match="does not live"):
        history.keep(1)
    history.answer(1, script("a"))
    with pytest.raises(MisuseError, match="reply 2 begins"):
        history.answer(2, script("b"))
    with pytest.raises(MisuseError, match="reply 2 ends"):
        history.cut(2, 0)


def test_oldest_turns_are_left_out_whole_and_instructions_never() -> None:
    history = History("x" * 1000, HistorySettings(max_characters=20, max_messages=100))
    history.answer(1, script("greeting"))
    history.keep(1)
    answered(history, 2, "12345", "67890")
    answered(history, 3, "abcde", "fghij")
    assert contents(history)[1:] == [
        ("user", "12345"),
        ("assistant", "67890"),
        ("user", "abcde"),
        ("assistant", "fghij"),
    ]
    history.hear("!", turn=4)
    assert contents(history) == [("system", "x" * 1000), ("user", "abcde"), ("assistant", "fghij"), ("user", "!")]


def test_the_last_turn_stays_however_long() -> None:
    history = History("", HistorySettings(max_characters=10))
    answered(history, 1, "a", "b")
    history.hear("x" * 100, turn=2)
    assert contents(history) == [("user", "x" * 100)]


@given(
    st.lists(st.tuples(st.sampled_from("uak"), st.text(alphabet="ab ", min_size=1, max_size=12)), max_size=60),
    st.integers(1, 60),
    st.integers(1, 12),
)
def test_the_budget_holds_and_roles_alternate(happened: list[tuple[str, str]], characters: int, messages: int) -> None:
    history = History("rules", HistorySettings(characters, messages))
    for number, (what, text) in enumerate(happened):
        if what == "u":
            history.hear(text, turn=number)
        else:
            history.answer(number, script(text))
            history.keep(number) if what == "k" else history.cut(number, 50 * len(text))
    told = history.messages()
    assert told[0] == {"role": "system", "content": "rules"}
    roles = [each["role"] for each in told[1:]]
    assert all(one != other for one, other in pairwise(roles))
    assert len(history.said) <= len(happened)
    turns = [at for at, each in enumerate(history.said) if each.role == "user"]
    if len({each for each in turns if each == 0 or history.said[each - 1].role != "user"}) > 1:
        assert len(history.said) <= messages
        assert sum(len(each.text) for each in history.said) <= characters
