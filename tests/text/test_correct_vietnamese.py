"""Vietnamese: those with a twist; the plain ones are golden rows."""

import pytest

from voxgate.text.correct_edits import replaced
from voxgate.text.correct_vietnamese import capitals, cardinal, fillers, numbers, repetitions


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("mười", 10),
        ("mười lăm", 15),
        ("hai mươi", 20),
        ("hai mươi mốt", 21),
        ("hai mươi tư", 24),
        ("một trăm", 100),
        ("một trăm linh một", 101),
        ("chín trăm lẻ chín", 909),
        ("hai trăm mười", 210),
        ("một nghìn", 1000),
        ("hai nghìn không trăm hai mươi sáu", 2026),
        ("hai nghìn linh năm", 2005),
        ("ba mươi ngàn", 30_000),
        ("năm trăm năm mươi lăm nghìn năm trăm năm mươi lăm", 555_555),
        ("mười mươi", None),
        ("hai mươi năm", None),
        ("mười một mốt", None),
        ("trăm", None),
        ("không trăm", None),
        ("hai trăm năm", None),
        ("nghìn lẻ một", None),
        ("hai nghìn năm", None),
        ("linh năm", None),
        ("", None),
    ],
)
def test_cardinals(words: str, value: int | None) -> None:
    assert cardinal(words.split()) == value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("có hai mươi người", "có 20 người"),
        ("có mười người", "có mười người"),
        ("hết hai mươi lăm phần trăm", "hết 25%"),
        ("hết hai mươi năm", "hết 20 năm"),
        ("vào năm một nghìn chín trăm bảy mươi lăm", "vào năm 1975"),
        ("có một nghìn chín trăm bảy mươi lăm", "có 1.975"),
        ("hai phẩy hai mươi lăm", "hai phẩy hai mươi lăm"),
        ("có hai mươi mấy người", "có hai mươi mấy người"),
        ("gọi không chín không một hai ba bốn năm sáu bảy", "gọi 0901234567"),
        ("một hai ba bốn năm sáu bảy tám chín", "một hai ba bốn năm sáu bảy tám chín"),
        ("rõ mười mươi", "rõ mười mươi"),
    ],
)
def test_numbers(text: str, wanted: str) -> None:
    assert replaced(text, numbers(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ừm.", "Ừm."),
        ("Ừm. Vâng.", "Vâng."),
        ("Vâng, ừm.", "Vâng."),
        ("tôi ừm nghĩ", "tôi nghĩ"),
        ("đi, ờ, tôi không đi", "đi, tôi không đi"),
        ("Ờ, anh nói đúng", "Ờ, anh nói đúng"),
        ("Thế à, anh?", "Thế à, anh?"),
        ("UM và tôi", "UM và tôi"),
    ],
)
def test_fillers(text: str, wanted: str) -> None:
    assert replaced(text, fillers(text)) == wanted


def test_only_function_words_are_said_once() -> None:
    text = "và và xanh xanh những những từ từ, Của Của"
    assert replaced(text, repetitions(text)) == "và xanh xanh những từ từ, Của Của"


def test_capitals() -> None:
    text = "hà nội, tp. huế và đà nẵng. đẹp lắm. HÀ NỘI"
    assert replaced(text, capitals(text)) == "Hà Nội, tp. huế và Đà Nẵng. Đẹp lắm. HÀ NỘI"
    assert replaced(text, capitals(text, continues=True)).startswith("Hà Nội")
    assert replaced("và tôi", capitals("và tôi", continues=True)) == "và tôi"
