import pytest

from voxgate.text.normalize_english_text import (
    capital_rules,
    figure_rules,
    joined_rules,
    sign_rules,
    spelled,
    word_rules,
)
from voxgate.text.normalize_rules import Rulebook

BOOK = Rulebook(figure_rules(), words=word_rules(), joined=joined_rules(), capitals=capital_rules(), signs=sign_rules())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the URLs", "the U-R-L's"),
        ("SQL and NASA", "S-Q-L and NASA"),
        ("GO NOW TO THE FBI OFFICE", "GO NOW TO THE FBI OFFICE"),
        ("Q&A", "Q and A"),
        ("Act II of", "Act Two of"),
        ("King Charles III", "King Charles the Third"),
        ("Charles I was", "Charles the First was"),
        ("Charles I think", "Charles I think"),
        ("Super Bowl XL", "Super Bowl X-L"),
        ("VIX", "VIX"),
        ("A IV", "A I-V"),
        ("call +44 20 7946 0958 now", "call plus four four, two zero, seven nine four six, zero nine five eight now"),
        ("8000000000", "8000000000"),
        ("123456789", "one two three, four five six, seven eight nine"),
        ("v1.2", "version one point two"),
        ("w/o", "without"),
        ("#GPTRocks", "hashtag GPT Rocks"),
        ("E=mc²", "E equals mc²"),
        ("a @ b", "a at b"),
        ("x=5", "x equals 5"),
    ],
)
def test_what_is_not_a_quantity(text: str, said: str) -> None:
    assert BOOK.apply(text) == said


def test_letters_are_joined_so_that_each_is_named() -> None:
    assert [spelled(letters) for letters in ("USB", "AI", "FAQ", "usa")] == ["U-S-B", "A-I", "F.A.Q", "U.S.A"]
