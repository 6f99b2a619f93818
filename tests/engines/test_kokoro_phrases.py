"""How a text is cut for Kokoro: early words first, and never slower than it is heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.engines.kokoro_phrases import COST, LEAST_WORDS, Phrasing

LONG = "The quick brown fox jumps over the lazy dogs and then runs all the way back to the forest to sleep."


@pytest.mark.parametrize(
    "text", ["Sure.", "Your appointment is tomorrow at three.", "Please hold the line a moment, sir."]
)
def test_short_sentences_stay_whole(text: str) -> None:
    assert Phrasing(6).cut(text) == [text]


def test_a_long_one_is_cut_where_a_phrase_begins() -> None:
    assert Phrasing(6).cut(LONG) == [
        "The quick brown fox jumps",
        "over the lazy dogs",
        "and then runs all the way back to the forest to sleep.",
    ]


def test_a_comma_is_the_better_place() -> None:
    text = "When you arrive, please go to the front desk and ask the nice lady there for your key."
    assert Phrasing(6).cut(text)[0] == "When you arrive,"


def test_zero_leaves_everything_whole() -> None:
    assert Phrasing(0).cut(LONG * 3) == [LONG * 3]


def test_the_next_piece_goes_on_where_the_last_one_was() -> None:
    phrasing = Phrasing(6)
    phrasing.cut(LONG)
    assert len(phrasing.cut(LONG)) < 3


def test_where_no_spaces_are_written_commas_are_the_places() -> None:
    text = "我想预订一张明天早上去北京的火车票，如果可以的话请给我靠窗的座位，谢谢你的帮助。"
    found = Phrasing(6).cut(text)
    assert "".join(found) == text
    assert len(found) > 1
    assert all(phrase.endswith("，") for phrase in found[:-1])


WORDS = st.lists(
    st.text(alphabet="abcdefg,.你好，", min_size=1, max_size=12).filter(lambda word: bool(word.strip())), max_size=60
)


@given(st.lists(WORDS, max_size=4), st.integers(0, 12))
def test_nothing_is_lost_and_no_phrase_is_empty(pieces: list[list[str]], first_words: int) -> None:
    phrasing = Phrasing(first_words)
    for words in pieces:
        found = phrasing.cut(" ".join(words))
        assert all(phrase.strip() for phrase in found)
        assert "".join(" ".join(found).split()) == "".join(words)


@given(st.lists(st.lists(st.sampled_from(["to", "house", "and", "yes,", "go"]), min_size=1, max_size=40), max_size=4))
def test_a_listener_never_waits_between_phrases(pieces: list[list[str]]) -> None:
    """Counted in words: made at COST a word, heard at 1; only the shortest phrases and what a cut leaves may wait."""
    phrasing = Phrasing(6)
    made = heard_until = 0.0
    for words in pieces:
        for phrase in phrasing.cut(" ".join(words)):
            count = len(phrase.split())
            made += COST * count
            if heard_until and count > 6 + LEAST_WORDS:
                assert made <= heard_until + COST * (LEAST_WORDS + 1)
            heard_until = max(heard_until, made) + count
