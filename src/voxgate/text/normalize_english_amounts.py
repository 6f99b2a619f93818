"""English amounts in words: money, measures, shares, ranges, ranks and bare numbers."""

import re
from collections.abc import Callable

from voxgate.text.normalize_english_dates import DASH, END
from voxgate.text.normalize_english_numbers import cardinal, digits, number, ordinal, plural, year
from voxgate.text.normalize_english_units import CURRENCIES, CURRENCY_CODES, MAGNITUDES, PER, UNITS
from voxgate.text.normalize_rules import Rule, alternatives, always, is_camel_case, rule, word_before

NUM = r"(?:[0-9]{1,3}(?:,[0-9]{3})++(?:\.[0-9]++)?|[0-9]++(?:\.[0-9]++)?|\.[0-9]++)"
"""A number, as `number` reads it."""
_RANGE = rf"(?P<low>{NUM})(?:{DASH}(?P<high>{NUM}))?"
_MAGNITUDE = r"(?P<magnitude>thousand|million|billion|trillion|[kKMBT]|bn|mn|tn)"

_QUANTITIES = frozenset("people men women children feet more percent million billion thousand hundred dozen".split())
_NO_PLURALS = frozenset("was is has as this its his us versus plus yes thus perhaps always".split())
_DECADE_OWNERS = frozenset("the early mid late his her their my our your".split())
_EMERGENCY = frozenset(("911", "112", "999", "113", "995"))


def _counted(written: str, one: str, many: str) -> str:
    return f"{number(written)} {one if written == '1' else many}"


def _ends(found: re.Match[str]) -> str:
    """The one number of a match, or both ends of its range."""
    return f"{number(found['low'])} to {number(found['high'])}" if found["high"] else number(found["low"])


def _describes(found: re.Match[str]) -> bool:
    """Whether an amount stands before a noun (`a $5 bill`): its unit is then in the singular."""
    text, end = found.string, found.end()
    return word_before(text, found.start()).lower() in ("a", "an") and bool(re.match(r" [a-z]", text[end : end + 2]))


def _money(found: re.Match[str]) -> str:
    one, many, cent, cents = CURRENCIES[found["currency"]]
    low, magnitude = found["low"], found["magnitude"]
    per = f" per {PER[found['per']]}" if found["per"] else ""
    whole, _, fraction = low.replace(",", "").partition(".")
    if cents and len(fraction) == 2 and not found["high"] and not magnitude:
        major = _counted(whole.lstrip("0") or "0", one, many)
        minor = _counted(fraction.lstrip("0") or "0", cent, cents)
        if fraction == "00":
            return major + per
        return (f"{major} and {minor}" if whole.strip("0") else minor) + per
    scale = f" {MAGNITUDES.get(magnitude, magnitude)}" if magnitude else ""
    single = _describes(found) or (low == "1" and not scale and not found["high"])
    return f"{_ends(found)}{scale} {one if single else many}{per}"


def _coded_money(found: re.Match[str]) -> str:
    one, many, _, _ = CURRENCIES[CURRENCY_CODES[found["code"]]]
    magnitude = found["magnitude"]
    scale = f" {MAGNITUDES.get(magnitude, magnitude)}" if magnitude else ""
    return f"{number(found['low'])}{scale} {one if found['low'] == '1' and not scale else many}"


def _measured(found: re.Match[str]) -> str | None:
    """`5 km`, `5-10 kg`, `100 km/h`, `5-km`, and what only looks like seconds: `the 1990s`."""
    low, high, unit, space = found["low"], found["high"], found["unit"], found["space"]
    if unit in ("s", "g", "B") and not space and _is_model(found.string, found.start()):
        return None
    if unit == "s" and not space and not high and re.fullmatch(r"1[0-9]{2}0|20[0-9]0|[2-9]0", low):
        if len(low) == 4:
            return plural(year(low))
        if low >= "50" or word_before(found.string, found.start()).lower() in _DECADE_OWNERS:
            return plural(cardinal(low))
    if unit == "B" and not space:
        return None
    one, many = UNITS[unit]
    single = space == "-" or (low == "1" and not high) or _describes(found)
    said = f"{_ends(found)}{'-' if space == '-' else ' '}{one if single else many}"
    return f"{said} per {PER[found['per']]}" if found["per"] else said


def _degrees(found: re.Match[str]) -> str:
    amount = _ends(found)
    scale = {"C": " Celsius", "F": " Fahrenheit"}.get(found["scale"] or "", "")
    return f"{amount} {'degree' if amount == 'one' or _describes(found) else 'degrees'}{scale}"


def _share(top: str, bottom: str) -> str:
    """`3`, `4`: "three quarters"."""
    one, many = {"2": ("half", "halves"), "4": ("quarter", "quarters")}.get(
        bottom, (ordinal(bottom), plural(ordinal(bottom)))
    )
    return f"{cardinal(top)} {one if top == '1' else many}"


def _mixed(whole: str, top: str, bottom: str) -> str:
    """`2`, `1`, `2`: "two and a half"."""
    share = _share(top, bottom)
    return f"{cardinal(whole)} and {'a' + share.removeprefix('one') if top == '1' else share}"


def _fraction(found: re.Match[str]) -> str | None:
    whole, top, bottom = found["whole"], found["top"], found["bottom"]
    if (top, bottom) in (("24", "7"), ("9", "11")) and not whole:
        return f"{cardinal(top)} {cardinal(bottom)}"
    if bottom in ("0", "1") or bottom[0] == "0" or top[0] == "0":
        return None
    if int(top) >= int(bottom) or (bottom in ("10", "100") and top != "1"):
        link = "out of" if int(top) <= int(bottom) else "over"
        return None if whole else f"{cardinal(top)} {link} {cardinal(bottom)}"
    return _mixed(whole, top, bottom) if whole else _share(top, bottom)


_GLYPHS = {
    **{"½": ("1", "2"), "⅓": ("1", "3"), "⅔": ("2", "3"), "¼": ("1", "4"), "¾": ("3", "4"), "⅕": ("1", "5")},
    **{"⅛": ("1", "8"), "⅜": ("3", "8"), "⅝": ("5", "8"), "⅞": ("7", "8")},
}
"""Fractions with a character of their own -> (numerator, denominator)."""


def _glyph(found: re.Match[str]) -> str:
    top, bottom = _GLYPHS[found["glyph"]]
    return _mixed(found["whole"], top, bottom) if found["whole"] else _share(top, bottom)


def _is_year(written: str) -> bool:
    return len(written) == 4 and "1100" <= written <= "2099"


def _range(found: re.Match[str]) -> str | None:
    low, high = found["low"], found["high"]
    if _is_year(low) and len(high) == 2:
        return f"{year(low)} to {cardinal(high)}"
    if (len(high) == 4 and len(low) == 3) or (len(low) > 1 and low[0] == "0"):
        return None  # a telephone number, a code
    say: Callable[[str], str] = year if _is_year(low) and _is_year(high) else number
    return f"{say(low)} to {say(high)}"


def _is_model(text: str, at: int) -> bool:
    """Whether the number at `at` belongs to a product's name (`iPhone 15`, `PlayStation 5`)."""
    return is_camel_case(word_before(text, at))


def _plain(found: re.Match[str]) -> str | None:
    """A number by itself: a year where four figures count nothing, else a quantity."""
    written, text = found["number"], found.string
    if len(written) <= 3 and _is_model(text, found.start()):
        return None
    if _is_year(written):
        behind = re.match(r"\s([a-z]{2,20})", text[found.end() : found.end() + 22])
        noun = behind.group(1) if behind else ""
        counts = noun in _QUANTITIES or (noun.endswith("s") and not noun.endswith("ss") and noun not in _NO_PLURALS)
        return number(written) if counts else year(written)
    if written in _EMERGENCY and word_before(text, found.start()).lower() in ("call", "dial", "called", "dialed"):
        return digits(written)
    return number(written)


def _scaled(found: re.Match[str]) -> str | None:
    screen = found.group() in ("2K", "4K", "8K")
    return None if screen else f"{number(found['low'])} {MAGNITUDES[found['magnitude']]}"


def _side(written: str) -> str:
    """The side of a picture: four figures in pairs, as people say them."""
    pairs = len(written) == 4 and written[0] != "0" and written[2] != "0"
    return year(written) if pairs else number(written)


MONEY = rule(
    rf"(?P<currency>{alternatives(CURRENCIES)})\s?(?P<low>{NUM})(?:{DASH}(?:(?P=currency))?(?P<high>{NUM}))?"
    rf"(?:\s?{_MAGNITUDE}(?!\w))?(?:/(?P<per>{alternatives(PER)}))?(?![\w%])(?![.,:/–-][0-9])",
    _money,
)
"""`$3.50`, `€5-10`, `S$1.2M`: the mark comes first."""

CODED_MONEY = rule(
    rf"(?P<code>{alternatives([code for code in CURRENCY_CODES if code.isascii()])})\s?(?P<low>{NUM})"
    rf"(?:\s?{_MAGNITUDE}(?!\w))?{END}",
    _coded_money,
)
"""`USD 5`: the code comes first."""


def figure_rules() -> tuple[Rule, ...]:
    """The rules that begin with a number, the most particular first."""
    return (
        rule(
            rf"(?P<top>[0-9]{{1,3}}):(?P<bottom>[0-9]){END}",
            lambda found: f"{cardinal(found['top'])} to {cardinal(found['bottom'])}",
            near=":",
        ),
        rule(
            rf"{_RANGE}\s?(?P<sign>[%‰])(?!\w)",
            lambda found: f"{_ends(found)} {'percent' if found['sign'] == '%' else 'per mille'}",
            near="%‰",
        ),
        rule(rf"{_RANGE}\s?°(?:\s?(?P<scale>[CF])(?!\w)|(?!\w))", _degrees, near="°"),
        rule(
            rf"(?P<low>{NUM})\s?(?:{_MAGNITUDE}\s)?(?P<code>{alternatives(CURRENCY_CODES)})(?!\w)",
            _coded_money,
            near="kKmMbBtT" + "".join(CURRENCY_CODES),
        ),
        rule(
            r"(?P<feet>[1-9])['′](?P<inches>[0-9]|1[01])(?:[\"″”]|(?![\w'′]))",
            lambda found: f"{cardinal(found['feet'])} foot {cardinal(found['inches'])}",
            near="'′",
        ),
        rule(
            rf"{_RANGE}(?P<space>[ -]?)(?P<unit>{alternatives(UNITS)})(?:/(?P<per>{alternatives(PER)}))?(?![\w/])",
            _measured,
            near="".join(UNITS),
        ),
        rule(rf"(?P<low>{NUM})(?P<magnitude>[kKMB]|bn)(?![\w-])", _scaled, near="kKMBb"),
        rule(rf"(?P<low>{NUM})x(?!\w)", lambda found: _counted(found["low"], "time", "times"), near="x"),
        rule(
            rf"(?P<low>[0-9]{{1,5}})\s?[x×]\s?(?P<high>[0-9]{{1,5}}){END}",
            lambda found: f"{_side(found['low'])} by {_side(found['high'])}",
            near="x×",
        ),
        rule(
            r"(?P<rank>[0-9]{1,3}(?:,[0-9]{3})++|[0-9]{1,15})(?:st|nd|rd|th)(?!\w)",
            lambda found: ordinal(found["rank"].replace(",", "")),
            near="td",
        ),
        rule(
            rf"(?:(?P<whole>[0-9]{{1,4}})[ ])?(?P<top>[0-9]{{1,3}})[/⁄](?P<bottom>[0-9]{{1,3}}){END}",
            _fraction,
            near="/⁄",
        ),
        rule(rf"(?P<whole>[0-9]{{1,6}})\s?(?P<glyph>{alternatives(_GLYPHS)})(?!\w)", _glyph, near="".join(_GLYPHS)),
        rule(rf"(?P<low>[0-9]{{1,4}}){DASH}(?P<high>[0-9]{{1,4}}){END}", _range, near="-–"),
        rule(
            rf"(?P<low>{NUM})-(?=(?:years?|months?|weeks?|days?|hours?|minutes?|seconds?|miles?|page|point|person|step|"
            r"way|inch|foot|star|bedroom)\b)",
            lambda found: f"{number(found['low'])}-",
            near="-",
        ),
        rule(rf"(?P<number>{NUM}){END}(?!-[^\W\d_])", _plain),
    )


_COUNTED = {"no": "number", "nos": "numbers", "p": "page", "pp": "pages", "fig": "figure", "vol": "volume"}


def _numbered(found: re.Match[str]) -> str:
    """`No. 5`, `p. 12`; capitalised where it is written so, which keeps the beginning of a sentence one."""
    word = _COUNTED[found["short"].lower()]
    return f"{word.capitalize() if found['short'][0].isupper() else word} "


def word_rules() -> dict[str, list[Rule]]:
    """The rules that begin with a letter: `S$5`, `No. 5`, `½`."""
    words = {mark[:-1].lower(): [MONEY] for mark in CURRENCIES if mark[-1] == "$" and len(mark) > 1}
    for short in _COUNTED:
        words[short] = [rule(rf"(?P<short>{short})\.\s?(?=[0-9])", _numbered, re.IGNORECASE)]
    for glyph in _GLYPHS:
        words[glyph] = [rule(rf"(?P<whole>)(?P<glyph>{glyph})(?!\w)", _glyph)]
    return words


def sign_rules() -> dict[str, list[Rule]]:
    """The rules that begin with a mark."""
    signs = {mark: [MONEY] for mark in CURRENCIES if len(mark) == 1}
    for mark, word in (("-", "minus"), ("−", "minus"), ("+", "plus"), ("±", "plus or minus")):
        signs[mark] = [rule(rf"(?<![^\s(\[]){re.escape(mark)}(?=[$£€¥]?\.?[0-9])", always(f"{word} "))]
    for mark in "~≈":
        signs[mark] = [rule(rf"(?<!\w){mark}\s?(?=[$£€¥]?\.?[0-9])", always("about "))]
    signs["#"] = [rule(r"(?<!\w)#(?=[0-9]{1,6}(?!\w))", always("number "))]
    for mark in "'’‘":
        signs[mark] = [rule(rf"(?<!\w){mark}(?P<tens>[2-9]0)s(?!\w)", lambda found: plural(cardinal(found["tens"])))]
    return signs
