"""What number words are worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.correct_numerals import TEENS, TENS, UNITS, below_hundred, cardinal

WORDS = {value: word for table in (UNITS, TEENS, TENS) for word, value in table.items()}


def said(value: int, *, british: bool) -> list[str]:
    """The words of a number, the way round that the code under test does not go."""
    for scale, name in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if value >= scale:
            rest = value % scale
            joint = ["and"] if british and 0 < rest < 100 else []
            return [
                *said(value // scale, british=british),
                name,
                *joint,
                *(said(rest, british=british) if rest else []),
            ]
    if value >= 100:
        joint = ["and"] if british and value % 100 else []
        return [WORDS[value // 100], "hundred", *joint, *(said(value % 100, british=british) if value % 100 else [])]
    if value in WORDS:
        return [WORDS[value]]
    return [WORDS[value // 10 * 10], WORDS[value % 10]]


@given(st.integers(0, 10**12 - 1), st.booleans())
def test_every_number_is_understood(value: int, british: bool) -> None:
    assert cardinal(said(value, british=british)) == value


@pytest.mark.parametrize(
    "words",
    ["", "hundred", "thousand", "five five", "twenty ten", "twenty zero", "zero hundred", "zero thousand",
     "one twenty five",
     "two thousand thousand", "two thousand three million", "five and", "two hundred and", "thousand and five", "cat",
     "two thousand and three hundred and five hundred"],
)  # fmt: skip
def test_what_is_no_number(words: str) -> None:
    assert cardinal(words.split()) is None


def test_hundreds_above_nine() -> None:
    assert cardinal("fifteen hundred and six".split()) == 1506


def test_below_hundred_says_how_many_words_it_took() -> None:
    assert below_hundred(["twenty", "five", "six"]) == (25, 2)
    assert below_hundred(["twenty", "ten"]) == (20, 1)
    assert below_hundred(["zero", "five"]) == (0, 1)
    assert below_hundred(["cat"]) == (0, 0)
    assert below_hundred([]) == (0, 0)
