import pytest

from voxgate.text.normalize_other import numbers_said


@pytest.mark.parametrize(
    ("base", "text", "said"),
    [
        ("fr", "21 chats", "vingt et un chats"),
        ("es", "1.234,5", "mil doscientos treinta y cuatro punto cinco"),
        ("ko", "21", "이십일"),
        ("zh", "21", "21"),
        ("fr", "1,2,3 et 2.1.3 et A4 et 007 et 1/2 et 5%", "1,2,3 et 2.1.3 et A4 et 007 et 1/2 et 5%"),
        ("fr", "1234567890123", "1234567890123"),
        ("fr", "rien", "rien"),
    ],
)
def test_free_standing_numbers(base: str, text: str, said: str) -> None:
    assert numbers_said(text, base) == said
