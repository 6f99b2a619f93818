import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from voxgate.text.normalize_english_numbers import LONGEST, cardinal, digits, number, ordinal, plural, year


@given(st.integers(0, 10**LONGEST - 1))
def test_a_cardinal_is_what_num2words_says_without_and(value: int) -> None:
    assert cardinal(str(value)) == num2words(value).replace(" and ", " ").replace(",", "")


@given(st.integers(0, 10**9))
def test_an_ordinal_is_what_num2words_says_without_and(value: int) -> None:
    assert ordinal(str(value)) == num2words(value, to="ordinal").replace(" and ", " ").replace(",", "")


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ("1000", "one thousand"),
        ("1066", "ten sixty-six"),
        ("1900", "nineteen hundred"),
        ("1905", "nineteen oh five"),
        ("1984", "nineteen eighty-four"),
        ("2000", "two thousand"),
        ("2009", "two thousand nine"),
        ("2010", "twenty ten"),
        ("2026", "twenty twenty-six"),
    ],
)
def test_years(figures: str, words: str) -> None:
    assert year(figures) == words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("0", "zero"),
        ("007", "zero zero seven"),
        (".5", "zero point five"),
        ("1,234.50", "one thousand two hundred thirty-four point five zero"),
        ("0.05", "zero point zero five"),
        ("1" * (LONGEST + 1), " ".join(["one"] * (LONGEST + 1))),
    ],
)
def test_numbers_as_they_are_written(written: str, words: str) -> None:
    assert number(written) == words


def test_digits_and_plurals() -> None:
    assert digits("90210") == "nine zero two one zero"
    assert [plural(word) for word in ("ninety", "fifth", "six")] == ["nineties", "fifths", "sixes"]
