"""English numbers that a recognizer left in words, written in figures. Pure.

Recognizers write "25 minutes" and "nineteen ninety five" in one breath. Figures are for what readers look up (money,
times, dates, percentages, phone numbers, years) and for counts from ten on; the rest stays in words, as newspapers
have it (AP Stylebook, "numerals"). Wherever the words can be read in two ways ("one twenty five", "ten to one",
"twenty second clip") they stay.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from voxgate.text.correct_edits import Edit
from voxgate.text.correct_numerals import DECADES, ORDINALS, SCALES, TEENS, UNITS, below_hundred, cardinal
from voxgate.text.correct_runs import NUMERALS, STARTS, TIMES_OVER, Run, Runs

_ANY = STARTS | ORDINALS.keys()
_LETTERS = re.compile(r"[a-z]+")
_MONTHS = frozenset("January February March April May June July August September October November December".split())
_YEAR_BEFORE = _MONTHS | frozenset(
    "in since year of by until till from before after during around early late mid spring summer autumn fall "
    "winter".split()
)
_CLOCK_BEFORE = frozenset("at by until till around before after about from to tomorrow today tonight past".split())
_CLOCK_AFTER = frozenset(
    "in on this tomorrow today tonight sharp and or to for when because every each with please at if so but until till "
    "then lah lor leh Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
)
_MERIDIEM = re.compile(r" (?P<dotted>[ap]\.m\b|[AP]\.M\b)| (?P<plain>[ap]m|[AP]M|[ap] m)(?![\w'’-])")
_MEASURED = frozenset(
    "minute minutes hour hours second seconds day days week weeks month months year years dollars percent people times "
    "miles points degrees vision".split()
)
"""Behind these, `twenty twenty` and `twenty fifteen` are no years."""
_CALLED = frozenset("call dial extension ext room flight code pin number route highway bus unit block gate".split())
_HOTLINES = frozenset({"911", "999", "995", "993", "112"})
_PHONE_SHAPES = frozenset({(3, 4), (3, 3, 4), (1, 3, 3, 4), (4, 4)})
_FRACTION = re.compile(r"(?:th|rd|lf|lve|rter)s\Z")
_AFTER_IDIOM = frozenset("past something odd fold noon midnight".split())
_BEFORE_IDIOM = frozenset("past catch point dollars euros".split())
_MONEY = {"dollars": "$", "euros": "€"}


def numbers(text: str) -> Iterator[Edit]:
    """What can be read in one way only, in figures."""
    if not _ANY.isdisjoint(_LETTERS.findall(text.lower())):
        yield from _Reader(text).edits()


class _Reader(Runs):
    """One text, word by word."""

    def edits(self) -> Iterator[Edit]:
        runs = list(self.runs())
        small = self.linked_to_small(runs)
        done = 0  # runs that an earlier edit took in
        for at, run in enumerate(runs):
            if run.first < done:
                continue
            edit = self._phone(runs, at) or self._one(run, runs[at + 1 : at + 4], plain=at not in small)
            if edit is not None:
                yield edit
                while done < len(self.tokens) and self.tokens[done].start < edit.end:
                    done += 1

    def _phone(self, runs: Sequence[Run], at: int) -> Edit | None:
        """Digits said one by one; groups of them with a comma between make one number."""
        groups: list[str] = []
        upto = at
        while upto < min(len(runs), at + 4):  # no number has more groups
            if upto > at and self.text[self.span(runs[upto - 1])[1] : self.span(runs[upto])[0]] != ", ":
                break
            digits = self._digits(self.words(runs[upto]))
            if len(digits) < 2:
                break
            groups.append(digits)
            upto += 1
        if not groups:
            return None
        shape = tuple(map(len, groups))
        if shape not in _PHONE_SHAPES:  # each number for itself
            groups, shape, upto = groups[:1], shape[:1], at + 1
        if self._joined_outside(Run(runs[at].first, runs[upto - 1].last)):
            return None
        digits = "".join(groups)
        before = self.before(runs[at]).lower()
        counted = all(int(b) - int(a) == 1 for a, b in pairwise(digits))
        words = self.words(runs[at])
        if words[1] in ("oh", "o") and self._clock(runs[at]):
            return None
        enough = len(digits) >= 4 and not counted
        named = len(digits) == 3 and (digits in _HOTLINES or before in _CALLED or words[1] in ("oh", "o"))
        if not (enough or named or (len(digits) >= 3 and before in _CALLED)) or max(shape) < 3:
            return None
        return Edit(self.span(runs[at])[0], self.span(runs[upto - 1])[1], "-".join(groups), "number")

    def _digits(self, words: Sequence[str]) -> str:
        """The figures of words that are digits only; nothing if some are not."""
        figures, times = "", 1
        for word in words:
            if word in TIMES_OVER:
                times = TIMES_OVER[word]
                continue
            figure = UNITS.get(word, 0 if word in ("oh", "o") else None)
            if figure is None:
                return ""
            figures += str(figure) * times
            times = 1
        return figures

    def _joined_outside(self, run: Run) -> bool:
        """Whether figures, a hyphen or a scale beside the run make it part of something else."""
        if run.first > 0:
            previous, gap = self.tokens[run.first - 1], self.gap(run.first - 1)
            if gap == "-" or (gap == " " and (previous.word.isdigit() or previous.lower in NUMERALS)):
                return True
            if gap == " " and previous.lower == "and" and self._counts_on(run.first - 2):
                return True
        if run.last < len(self.tokens):
            following, gap = self.tokens[run.last], self.gap(run.last - 1)
            dated = self.tokens[run.last - 1].lower in ORDINALS  # a year may follow
            if gap == " " and not dated and (following.word.isdigit() or following.lower in NUMERALS):
                return True
            if gap == "-":
                inner = {self.gap(at) for at in range(run.first, run.last - 1)}
                return " " in inner or following.lower in _AFTER_IDIOM or following.lower in NUMERALS
        return False

    def _counts_on(self, at: int) -> bool:
        """Whether `and` behind the token at `at` goes on with its number: `a hundred and`, not `between … and`."""
        if at < 0 or not (self.tokens[at].lower in ("hundred", "dozen") or self.tokens[at].lower in SCALES):
            return False
        while at > 0 and self.tokens[at].lower in NUMERALS:
            at -= 1
        return self.tokens[at].lower != "between"

    def _one(self, run: Run, later: Sequence[Run], *, plain: bool) -> Edit | None:
        """What one run says; `later`: the next runs, `plain`: whether a mere count may become figures."""
        tokens = self.tokens[run.first : run.last]
        begins = self.begins(run)
        if any(token.word != token.lower for token in tokens[1 if begins else 0 :]):
            return None  # capitals: a name
        if self._joined_outside(run):
            return None
        following = self.after(run)
        if begins and following[:1].isupper() and following != "PM" and following != "AM":
            return None  # Twelve Angry Men
        return (
            self._ordinal(run, begins)
            or self._decimal(run, later)
            or self._clock(run)
            or self._year(run)
            or self._count(run, later, begins=begins, plain=plain)
        )

    def _ordinal(self, run: Run, begins: bool) -> Edit | None:
        words = self.words(run)
        unit = ORDINALS.get(words[-1])
        if unit is None:
            return None
        month = self.before(run)
        following = self.after(run)
        after_that = self.near(run.last + 1, gap=run.last)
        dated = month in _MONTHS and not (month in ("May", "March") and run.first == 1)
        dated = dated or (following == "of" and after_that in _MONTHS)
        hyphened = len(words) == 2 and self.gap(run.first) == "-"
        ahead = cardinal(words[:-1]) if len(words) > 1 else 0
        if ahead is None or (len(words) > 1 and (ahead % 10 or unit > 9)) or (begins and not dated):
            return None
        value = ahead + unit
        aged = following == "century" and value > 9
        exact = len(words) > 1 and (words[-1] != "second" or hyphened) and "and" not in words and value < 100
        if not (exact or aged or (dated and value <= 31)) or _FRACTION.search(following):
            return None
        ending = "th" if value // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
        return Edit(*self.span(run), f"{value}{ending}", "number")

    def _decimal(self, run: Run, later: Sequence[Run]) -> Edit | None:
        """`three point one four`, and what follows it: million, percent, dollars."""
        whole = cardinal(self.words(run))
        if whole is None or self.after(run) != "point" or not later:
            return None
        said, last = str(whole), run
        for tail in later:
            if tail.first != last.last + 1 or self.after(last) != "point" or self.gap(tail.first - 1) != " ":
                break
            words = self.words(tail)
            scaled = words[-1] if words[-1] in SCALES and words[-1] != "thousand" else ""
            digits = self._digits(words[:-1] if scaled else words)
            if not digits or (len(digits) > 1 and self.before(run) == "at"):
                return None
            said, last = f"{said}.{digits}", tail
            if scaled:
                return self._measured(run.first, last.last, f"{said} {scaled}")
        if last is run or (self.before(run).lower() == "at" and whole == 1):
            return None
        return self._measured(run.first, last.last, said)

    def _measured(self, first: int, last: int, said: str) -> Edit:
        """`said` with the unit behind it that has a sign."""
        start, end = self.tokens[first].start, self.tokens[last - 1].end
        unit = self.near(last, gap=last - 1)
        if unit in _MONEY:
            return Edit(start, self.tokens[last].end, f"{_MONEY[unit]}{said}", "number")
        if unit == "percent":
            return Edit(start, self.tokens[last].end, f"{said}%", "number")
        if unit == "per" and self.near(last + 1, gap=last) == "cent":
            return Edit(start, self.tokens[last + 1].end, f"{said}%", "number")
        return Edit(start, end, said, "number")

    def _clock(self, run: Run) -> Edit | None:
        words = self.words(run)
        hour = UNITS.get(words[0]) or TEENS.get(words[0], 0)
        if not 1 <= hour <= 12:
            return None
        minutes = self._minutes(words[1:])
        if minutes is None:
            return None
        shown = f"{hour}:{minutes:02d}" if len(words) > 1 else str(hour)
        start, end = self.span(run)
        before, following = self.before(run).lower(), self.after(run)
        half = _MERIDIEM.match(self.text, end)
        if half:
            verb = (half["plain"] or "").lower() in ("am", "a m") and len(words) == 1 and before not in _CLOCK_BEFORE
            if not verb:
                spaced = half["plain"] is not None and " " in half["plain"]
                tail = f" {half['plain'][0]}m" if spaced else ""
                return Edit(start, half.end() if spaced else end, shown + tail, "number")
        if len(words) > 1 and before in _CLOCK_BEFORE - {"past", "to", "about"}:
            ends = not self.text[end : end + 1] or self.text[end] in ",.?!;:"
            if ends or following in _CLOCK_AFTER:
                return Edit(start, end, shown, "number")
        return None

    def _minutes(self, words: Sequence[str]) -> int | None:
        if not words:
            return 0
        if words[0] in ("oh", "o"):
            return UNITS.get(words[1]) if len(words) == 2 else None
        value, used = below_hundred(words)
        return value if used == len(words) and 10 <= value < 60 else None

    def _year(self, run: Run) -> Edit | None:
        words = self.words(run)
        before, following = self.before(run), self.after(run)
        if len(words) < 2 or following.lower() in _MEASURED:
            return None
        dated = before in _YEAR_BEFORE or before.lower() in _YEAR_BEFORE
        if words[:2] == ["two", "thousand"]:
            rest = cardinal(words[3:] if words[2:3] == ["and"] else words[2:]) if len(words) > 2 else 0
            ends = self.text[self.span(run)[1] :][:1] in ("", ".", ",", "?", "!")
            if dated and rest is not None and rest < 100 and (rest or ends) and not following.endswith("s"):
                return Edit(*self.span(run), str(2000 + rest), "number")
            return None
        if words == ["twenty", "twenty"] and self.gap(run.first) == "-":
            return None  # eyesight, or cricket
        century, used = below_hundred(words[:1])
        rest_words = words[used:]
        if not (16 <= century <= 20 or (dated and 10 <= century < 16)) or not used:
            return None
        if len(rest_words) == 1 and rest_words[0] in DECADES:
            return Edit(*self.span(run), f"{century}{DECADES[rest_words[0]]}s", "number")
        if rest_words[0] in ("oh", "o") and len(rest_words) == 2:
            return Edit(*self.span(run), f"{century}0{UNITS[rest_words[1]]}", "number")
        value, taken = below_hundred(rest_words)
        if taken != len(rest_words) or value < 10 or (century == 20 and words[0] == "twenty" and following == "vision"):
            return None
        return Edit(*self.span(run), f"{century}{value}", "number")

    def _count(self, run: Run, later: Sequence[Run], *, begins: bool, plain: bool) -> Edit | None:
        words = self.words(run)
        value = cardinal(words)
        if value is None:
            return None
        following, before = self.after(run), self.before(run).lower()
        unit_first = run.last
        scale = words[-1] if words[-1] in ("million", "billion", "trillion") else ""
        said = f"{value // SCALES[scale]:,} {scale}" if scale else f"{value:,}"
        sign = _MONEY.get(following, "")
        if sign and value != 1:
            return self._money(run, f"{sign}{said}", "" if scale else sign)
        if (unit := self._unit_ahead(run, later)) is not None:
            return Edit(*self.span(run), f"{unit}{said}", "number")
        percent = following == "percent" or (following == "per" and self.near(unit_first + 1, gap=unit_first) == "cent")
        if percent:
            return self._measured(run.first, run.last, said)
        if value < 10 or not plain or before in _BEFORE_IDIOM or following.lower() in _AFTER_IDIOM | {"point"}:
            return None
        if _FRACTION.search(following) or (before == "to" and self.tokens[run.first - 2].lower == "quarter"):
            return None
        if begins and not self._alone(run):
            return None
        return Edit(*self.span(run), said, "number")

    def _unit_ahead(self, run: Run, later: Sequence[Run]) -> str | None:
        """The sign that the first number of a range takes from the second: `five to ten dollars`, `… percent`."""
        if not later or cardinal(self.words(later[0])) is None:
            return None
        between = self.text[self.span(run)[1] : self.span(later[0])[0]]
        if between not in (" to ", " or ") and not (between == " and " and self.before(run) == "between"):
            return None
        unit = self.after(later[0])
        return _MONEY.get(unit, "" if unit == "percent" else None)

    def _money(self, run: Run, shown: str, sign: str) -> Edit:
        """Dollars, and the cents said with them."""
        start, end = self.tokens[run.first].start, self.tokens[run.last].end
        at = run.last + 1
        joint = self.near(at, gap=at - 1) == "and"
        at += joint
        last = at
        while last < len(self.tokens) and self.tokens[last].lower in STARTS and self.gap(last - 1) in (" ", "-"):
            last += 1
        cents = cardinal([token.lower for token in self.tokens[at:last]]) if sign and last > at else None
        unit = self.near(last, gap=last - 1)
        if cents is not None and cents < 100 and unit in ("cents", "cent"):
            return Edit(start, self.tokens[last].end, f"{shown}.{cents:02d}", "number")
        if cents is not None and 10 <= cents < 100 and not joint and not unit:
            return Edit(start, self.tokens[last - 1].end, f"{shown}.{cents}", "number")
        return Edit(start, end, shown, "number")

    def _alone(self, run: Run) -> bool:
        """Whether the sentence is an answer: the number and at most one more word."""
        for at in range(run.last, min(run.last + 2, len(self.tokens) + 1)):
            if at == len(self.tokens) or re.match(r"[.?!]", self.gap(at - 1)):
                return True
        return False
