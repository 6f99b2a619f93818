import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.wer import digits, distance, errors, normalize, wer


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("He was not an ill-disposed young man,", "he was not an ill disposed young man"),
        ("Mr. John Dashwood", "mister john dashwood"),
        ("I've put a lot", "i have put a lot"),
        ("I can't, I won't", "i cannot i will not"),
        ("to-morrow", "tomorrow"),
        ("25 minutes", "twenty five minutes"),
        ("since 1995.", "since nineteen ninety five"),
        ("555-234-9876", "five five five, two three four, nine eight seven six"),
        ("one nine oh two one", "19021"),
        ("real-time", "realtime"),
    ],
)
def test_two_ways_of_writing_the_same_are_equal(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(("one", "other"), [("cloves", "clubs"), ("oh no", "zero no"), ("colour", "color")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


@pytest.mark.parametrize(
    "text", ["10001 90210 01803", "one zero zero zero one nine oh two one oh zero one eight zero three"]
)
def test_digits_are_read_in_figures_and_words(text: str) -> None:
    assert digits(text) == "100019021001803"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"), [("", "", 0), ("a b c", "", 3), ("", "a", 1), ("a b c", "a x c d", 2)]
)
def test_errors_are_counted(reference: str, hypothesis: str, expected: int) -> None:
    assert errors(reference, hypothesis)[0] == expected


@given(*[st.lists(st.sampled_from("abc"), max_size=6)] * 3)
def test_distance_is_a_metric(a: list[str], b: list[str], c: list[str]) -> None:
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, b) == distance(b, a)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_the_rate_is_over_all_words() -> None:
    assert wer([("one two three", "one two"), ("four", "four")]) == 0.25
    assert wer([]) == 0
