import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.normalize_vietnamese_numbers import LONGEST, cardinal, digits, number, ordinal, parts

ONES = {word: value for value, word in enumerate("không một hai ba bốn năm sáu bảy tám chín".split())}
ONES |= {"mốt": 1, "tư": 4, "lăm": 5}


def value_of(words: str) -> int:
    """A reader of Vietnamese numbers, written from the other side: what the words mean."""
    total = group = digit = 0
    for word in words.split():
        if word in ONES:
            digit = ONES[word]
            continue
        if word == "linh":
            continue
        if word == "mười":
            group, digit = group + 10, 0
        elif word == "mươi":
            group, digit = group + digit * 10, 0
        elif word == "trăm":
            group, digit = group + digit * 100, 0
        elif word == "tỷ":
            total, group, digit = (total + group + digit) * 10**9, 0, 0
        else:
            scale = {"nghìn": 10**3, "triệu": 10**6}[word]
            below = total % 10**9
            total, group, digit = total - below + below + (group + digit) * scale, 0, 0
    return total + group + digit


@given(st.integers(0, 10**9 - 1))
def test_the_words_mean_the_number(value: int) -> None:
    assert value_of(cardinal(str(value))) == value


@given(st.integers(10**9, 10**12 - 1))
def test_billions_mean_the_number(value: int) -> None:
    billions, _, rest = cardinal(str(value)).partition(" tỷ")
    assert value_of(billions) * 10**9 + value_of(rest or "không") == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (4, "bốn"),
        (14, "mười bốn"),
        (24, "hai mươi tư"),
        (15, "mười lăm"),
        (55, "năm mươi lăm"),
        (11, "mười một"),
        (21, "hai mươi mốt"),
        (105, "một trăm linh năm"),
        (1005, "một nghìn không trăm linh năm"),
        (2024, "hai nghìn không trăm hai mươi tư"),
        (1_000_001, "một triệu không trăm linh một"),
        (1_200_000_000_000, "một nghìn hai trăm tỷ"),
        (5_000_000_000_000, "năm nghìn tỷ"),
    ],
)
def test_the_words_as_they_are_said(value: int, words: str) -> None:
    assert cardinal(str(value)) == words


@pytest.mark.parametrize(
    ("written", "whole", "fraction"),
    [
        ("1.234,5", "1234", "5"),
        ("1,234,567", "1234567", ""),
        ("50,000", "50000", ""),
        ("3,14", "3", "14"),
        ("1,234", "1", "234"),
        ("3.5", "3", "5"),
        ("1.234", "1234", ""),
        ("0.125", "0", "125"),
    ],
)
def test_points_and_commas(written: str, whole: str, fraction: str) -> None:
    assert parts(written) == (whole, fraction)


def test_codes_ranks_and_long_numbers() -> None:
    assert number("090") == digits("090") == "không chín không"
    assert [ordinal(rank) for rank in "1245"] == ["nhất", "hai", "tư", "năm"]
    assert number("1" * (LONGEST + 1)) == " ".join(["một"] * (LONGEST + 1))
    assert number("0,05") == "không phẩy không năm"
