import pytest

from voxgate.text.normalize_rules import Rulebook
from voxgate.text.normalize_vietnamese_text import (
    capital_rules,
    joined_rules,
    sign_rules,
    spelled,
    telephone_rules,
    word_rules,
)

BOOK = Rulebook(
    telephone_rules(), words=word_rules(), joined=joined_rules(), capitals=capital_rules(), signs=sign_rules()
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HCM và VN", "hát xê em mờ và Việt Nam"),
        ("thế kỷ XIX", "thế kỷ mười chín"),
        ("ông XIX", "ông XIX"),
        ("0912345678", "không chín một hai, ba bốn năm, sáu bảy tám"),
        ("1.234.567", "1.234.567"),
        ("1.2.3", "một chấm hai chấm ba"),
        ("V2.0", "phiên bản hai chấm không"),
        ("ĐHQG", "Đại học Quốc gia"),
        ("ăn ko", "ăn không"),
        ("A+B", "A cộng B"),
        ("v.v. và", "vân vân và"),
    ],
)
def test_what_is_not_a_quantity(text: str, said: str) -> None:
    assert BOOK.apply(text) == said


def test_letters_have_vietnamese_names() -> None:
    assert spelled("USB") == "u ét bê"
