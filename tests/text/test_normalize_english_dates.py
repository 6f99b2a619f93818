import pytest

from voxgate.text.normalize_english_dates import figure_rules, word_rules
from voxgate.text.normalize_rules import Rulebook

BOOK = Rulebook(figure_rules(day_first=False), words=word_rules())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-21T09:05Z", "November twenty-first, twenty twenty-six, nine oh five U-T-C"),
        ("2026-13-21", "2026-13-21"),
        ("2/30/26", "February thirtieth, twenty twenty-six"),
        ("13/13/26", "13/13/26"),
        ("the 4th of July", "the fourth of July"),
        ("Sept. 5-7, 2026", "September fifth to seventh, twenty twenty-six"),
        ("0:30 am", "0:30 am"),
        ("13 pm", "13 pm"),
        ("24:00", "midnight"),
        ("12:00 PM", "twelve P-M"),
        ("1:02:03 a.m.", "one oh two and three seconds A-M"),
        ("9:30-11 am", "nine thirty to eleven A-M"),
        ("10 am.", "ten A-M."),
        ("I am 5", "I am 5"),
        ("5 amps", "5 amps"),
    ],
)
def test_dates_and_times(text: str, said: str) -> None:
    assert BOOK.apply(text) == said
