import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.words import comparable, same_words, squeezed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t STOP, it's 5.5!", ("dont", "stop", "its", "5", "5")),
        ("Straße", ("strasse",)),
        ("được không?", ("được", "không")),
        ("你好 OK吗", ("你", "好", "ok", "吗")),
        ("はーい", ("は", "い")),
        ("그렇군요, 네", ("그렇군요", "네")),
        ("ก็ดี", ("ก็", "ดี")),
        ("हाँ जी", ("हाँ", "जी")),
        ("... — !", ()),
        ("", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert comparable(text) == words


def test_two_ways_of_writing_the_same_words() -> None:
    assert same_words("What’s the time?", "whats the TIME")
    assert same_words("e\u0301te\u0301", "été")
    assert not same_words("what is the time", "what was the time")


def test_drawn_out_sounds_become_one() -> None:
    assert squeezed(("mmm", "yeeeah", "no")) == ("m", "yeah", "no")


@given(st.text(max_size=80))
def test_comparing_twice_changes_nothing(text: str) -> None:
    words = comparable(text)
    assert all(words)
    assert comparable(" ".join(words)) == words
