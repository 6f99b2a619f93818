import pytest

from voxgate.text.normalize_vietnamese import rulebook

BOOK = rulebook(advanced=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("31/12", "ngày ba mươi mốt tháng mười hai"),
        ("số 31/12", "số ba mươi mốt trên mười hai"),
        ("ngày 2/9 và 30/4", "ngày hai tháng chín và ba mươi tháng tư"),
        ("0h30", "không giờ ba mươi"),
        ("24h", "hai mươi tư giờ"),
        ("25h", "25h"),
        ("12 am", "mười hai giờ đêm"),
        ("8 giờ – 10 giờ", "tám giờ đến mười giờ"),
        ("5 – 10 km", "năm đến mười ki lô mét"),
        ("-10 °F", "âm mười độ ép"),
        ("1,5 tỷ đồng", "một phẩy năm tỷ đồng"),
        ("$1.5 tỷ", "một phẩy năm tỷ đô la"),
        ("010-020", "010-020"),
        ("PlayStation 5", "PlayStation 5"),
        ("thứ 7", "thứ bảy"),
        ("BS. hoa", "BS. hoa"),
    ],
)
def test_numbers_dates_and_titles(text: str, said: str) -> None:
    assert BOOK.apply(text) == said
