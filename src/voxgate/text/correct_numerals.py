"""What English number words are worth. Pure."""

from collections.abc import Sequence

UNITS = {w: n for n, w in enumerate("zero one two three four five six seven eight nine".split())}
TEENS = {
    w: n
    for n, w in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), start=10
    )
}
TENS = {w: n * 10 for n, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
ORDINALS = {
    w: n
    for n, w in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
} | {
    "thirtieth": 30,
    "fortieth": 40,
    "fiftieth": 50,
    "sixtieth": 60,
    "seventieth": 70,
    "eightieth": 80,
    "ninetieth": 90,
}
DECADES = {w[:-1] + "ies": n for w, n in TENS.items()}


def cardinal(words: Sequence[str]) -> int | None:
    """The number that `words` (small letters, without hyphens) say as a whole; None if they say none.

    >>> cardinal(["two", "hundred", "and", "five"])
    205
    """
    if not words:
        return None
    total, rest, limit = 0, list(words), 10**15
    while rest:
        part, used = _below_thousand(rest)
        if used == 0:
            return None
        rest = rest[used:]
        scale = SCALES.get(rest[0], 0) if rest else 1
        if scale == 0 or scale >= limit or (part == 0 and (total or scale > 1)):
            return None
        total += part * scale
        limit = scale
        rest = rest[1:]
        if rest and rest[0] == "and":
            rest = rest[1:]
            if not rest or _below_thousand(rest)[1] != len(rest):
                return None
    return total


def _below_thousand(words: Sequence[str]) -> tuple[int, int]:
    """The number that `words` begin with, and how many of them say it; 0 words where it is none."""
    value, used = below_hundred(words)
    if used and value and len(words) > used and words[used] == "hundred":
        value, used = value * 100, used + 1
        at = used + 1 if words[used : used + 1] == ["and"] else used
        more, taken = below_hundred(words[at:])
        if taken and more:
            return value + more, at + taken
    return value, used


def below_hundred(words: Sequence[str]) -> tuple[int, int]:
    """The number from 0 to 99 that `words` begin with, and how many of them say it; 0 words where it is none."""
    if not words:
        return 0, 0
    first = words[0]
    if first in TENS:
        unit = UNITS.get(words[1], 0) if len(words) > 1 else 0
        return (TENS[first] + unit, 2) if unit else (TENS[first], 1)
    for table in (TEENS, UNITS):
        if first in table:
            return table[first], 1
    return 0, 0
