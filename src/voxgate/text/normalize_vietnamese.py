"""Vietnamese for speech, level `basic`: numbers, money, units, dates, times and titles in words.

Points between thousands and a comma before decimals, day before month, `17h30` and `17:30` as times of day.
"""

import re

from voxgate.text.normalize_rules import Rule, Rulebook, alternatives, always, is_camel_case, merged, rule, word_before
from voxgate.text.normalize_vietnamese_numbers import cardinal, digits, number, ordinal
from voxgate.text.normalize_vietnamese_text import capital_rules, joined_rules, telephone_rules
from voxgate.text.normalize_vietnamese_text import sign_rules as beyond_sign_rules
from voxgate.text.normalize_vietnamese_text import word_rules as beyond_word_rules
from voxgate.text.normalize_vietnamese_units import CURRENCIES, CURRENCY_CODES, MAGNITUDES, PER, TITLES, UNITS

NUM = (
    r"(?:[0-9]{1,3}(?:\.[0-9]{3})++(?:,[0-9]++)?|[0-9]{1,3}(?:,[0-9]{3}){2,}+(?:\.[0-9]++)?"
    r"|[0-9]++(?:[.,][0-9]++)?)"
)
"""A number, as `number` reads it."""
END = r"(?![\w%°])(?![.,:/–-][0-9])"
"""Behind a number that stands for itself."""
_DASH = r"(?:\s?–\s?|-)"
_RANGE = rf"(?P<low>{NUM})(?:{_DASH}(?P<high>{NUM}))?"
_MAGNITUDE = rf"(?P<magnitude>{alternatives(MAGNITUDES)})"
_BEFORE_DATES = frozenset("ngày hôm sáng trưa chiều tối đêm lễ dịp từ đến mùng mồng rằm".split())
_SECOND_DATE = re.compile(r"(?:ngày|lễ|dịp|hôm)\s[0-9]{1,2}/[0-9]{1,2}(?:,| và| đến| -)\s\Z", re.IGNORECASE)
_BEFORE_NUMBERS = frozenset("số nhà hẻm ngõ ngách kiệt".split())
_BEFORE_SCORES = frozenset("số thắng thua hòa hoà".split())
_BEFORE_RANKS = frozenset("thứ tháng quý hạng".split())
_CALLED = frozenset("gọi số đài".split())


def _ends(found: re.Match[str]) -> str:
    """The one number of a match, or both ends of its range."""
    return f"{number(found['low'])} đến {number(found['high'])}" if found["high"] else number(found["low"])


def _month(written: str) -> str:
    """A month by its number; the fourth is "tư"."""
    return ordinal(written) if int(written) == 4 else cardinal(written)


def _lead(found: re.Match[str], word: str) -> str:
    """`word` and a space, unless it stands there already."""
    return "" if word_before(found.string, found.start()).lower() == word else f"{word} "


def _date(found: re.Match[str]) -> str | None:
    day, month, year = found["day"], found["month"], found["year"]
    if not (1 <= int(day) <= 31 and 1 <= int(month) <= 12):
        return None
    return f"{_lead(found, 'ngày')}{cardinal(day)} tháng {_month(month)} năm {cardinal(year)}"


def _month_year(found: re.Match[str]) -> str | None:
    if not 1 <= int(found["month"]) <= 12:
        return None
    return f"{_lead(found, 'tháng')}{_month(found['month'])} năm {cardinal(found['year'])}"


def _slashed(found: re.Match[str]) -> str | None:
    """`21/11` is a date behind "ngày" and where it can be no fraction; `3/4` is "ba phần tư"."""
    top, bottom = found["top"], found["bottom"]
    start = max(0, found.start() - 24)
    before = word_before(found.string, found.start()).lower()
    is_day = 1 <= int(top) <= 31 and 1 <= int(bottom) <= 12
    if before in _BEFORE_NUMBERS:
        return f"{cardinal(top)} trên {cardinal(bottom)}"
    if is_day and (before in _BEFORE_DATES or _SECOND_DATE.search(found.string, start, found.start())):
        return f"{cardinal(top)} tháng {_month(bottom)}"
    if bottom[0] == "0" or top[0] == "0" or (top, bottom) == ("24", "7"):
        return f"{cardinal(top)} trên {cardinal(bottom)}" if int(bottom) else None
    if int(top) < int(bottom):
        return f"{cardinal(top)} phần {'tư' if bottom == '4' else cardinal(bottom)}"
    if is_day and int(top) > int(bottom):
        return f"{_lead(found, 'ngày')}{cardinal(top)} tháng {_month(bottom)}"
    return f"{cardinal(top)} trên {cardinal(bottom)}"


def _clock(hour: str, minute: str | None, second: str | None = None) -> str | None:
    """A time of day; None where there is none such."""
    if int(hour) > 24 or int(minute or 0) > 59:
        return None
    said = f"{cardinal(hour)} giờ"
    if second:
        return f"{said} {cardinal(minute or '0')} phút {cardinal(second)} giây"
    if not minute or int(minute) == 0:
        return said
    return f"{said} {cardinal(minute)}" + (" phút" if int(minute) < 10 else "")


def _time(found: re.Match[str]) -> str | None:
    half = (found["half"] or "").lower()
    said = _clock(found["hour"], found["minute"], found["second"])
    if said is None or not half:
        return said
    hour = int(found["hour"]) % 12
    if half == "a":
        return f"{said} {'sáng' if 1 <= hour <= 11 else 'đêm'}"
    return f"{said} {'trưa' if hour == 0 else 'chiều' if hour < 6 else 'tối'}"


def _hours(found: re.Match[str]) -> str | None:
    first, last = _clock(found["hour"], found["minute"]), _clock(found["hour2"], found["minute2"])
    return f"{first} đến {last}" if first and last else None


def _money(found: re.Match[str]) -> str:
    """`$3.50`, `50.000đ`, `1,2 triệu USD`, `50k/người`."""
    scale = f" {MAGNITUDES[found['magnitude']]}" if found["magnitude"] else ""
    mark = found["currency"]
    name = CURRENCIES[CURRENCY_CODES.get(mark, mark)]
    per = f" một {PER[found['per']]}" if found["per"] else ""
    return f"{_ends(found)}{scale} {name}{per}"


def _measured(found: re.Match[str]) -> str:
    per = f" một {PER[found['per']]}" if found["per"] else ""
    return f"{_ends(found)} {UNITS[found['unit']]}{per}"


def _degrees(found: re.Match[str]) -> str:
    scale = {"C": " xê", "F": " ép"}.get(found["scale"] or "", "")
    return f"{_ends(found)} độ{scale}"


def _range(found: re.Match[str]) -> str | None:
    low, high = found["low"], found["high"]
    if (len(low) > 1 and low[0] == "0") or (len(low) == 3 and len(high) == 4):
        return None
    score = word_before(found.string, found.start()).lower() in _BEFORE_SCORES and len(low) < 3
    return f"{number(low)}{' ' if score else ' đến '}{number(high)}"


def _plain(found: re.Match[str]) -> str | None:
    written = found["number"]
    before = word_before(found.string, found.start())
    known = before.lower()
    if len(written) <= 3 and is_camel_case(before):
        return None  # a product's name: iPhone 15
    if known in _BEFORE_RANKS and written.isdigit() and len(written) < 3:
        return ordinal(written) if known in ("thứ", "hạng") else _month(written)
    if known in _CALLED and written in ("111", "112", "113", "114", "115", "119", "911"):
        return digits(written)
    return number(written)


_CURRENCY_BEHIND = alternatives([*CURRENCY_CODES, *(mark for mark in CURRENCIES if mark not in ("$",))])
_HOUR, _HOUR2 = r"(?P<hour>[01]?[0-9]|2[0-4])", r"(?P<hour2>[01]?[0-9]|2[0-4])"
_HALF = r"(?:\s?(?P<half>[AaPp])\.?[Mm](?!\w)\.?)"
_PER = rf"(?:/(?P<per>{alternatives(PER)})(?!\w))?"


def _figures() -> tuple[Rule, ...]:
    """The rules that begin with a number, the most particular first."""
    return (
        rule(rf"(?P<year>[12][0-9]{{3}})-(?P<month>[01][0-9])-(?P<day>[0-3][0-9]){END}", _date, near="-"),
        rule(
            r"(?P<day>[0-9]{1,2})(?P<mark>[/.-])(?P<month>[0-9]{1,2})(?P=mark)"
            rf"(?P<year>(?:1[0-9]|20)[0-9]{{2}}){END}",
            _date,
            near="/.-",
        ),
        rule(rf"(?P<month>[0-9]{{1,2}})[/-](?P<year>(?:19|20)[0-9]{{2}}){END}", _month_year, near="/-"),
        rule(
            rf"{_HOUR}(?:h|:|\sgiờ\s|\sgiờ)(?P<minute>[0-9]{{2}})?{_DASH}{_HOUR2}(?:h|:|\sgiờ)(?P<minute2>[0-9]{{2}})?(?!\w)",
            _hours,
            near="h:g",
        ),
        rule(rf"{_HOUR}:(?P<minute>[0-9]{{2}})(?::(?P<second>[0-5][0-9]))?(?:{_HALF}|{END})", _time, near=":"),
        rule(rf"{_HOUR}\s?[hH](?P<minute>[0-9]{{2}})?(?P<second>)(?P<half>)(?:['p](?!\w)|{END})", _time, near="hH"),
        rule(rf"(?P<hour>[0-9]{{1,2}})(?P<minute>)(?P<second>){_HALF}", _time, near="aApP"),
        rule(rf"{_RANGE}\s?%(?!\w)", lambda found: f"{_ends(found)} phần trăm", near="%"),
        rule(rf"{_RANGE}\s?°(?:\s?(?P<scale>[CF])(?!\w)|(?!\w))", _degrees, near="°"),
        rule(
            rf"{_RANGE}\s?(?:{_MAGNITUDE}\s?)?(?P<currency>{_CURRENCY_BEHIND})(?!\w){_PER}",
            _money,
            near="".join((*MAGNITUDES, *CURRENCY_CODES, *CURRENCIES)),
        ),
        rule(
            rf"{_RANGE}\s?(?:(?P<magnitude>k|K|tr|TR)|(?P<long>ngàn|nghìn|triệu|tỷ|tỉ))(?!\w){_PER}",
            lambda found: (
                f"{_ends(found)} {MAGNITUDES[found['magnitude']] if found['magnitude'] else found['long']}"
                + (f" một {PER[found['per']]}" if found["per"] else "")
            ),
            near="kKtTn",
        ),
        rule(
            rf"{_RANGE}[ -]?(?P<unit>{alternatives(UNITS)})(?:/(?P<per>{alternatives(PER)}))?(?![\w/])",
            _measured,
            near="".join(UNITS),
        ),
        rule(
            rf"(?P<low>[0-9]{{1,5}})\s?[x×]\s?(?P<high>[0-9]{{1,5}}){END}",
            lambda found: f"{number(found['low'])} nhân {number(found['high'])}",
            near="x×",
        ),
        rule(rf"(?P<top>[0-9]{{1,3}})/(?P<bottom>[0-9]{{1,3}}){END}", _slashed, near="/"),
        rule(
            rf"(?P<top>[0-9]{{1,3}}):(?P<bottom>[0-9]){END}",
            lambda found: f"{cardinal(found['top'])} trên {cardinal(found['bottom'])}",
            near=":",
        ),
        rule(rf"(?P<low>[0-9]{{1,4}}){_DASH}(?P<high>[0-9]{{1,4}}){END}", _range, near="-–"),
        rule(rf"(?P<number>{NUM}){END}(?!-[^\W\d_])", _plain),
    )


def _signs() -> dict[str, list[Rule]]:
    """The rules that begin with a mark."""
    money = rule(
        rf"(?P<currency>{alternatives(CURRENCIES)})\s?{_RANGE}(?:\s?{_MAGNITUDE}(?!\w))?{_PER}{END}",
        _money,
    )
    signs = {mark: [money] for mark in CURRENCIES if len(mark) == 1}
    for mark, word in (("-", "âm"), ("−", "âm"), ("+", "cộng"), ("±", "cộng trừ")):
        signs[mark] = [rule(rf"(?<![^\s(\[]){re.escape(mark)}(?=[$£€¥]?[0-9])", always(f"{word} "))]
    for mark in "~≈":
        signs[mark] = [rule(rf"(?<!\w){mark}\s?(?=[$£€¥]?[0-9])", always("khoảng "))]
    signs["#"] = [rule(r"(?<!\w)#(?=[0-9]{1,6}(?!\w))", always("số "))]
    return signs


def _titles() -> dict[str, list[Rule]]:
    words: dict[str, list[Rule]] = {}
    for short, title in TITLES.items():
        said = rule(rf"{re.escape(short)}(?:(?<=\.)\s?|\.?\s)(?=[^\W\d_a-z]|[0-9])", always(f"{title} "))
        first = re.match(r"\w+", short)
        if first:
            words.setdefault(first.group().lower(), []).append(said)
    for rules in words.values():
        rules.sort(key=lambda each: -len(each.pattern.pattern))
    return words


def rulebook(*, advanced: bool) -> Rulebook:
    """Vietnamese at one level."""
    if not advanced:
        return Rulebook(_figures(), words=_titles(), signs=_signs())
    return Rulebook(
        (*telephone_rules(), *_figures()),
        words=merged(beyond_word_rules(), _titles()),
        joined=joined_rules(),
        capitals=capital_rules(),
        signs=merged(beyond_sign_rules(), _signs()),
    )
