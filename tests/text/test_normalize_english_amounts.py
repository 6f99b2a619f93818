import pytest

from voxgate.text.normalize_english_amounts import CODED_MONEY, MONEY, figure_rules, sign_rules, word_rules
from voxgate.text.normalize_rules import Rulebook

BOOK = Rulebook(figure_rules(), words=word_rules(), capitals=(CODED_MONEY, MONEY), signs=sign_rules())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$1.01", "one dollar and one cent"),
        ("$1,000,000", "one million dollars"),
        ("an $8 hat", "an eight dollar hat"),
        ("$2T", "two trillion dollars"),
        ("¥1", "one yen"),
        ("EUR 1.5", "one point five euros"),
        ("3 – 5 km", "three to five kilometers"),
        ("1 ft", "one foot"),
        ("4-mile", "four-mile"),
        ("70s", "seventies"),
        ("20s", "twenty seconds"),
        ("my 20s", "my twenties"),
        ("iPhone 5s", "iPhone 5s"),
        ("0/5", "0/5"),
        ("10/10", "ten out of ten"),
        ("7/4", "seven over four"),
        ("1 3/4", "one and three quarters"),
        ("3¼", "three and a quarter"),
        ("01-02", "01-02"),
        ("1492 words", "one thousand four hundred ninety-two words"),
        ("1492 was", "fourteen ninety-two was"),
        ("dial 112", "dial one one two"),
        ("-.5", "minus zero point five"),
        ("a-5", "a-5"),
        ("5-a-side", "5-a-side"),
    ],
)
def test_amounts(text: str, said: str) -> None:
    assert BOOK.apply(text) == said
