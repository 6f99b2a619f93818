"""White space and marks."""

import pytest

from voxgate.text.correct_edits import replaced
from voxgate.text.correct_spacing import before_marks, marks, spaces


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("  a \t b\n", "a b"), ("a\u00a0b", "a b"), ("a b", "a b"), (" ", ""), ("你 \u3000好", "你 好")],
)
def test_spaces(text: str, wanted: str) -> None:
    assert replaced(text, spaces(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a , b .", "a, b."),
        ("a ?", "a?"),
        ("a ??", "a??"),
        ("use .env", "use .env"),
        ("a ... b", "a ... b"),
        ("a :)", "a :)"),
    ],
)
def test_before_marks(text: str, wanted: str) -> None:
    assert replaced(text, before_marks(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a,, b", "a, b"),
        ("a, , b", "a, b"),
        ("end..", "end."),
        ("what??", "what?"),
        ("no!!!", "no!"),
        ("so,.", "so."),
        ("wait... so", "wait... so"),
        ("what?! no", "what?! no"),
        ("etc., and", "etc., and"),
        (", and so", "and so"),
        ("...and so", "...and so"),
        ("yes,please", "yes, please"),
        ("1,000 and N,N", "1,000 and N,N"),
    ],
)
def test_marks(text: str, wanted: str) -> None:
    assert replaced(text, marks(text)) == wanted
