import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.script import Script
from voxgate.domain import Word
from voxgate.text.sentences import split

RATE = 1000  # a sample is a millisecond


def script(*clauses: tuple[str, int], whole: bool = True) -> Script:
    made = Script(RATE)
    made.write(" ".join(text for text, _ in clauses))
    for text, samples in clauses:
        made.say(text)
        made.voiced(samples)
    if whole:
        made.said()
        made.whole = True
    return made


def test_whole_clauses() -> None:
    made = script(("Paris is lovely.", 1000), ("Go there.", 500))
    assert made.heard(0) == ""
    assert made.heard(1000) == "Paris is lovely."
    assert made.heard(1500) == made.heard(9999) == made.text == "Paris is lovely. Go there."


def test_words_are_heard_in_proportion_to_their_letters() -> None:
    made = script(("aaaa bbbb cccc dddd.", 1700))
    assert made.heard(199) == ""
    assert made.heard(200) == "aaaa"  # half of it
    assert made.heard(599) == "aaaa"
    assert made.heard(1000) == "aaaa bbbb cccc"
    assert made.heard(1699) == "aaaa bbbb cccc dddd."


def test_times_of_words_decide_where_the_voice_tells_them() -> None:
    made = Script(RATE)
    made.write("One two three.")
    made.say("One two three.")
    made.voiced(2000, [Word("One", 0, 100), Word("two", 100, 200), Word("three", 1000, 2000)])
    made.said()
    assert made.heard(150) == "One two"
    assert made.heard(900) == "One two"
    assert made.heard(1600) == "One two three."


def test_numbers_that_are_spoken_in_words() -> None:
    made = Script(RATE)
    made.write("It costs $1,250 today.")
    spoken = "It costs one thousand two hundred fifty dollars today."
    made.say("It costs $1,250 today.", spoken)
    words = spoken.rstrip(".").split()
    made.voiced(900, [Word(word, k * 100, (k + 1) * 100) for k, word in enumerate(words)])
    made.said()
    assert made.heard(200) == "It costs"
    assert made.heard(800) == "It costs $1,250"
    assert made.heard(900) == "It costs $1,250 today."


def test_scripts_without_spaces_are_cut_between_characters() -> None:
    assert script(("今日は晴れです。", 800)).heard(400) == "今日は晴"
    assert script(("สวัสดีครับ", 1000)).heard(500).startswith("ส")


def test_a_clause_that_is_not_voiced_to_its_end_is_guessed() -> None:
    made = script(("This is a sentence of about thirty", 300), whole=False)
    assert made.heard(300) == "This"  # 300 ms are four or five letters
    assert made.heard(0) == ""


def test_markup_that_is_not_spoken_is_part_of_the_text() -> None:
    made = Script(RATE)
    made.write("**Bold** words. And more.")
    made.say("**Bold** words.", "Bold words.")
    made.voiced(500)
    made.say("And more.")
    made.voiced(500)
    made.said()
    assert made.heard(500) == "**Bold** words."


def test_the_rest_begins_with_the_clause_or_with_the_word() -> None:
    made = script(("Paris is lovely.", 1000), ("Go there in spring.", 1900))
    assert made.rest(1500) == "Go there in spring."
    assert made.rest(1000) == "Go there in spring."
    assert made.rest(0) == made.text
    assert made.rest(2900) == ""
    long = script(("a b c d e f g h i j k l m n o p", 1600))
    assert long.rest(1000).startswith("k")


def test_the_words_that_sound_at_a_time() -> None:
    made = script(("aaaa bbbb", 800), ("cccc", 400))
    assert [word.text for word in made.words_heard(0, 100)] == ["aaaa"]
    assert [(word.text, word.start, word.end) for word in made.words_heard(500, 900)] == [
        ("bbbb", 400, 800),
        ("cccc", 800, 1200),
    ]
    assert made.words_heard(1200, 5000) == []


TEXTS = st.lists(st.sampled_from("Hello, world. 今日は 5.5 — yes! no? สวัสดี a **b** c".split()), min_size=1).map(
    " ".join
)


@given(TEXTS, st.lists(st.integers(1, 3000), min_size=1), st.booleans(), st.data())
def test_what_is_heard_is_a_beginning_that_grows(
    text: str, lengths: list[int], timed: bool, data: st.DataObject
) -> None:
    made = Script(RATE)
    made.write(text)
    total = 0
    for k, clause in enumerate(split(text)):
        made.say(clause)
        samples = lengths[k % len(lengths)]
        words = clause.split() if timed else []
        step = samples // max(1, len(words))
        made.voiced(samples, [Word(word, n * step, (n + 1) * step) for n, word in enumerate(words)])
        total += samples
    at = sorted(data.draw(st.lists(st.integers(-10, total + 1000), min_size=2, max_size=2)))
    first, second = made.heard(at[0]), made.heard(at[1])
    assert text.startswith(first)
    assert second.startswith(first)
    made.said()
    assert made.heard(total) == text.rstrip()
    assert made.rest(total) == ""
    assert made.rest(at[0]) in text
    assert made.text.rstrip().endswith(made.rest(at[0]))


def test_a_clause_that_the_text_does_not_hold_is_placed_all_the_same() -> None:
    made = Script(RATE)
    made.write("abc")
    made.say("xyz and more")
    made.voiced(100)
    made.said()
    assert made.heard(100) == "abc"


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_to_say(text: str) -> None:
    made = Script(RATE)
    made.write(text)
    made.said()
    assert made.heard(100) == made.rest(0) == ""


def test_words_that_are_not_told_yet_are_not_heard() -> None:
    made = Script(RATE)
    made.write("One two three")
    made.say("One two three")
    made.voiced(300, [Word("One", 0, 100)])
    assert made.heard(299) == "One"
    made.voiced(300, [Word("two", 200, 400)])
    assert made.heard(301) == "One two"


def test_what_is_not_spoken_goes_with_what_stands_before_it() -> None:
    made = Script(RATE)
    made.write("Yes — 😀 no")
    made.say("Yes — 😀 no", "Yes, no")
    made.voiced(400, [Word("Yes", 0, 100), Word("no", 300, 400)])
    made.said()
    assert made.heard(100) == "Yes — 😀"
    assert made.heard(10) == ""


@given(TEXTS, TEXTS | st.just(" "), st.lists(st.integers(0, 300), max_size=8), st.booleans(), st.integers(-10, 4000))
def test_whatever_a_voice_tells_of_its_words(text: str, spoken: str, steps: list[int], whole: bool, at: int) -> None:
    made = Script(RATE)
    made.write(text)
    made.say(text, spoken)
    words, now = [], 0
    for word, step in zip(spoken.split(), steps, strict=False):
        words.append(Word(word, now, now + step))
        now += step
    made.voiced(2000, words)
    if whole:
        made.said()
    first, second = made.heard(at), made.heard(at + 100)
    assert text.startswith(first)
    assert second.startswith(first)
    assert made.text.rstrip().endswith(made.rest(at))


def test_where_a_clause_begins() -> None:
    made = script(("Paris is lovely.", 1000), ("Go there.", 500), whole=False)
    assert [made.begins(at) for at in (0, 15)] == [0, 0]
    assert [made.begins(at) for at in (16, 17, 24)] == [1000, 1000, 1000]
    assert made.begins(26) is None  # more may come
    made.whole = True
    assert made.begins(26) == 1000
    made.write(" By train.")
    assert made.begins(27) is None  # the voice has not been given it
    assert Script(RATE).begins(0) is None
