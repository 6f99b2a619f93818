"""Vietnamese numbers in words, northern standard: nghìn, linh and phẩy; mốt, tư and lăm behind mươi.

Rules: 1 is "mốt" after mươi (21) but "một" after mười (11); 4 is "tư" after mươi (24) but "bốn" after mười (14); 5 is
"lăm" after mười or mươi; a zero in the tens is "linh"; a group below a larger one names its hundreds even if there are
none ("không trăm"). num2words 0.5.14 gives "hai nghìn lẻ hai mươi bốn" for 2024, hence our own.
"""

_ONES = "không một hai ba bốn năm sáu bảy tám chín".split()
_AFTER_TENS = {1: "mốt", 4: "tư", 5: "lăm"}
_SCALES = ("", " nghìn", " triệu", " tỷ", " nghìn tỷ")
LONGEST = 3 * len(_SCALES)
"""Most digits a number has that is said as a quantity; longer ones are said digit by digit."""


def cardinal(figures: str) -> str:
    """`figures`, ASCII digits only: `105` is "một trăm linh năm"; over LONGEST digits, each by itself."""
    figures = figures.lstrip("0") or "0"
    if len(figures) > LONGEST:
        return digits(figures)
    value = int(figures)
    if value == 0:
        return _ONES[0]
    parts: list[str] = []
    for scale in range(len(_SCALES) - 1, -1, -1):
        group = value // 1000**scale % 1000
        if group:
            parts.append(_below_thousand(group, inner=bool(parts)) + _SCALES[scale])
    said = " ".join(parts)
    # 10^12 and 10^9 together share one "tỷ": một nghìn hai trăm tỷ
    return said.replace(" nghìn tỷ ", " nghìn ", 1) if " nghìn tỷ " in said and said.count("tỷ") > 1 else said


def _below_thousand(value: int, *, inner: bool) -> str:
    """A group of three digits; `inner`: a larger group came before it."""
    hundreds, rest = divmod(value, 100)
    if not hundreds and not inner:
        return _below_hundred(rest)
    said = f"{_ONES[hundreds]} trăm"
    if rest == 0:
        return said
    return f"{said} linh {_ONES[rest]}" if rest < 10 else f"{said} {_below_hundred(rest)}"


def _below_hundred(value: int) -> str:
    tens, ones = divmod(value, 10)
    if tens == 0:
        return _ONES[ones]
    if tens == 1:
        return "mười" + (f" {'lăm' if ones == 5 else _ONES[ones]}" if ones else "")
    return f"{_ONES[tens]} mươi" + (f" {_AFTER_TENS.get(ones, _ONES[ones])}" if ones else "")


def ordinal(figures: str) -> str:
    """`figures`, ASCII digits only, behind "thứ": nhất, hai, ba, tư, năm …"""
    return {"1": "nhất", "4": "tư"}.get(figures.lstrip("0"), cardinal(figures))


def digits(figures: str) -> str:
    """Each digit by itself: `090` is "không chín không"."""
    return " ".join(_ONES[int(figure)] for figure in figures)


def decimal(whole: str, fraction: str) -> str:
    """`whole` and `fraction`, ASCII digits only: "ba phẩy mười bốn"; over two digits or a leading zero, one by one."""
    behind = digits(fraction) if len(fraction) > 2 or fraction[0] == "0" else cardinal(fraction)
    return f"{cardinal(whole or '0')} phẩy {behind}"


def number(written: str) -> str:
    """A number as Vietnamese writes it: points between thousands, a comma before decimals: `1.234,5`.

    Commas between thousands (`1,234,567`, `50,000`) are understood where they cannot be anything else, and so is a
    decimal point (`3.5`). A whole number with a leading zero is a code, and is said digit by digit.
    """
    whole, fraction = parts(written)
    if fraction:
        return decimal(whole, fraction)
    return digits(whole) if len(whole) > 1 and whole[0] == "0" else cardinal(whole)


def parts(written: str) -> tuple[str, str]:
    """(whole, fraction) of a number as Vietnamese writes it, each ASCII digits only; the fraction may be empty."""
    first = next((mark for mark in written if mark in ".,"), "")
    if not first:
        return written, ""
    other = "," if first == "." else "."
    whole, _, fraction = written.partition(other)
    groups = whole.split(first)
    grouped = all(len(group) == 3 for group in groups[1:]) and 0 < len(groups[0]) <= 3 and groups[0] != "0"
    if grouped and (first == "." or len(groups) > 2 or fraction or groups[1] == "000"):
        return "".join(groups), fraction
    return groups[0], "".join(groups[1:]) + fraction
