"""English numbers: those with a twist; the plain ones are golden rows."""

import pytest

from voxgate.text.correct_edits import replaced
from voxgate.text.correct_numbers import numbers


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("in May twenty people came", "in May 20 people came"),
        ("the code is one two three four", "the code is one two three four"),
        ("the code is one three two four", "the code is 1324"),
        ("dial one two three", "dial 123"),
        ("triple nine, double oh seven", "999, double oh seven"),
        ("say ten, twenty, thirty", "say 10, 20, 30"),
        ("say eight, nine, ten", "say eight, nine, ten"),
        ("it was ten-thirty", "it was ten-thirty"),
        ("it costs a hundred dollars", "it costs a hundred dollars"),
        ("it costs one dollar", "it costs one dollar"),
        ("five dollars and ten friends", "$5 and 10 friends"),
        ("about five dollars and five cents", "about $5.05"),
        ("about five dollars fifty", "about $5.50"),
        ("about five dollars fifty people", "about $5 fifty people"),
        ("zero point five percent", "0.5%"),
        ("two point five billion euros", "€2.5 billion"),
        ("two point twenty five", "two point twenty five"),
        ("from five to ten dollars", "from $5 to $10"),
        ("two or three million dollars", "$2 or $3 million"),
        ("between five and ten percent", "between 5 and 10%"),
        ("five and ten percent", "five and 10%"),
        ("it is twenty-twenty", "it is twenty-twenty"),
        ("the twenty twenty games", "the 2020 games"),
        ("seven fifteen minute calls", "seven fifteen minute calls"),
        ("at seven thirty people left", "at seven thirty people left"),
        ("from nineteen ten on", "from 1910 on"),
        ("in two thousand and five cities", "in 2,005 cities"),
        ("the year two thousand.", "the year 2000."),
        ("on the thirty-second day", "on the 32nd day"),
        ("on the thirty second day", "on the thirty second day"),
        ("the twelfth of June", "the 12th of June"),
        ("the twelfth man", "the twelfth man"),
        ("the one hundred and first", "the one hundred and first"),
        ("three twenty fifths", "three twenty fifths"),
        ("5 twenty", "5 twenty"),
        ("twenty 5", "twenty 5"),
        ("mid-twenty people", "mid-twenty people"),
        ("twenty five-minute calls", "twenty five-minute calls"),
        ("we saw Seventeen Again", "we saw Seventeen Again"),
        ("we saw seventeen again", "we saw 17 again"),
        ("at one a.m. or at one am", "at 1 a.m. or at 1 am"),
        ("oh five people came", "oh five people came"),
        ("twenty-four/seven", "24/seven"),
    ],
)
def test_numbers(text: str, wanted: str) -> None:
    assert replaced(text, numbers(text)) == wanted


def test_a_phone_number_is_one_change() -> None:
    text = "call five five five, one two three four"
    assert [(text[e.start : e.end], e.new) for e in numbers(text)] == [(text[5:], "555-1234")]


def test_groups_that_make_no_phone_number_are_numbers_of_their_own() -> None:
    text = "the codes one zero zero one nine, nine zero two one oh"
    assert replaced(text, numbers(text)) == "the codes 10019, 90210"
