import pytest

from voxgate.text.normalize_english_names import word_rules
from voxgate.text.normalize_rules import Rulebook

BOOK = Rulebook((), words=word_rules())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mr. & Mrs. Hall", "Mister & Missus Hall"),
        ("Dr Jekyll", "Doctor Jekyll"),
        ("Elm Dr.", "Elm Drive."),
        ("on Elm St., then", "on Elm Street, then"),
        ("St. Mary", "Saint Mary"),
        ("12 Oak St. Boston", "12 Oak Street Boston"),
        ("Ft. Worth", "Fort Worth"),
        ("Sammy Davis, Jr.", "Sammy Davis, Junior."),
        ("ms. x", "ms. x"),
        ("MR. T", "MR. T"),
        ("the dr. said", "the dr. said"),
        ("Gen. public", "Gen. public"),
        ("Col 5", "Col 5"),
    ],
)
def test_titles_and_streets(text: str, said: str) -> None:
    assert BOOK.apply(text) == said
