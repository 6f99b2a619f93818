import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.normalize_rules import Rulebook, always, is_camel_case, merged, rule, spaced, word_before

BOOK = Rulebook(
    figures=(
        rule(r"[0-9]+%", always("a share"), near="%"),
        rule(r"(?P<n>[0-9]+)(?![\w.])", lambda found: None if found["n"] == "13" else "some"),
    ),
    words={"st": (rule(r"St\.", always("Saint")),)},
    joined=(rule(r"\w+@\w+", always("an address")),),
    capitals=(rule(r"[A-Z]{2,4}(?!\w)", always("letters")),),
    signs={"&": (rule("&", spaced("and")),)},
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5 and 13 and 7%", "some and 13 and a share"),
        ("St. John and st. john", "Saint John and st. john"),
        ("me@home me @home", "an address me @home"),
        ("USB Usb U5", "letters Usb U5"),
        ("a&b & c", "a and b and c"),
        ("2.1.3 and a5 and x.5", "2.1.3 and a5 and x.5"),
        ("COVID-19 it's 5", "COVID-19 it's some"),
        ("", ""),
    ],
)
def test_a_token_is_said_by_the_first_rule_that_knows_it(text: str, said: str) -> None:
    assert BOOK.apply(text) == said


@given(st.text(max_size=200))
def test_a_book_without_rules_changes_nothing(text: str) -> None:
    assert Rulebook(figures=()).apply(text) == text


@pytest.mark.parametrize(("text", "word"), [("the ", "the"), ("iPhone ", "iPhone"), ("a, ", ""), ("", ""), ("a  ", "")])
def test_the_word_before(text: str, word: str) -> None:
    assert word_before(text + "5", len(text)) == word


def test_camel_case() -> None:
    assert [is_camel_case(word) for word in ("iPhone", "PlayStation", "Phone", "USB", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_an_earlier_book_is_tried_first() -> None:
    one, other = rule("a", always("1")), rule("a", always("2"))
    assert merged({"a": [one]}, {"a": [other], "b": [one]}) == {"a": (one, other), "b": (one,)}
