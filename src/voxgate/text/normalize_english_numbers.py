"""English numbers in words, American usage: no "and" inside a number, "point" and single digits behind it.

Forms after the Chicago Manual of Style, 17th edition, chapter 9, read aloud: years in pairs from 1010 to 1999 and from
2010, "oh" for a zero inside a pair.
"""

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LONGEST = 3 * len(_SCALES)
"""Most digits a number has that is said as a quantity; longer ones are said digit by digit."""


def cardinal(figures: str) -> str:
    """`figures`, ASCII digits only: `1205` is "one thousand two hundred five"; over LONGEST digits, each by itself."""
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
            parts.append(_below_thousand(group) + _SCALES[scale])
    return " ".join(parts)


def _below_thousand(value: int) -> str:
    if value < 100:
        return _below_hundred(value)
    rest = f" {_below_hundred(value % 100)}" if value % 100 else ""
    return f"{_ONES[value // 100]} hundred{rest}"


def _below_hundred(value: int) -> str:
    if value < 20:
        return _ONES[value]
    return _TENS[value // 10] + (f"-{_ONES[value % 10]}" if value % 10 else "")


def ordinal(figures: str) -> str:
    """`figures`, ASCII digits only, as a rank: `21` is "twenty-first"."""
    words = cardinal(figures)
    at = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[at:]
    if last in _ORDINALS:
        return words[:at] + _ORDINALS[last]
    return words[:-1] + "ieth" if last.endswith("y") else words + "th"


def digits(figures: str) -> str:
    """Each digit by itself: `007` is "zero zero seven"."""
    return " ".join(_ONES[int(figure)] for figure in figures)


def year(figures: str) -> str:
    """Four ASCII digits as a year: `1905` is "nineteen oh five", `2005` "two thousand five"."""
    century, rest = int(figures[:2]), int(figures[2:])
    if century % 10 == 0 and rest < 10:
        return cardinal(figures)
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} {'oh ' if rest < 10 else ''}{_below_hundred(rest)}"


def number(written: str) -> str:
    """A number as English writes it, thousands commas and a decimal point allowed: `1,234.50`, `.5`.

    A whole number with a leading zero is a code, not a quantity, and is said digit by digit.
    """
    whole, point, fraction = written.replace(",", "").partition(".")
    if point:
        return f"{cardinal(whole or '0')} point {digits(fraction)}"
    return digits(whole) if len(whole) > 1 and whole[0] == "0" else cardinal(whole)


def plural(words: str) -> str:
    """The last word of a number as a plural: "nineteen nineties", "fifths"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")
