"""English dates and times of day in words.

A time is "four thirty P-M": hyphenated capitals are letters to espeak-ng and so to Piper, whereas "A M" is read with
the article (measured 2026-11, espeak-ng 1.52).
"""

import re

from voxgate.text.normalize_english_numbers import cardinal, ordinal, year
from voxgate.text.normalize_rules import Rule, alternatives, rule, word_before

END = r"(?![\w%°])(?![.,:/–-][0-9])"
"""Behind a number that stands for itself."""
DASH = r"(?:\s?–\s?|-)"
"""Between the ends of a range."""

_MONTHS = "January February March April May June July August September October November December".split()
_MONTH_OF = {name: name for name in _MONTHS} | {name[:3]: name for name in _MONTHS} | {"Sept": "September"}
_MONTH = rf"(?P<month>{alternatives(_MONTH_OF)})"
_DAY = r"(?P<day>0?[1-9]|[12][0-9]|3[01])"
_YEAR = r"(?P<year>1[0-9]{3}|20[0-9]{2})"
_HALF = r"(?:\s?(?P<half>[AaPp])(?:\.[Mm](?:\.|(?!\w))|[Mm](?!\w)))"


def _date(day: str, month: int, written_year: str, *, day_first: bool) -> str | None:
    """A full date; None where the calendar has none such."""
    if not (1 <= month <= 12 and 1 <= int(day) <= 31):
        return None
    spoken_year = year(written_year if len(written_year) == 4 else f"20{written_year}")
    if day_first:
        return f"the {ordinal(day)} of {_MONTHS[month - 1]} {spoken_year}"
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {spoken_year}"


def _iso_date(found: re.Match[str], *, day_first: bool) -> str | None:
    date = _date(found["day"], int(found["month"]), found["year"], day_first=day_first)
    if date is None or not found["hour"]:
        return date
    time = _clock(found["hour"], found["minute"], "")
    return f"{date}, {time}{' U-T-C' if found['zulu'] else ''}" if time else None


def _numeric_date(found: re.Match[str], *, day_first: bool) -> str | None:
    """`11/21/2026`; in the other order where only that one is a date."""
    first, second = found["first"], found["second"]
    day, month = (first, second) if day_first else (second, first)
    if int(month) > 12:
        day, month = month, day
    return _date(day, int(month), found["year"], day_first=day_first)


def _month_day(found: re.Match[str]) -> str:
    month = _MONTH_OF[found["month"]]
    if found["whole_year"]:
        return f"{month} {year(found['whole_year'])}"
    said = f"{month} {ordinal(found['day'])}"
    if found["last"]:
        said += f" to {ordinal(found['last'])}"
    return f"{said}, {year(found['year'])}" if found["year"] else said


def _day_month(found: re.Match[str]) -> str:
    article = "" if word_before(found.string, found.start()).lower() == "the" else "the "
    said = f"{article}{ordinal(found['day'])} of {_MONTH_OF[found['month']]}"
    return f"{said} {year(found['year'])}" if found["year"] else said


def _clock(hour: str, minute: str | None, half: str | None) -> str | None:
    """A time of day; None where there is none such."""
    if int(hour) > (12 if half else 24) or int(minute or 0) > 59 or (half and int(hour) == 0):
        return None
    suffix = f" {half.upper()}-M" if half else ""
    said = cardinal(hour)
    if half and (not minute or minute == "00"):
        return said + suffix
    if not minute:
        return said
    if minute == "00":
        if int(hour) in (0, 24):
            return "midnight"
        return f"{said} o'clock" if int(hour) <= 12 else f"{said} hundred"
    return f"{said} {'oh ' if minute[0] == '0' else ''}{cardinal(minute)}{suffix}"


def _time(found: re.Match[str]) -> str | None:
    return _clock(found["hour"], found["minute"], found["half"])


def _exact_time(found: re.Match[str]) -> str | None:
    """`12:30:05`."""
    said = _clock(found["hour"], found["minute"], None)
    if said is None:
        return None
    second = found["second"].lstrip("0") or "0"
    half = f" {found['half'].upper()}-M" if found["half"] else ""
    return f"{said} and {cardinal(second)} {'second' if second == '1' else 'seconds'}{half}"


def _hours(found: re.Match[str]) -> str | None:
    """`9am-5pm`, `9-11 am`, `9:00–17:30`."""
    first = _clock(found["hour"], found["minute"], found["half"])
    last = _clock(found["hour2"], found["minute2"], found["half2"])
    return f"{first} to {last}" if first and last else None


_HOUR, _MINUTE = r"(?P<hour>[0-9]{1,2})", r":(?P<minute>[0-9]{2})"
_HOUR2, _MINUTE2 = r"(?P<hour2>[0-9]{1,2})", r":(?P<minute2>[0-9]{2})"


def figure_rules(*, day_first: bool) -> tuple[Rule, ...]:
    """The rules that begin with a number; `day_first`: 3/4 is the third of April."""
    return (
        rule(
            rf"{_YEAR}-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])"
            r"(?:[T ](?P<hour>[0-2][0-9]):(?P<minute>[0-5][0-9])(?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?P<zulu>Z)?)?" + END,
            lambda found: _iso_date(found, day_first=day_first),
            near="-",
        ),
        rule(
            r"(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)"
            rf"(?P<year>(?:1[0-9]|20)[0-9]{{2}}){END}",
            lambda found: _numeric_date(found, day_first=day_first),
            near="/.-",
        ),
        rule(
            rf"(?P<first>[0-9]{{1,2}})/(?P<second>[0-9]{{1,2}})/(?P<year>[0-9]{{2}}){END}",
            lambda found: _numeric_date(found, day_first=day_first),
            near="/",
        ),
        rule(rf"{_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?!\w)(?:,?\s{_YEAR}{END})?", _day_month, near="oJFMASOND"),
        rule(
            rf"{_HOUR}(?:{_MINUTE})?{_HALF}?{DASH}{_HOUR2}(?:{_MINUTE2})?{_HALF.replace('half', 'half2')}",
            _hours,
            near="aApP",
        ),
        rule(rf"{_HOUR}{_MINUTE}(?P<half>){DASH}{_HOUR2}{_MINUTE2}(?P<half2>){END}", _hours, near=":"),
        rule(rf"{_HOUR}{_MINUTE}:(?P<second>[0-5][0-9])(?:{_HALF}|{END})", _exact_time, near=":"),
        rule(rf"{_HOUR}{_MINUTE}(?:{_HALF}|{END})", _time, near=":"),
        rule(rf"{_HOUR}(?P<minute>){_HALF}", _time, near="aApP"),
        rule(rf"{_HOUR}h(?P<minute>[0-5][0-9])(?P<half>){END}", _time, near="h"),
    )


def word_rules() -> dict[str, list[Rule]]:
    """The rules that begin with the name of a month."""
    named = rule(
        rf"{_MONTH}\.?\s(?:(?P<whole_year>1[0-9]{{3}}|20[0-9]{{2}})|{_DAY}(?:st|nd|rd|th)?"
        rf"(?:{DASH}(?P<last>[12][0-9]|3[01]|[1-9])(?:st|nd|rd|th)?)?(?:,?\s{_YEAR})?){END}",
        _month_day,
    )
    return {name.lower(): [named] for name in _MONTH_OF}
