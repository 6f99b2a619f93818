"""English number words that stand together, and what stands around them. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from voxgate.text.correct_numerals import DECADES, ORDINALS, SCALES, TEENS, TENS, UNITS

STARTS = UNITS.keys() | TEENS.keys() | TENS.keys()
"""Words a number begins with."""
NUMERALS = STARTS | SCALES.keys() | {"hundred"} | DECADES.keys()
"""Words a number goes on with."""
TIMES_OVER = {"double": 2, "triple": 3}
"""`double five` is two figures."""
_LEADING = frozenset({"oh", "o", *TIMES_OVER})
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")
_LINK = re.compile(r"(?:,? (?:or|to|and|in|out of|by)|,)(?: |\Z)|-")


class Token(NamedTuple):
    """A word or a figure, as it is written and in small letters, and where it stands."""

    word: str
    lower: str
    start: int
    end: int


class Run(NamedTuple):
    """Number words with nothing but a space or a hyphen between them: tokens[first:last]."""

    first: int
    last: int


class Runs:
    """One text, word by word: where its numbers are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [Token(m[0], m[0].lower(), *m.span()) for m in _TOKEN.finditer(text)]

    def gap(self, at: int) -> str:
        """What stands between the token at `at` and the next one; nothing where there is no token."""
        if not 0 <= at < len(self.tokens) - 1:
            return ""
        return self.text[self.tokens[at].end : self.tokens[at + 1].start]

    def near(self, at: int, *, gap: int) -> str:
        """The word at `at` if only a space is at `gap`, else nothing."""
        return self.tokens[at].word if 0 <= at < len(self.tokens) and self.gap(gap) == " " else ""

    def before(self, run: Run) -> str:
        """The word a space before the run, or nothing."""
        return self.near(run.first - 1, gap=run.first - 1)

    def after(self, run: Run) -> str:
        """The word a space behind the run, or nothing."""
        return self.near(run.last, gap=run.last - 1)

    def words(self, run: Run) -> list[str]:
        """The words of the run, in small letters."""
        return [token.lower for token in self.tokens[run.first : run.last]]

    def span(self, run: Run) -> tuple[int, int]:
        """Where the run stands in the text."""
        return self.tokens[run.first].start, self.tokens[run.last - 1].end

    def begins(self, run: Run) -> bool:
        """Whether a sentence begins with the run."""
        start = self.tokens[run.first].start
        before = self.text[max(0, start - 3) : start].rstrip(' "“‘(')
        return run.first == 0 or before[-1:] in (".", "?", "!")

    def runs(self) -> Iterator[Run]:
        """Every run of the text; each as long as its words may belong together, and ended by an ordinal."""
        tokens = self.tokens
        at = 0
        while at < len(tokens):
            if not self._may_start(at):
                at += 1
                continue
            last = at + 1
            while last < len(tokens) and self.gap(last - 1) in (" ", "-") and self._goes_on(at, last):
                last += 1
                if tokens[last - 1].lower in ORDINALS:
                    break
            yield Run(at, last)
            at = last

    def _may_start(self, at: int) -> bool:
        word = self.tokens[at].lower
        if word in STARTS or word in ORDINALS:
            return True
        if word not in _LEADING:
            return False
        following = [token.lower for token in self.tokens[at + 1 : at + 4]]
        spaced = all(self.gap(at + n) == " " for n in range(3))
        if word in ("oh", "o") and len(following) == 3 and spaced:
            return all(each in UNITS for each in following)
        return word in TIMES_OVER and bool(following) and following[0] in UNITS and self.gap(at) == " "

    def _goes_on(self, first: int, at: int) -> bool:
        word, previous = self.tokens[at].lower, self.tokens[at - 1].lower
        if word in NUMERALS:
            return previous not in ORDINALS
        following = self.tokens[at + 1].lower if at + 1 < len(self.tokens) and self.gap(at) == " " else ""
        if word == "and":
            between = first > 0 and self.tokens[first - 1].lower == "between"
            return (
                (previous == "hundred" or previous in SCALES)
                and (following in STARTS or following in ORDINALS)
                and not between
            )
        if word in ("oh", "o"):
            return following in UNITS or (previous in UNITS and not self.near(at + 1, gap=at))
        if word in TIMES_OVER:
            return previous in UNITS and following in UNITS
        return word in ORDINALS and (previous in TENS or previous in ("hundred", "and"))

    def linked_to_small(self, runs: Sequence[Run]) -> set[int]:
        """Runs that stand in a list or a range with a number that stays in words: `nine or ten`, `one in ten`."""
        chained: set[int] = set()
        chain: list[int] = []
        stays = False
        for at, run in enumerate(runs):
            between = self.text[self.span(runs[at - 1])[1] : self.span(run)[0]] if at else ""
            if chain and not _LINK.fullmatch(between):
                chained |= set(chain) if stays else set()
                chain, stays = [], False
            chain.append(at)
            words = self.words(run)
            stays = stays or (len(words) == 1 and words[0] in UNITS)
        return chained | (set(chain) if stays else set())
