"""How one language's rules are laid over a text: one walk from left to right, each stretch said by at most one rule.

A rule is tried only where its kind of token begins, so ordinary words cost one dictionary look-up. What a rule has said
is not looked at again in the same walk; what no rule takes is copied whole, so that `2.1.3` is never read as `2.1`.
Every pattern is bounded or possessive: a walk takes time in proportion to the text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_TOKEN = re.compile(
    r"(?P<word>[^\W\d_][^\W_]*(?:['’][^\W\d_]+)*(?:-[0-9]\w*)*)"
    r"|(?P<figure>(?<!\w)(?<!\w[./])(?:(?<!\.)\.)?[0-9]\w*(?:[.,:/–-][0-9]\w*)*)"
    r"|(?P<sign>[^\w\s,.!?])"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One way of writing something, and how it is said."""

    pattern: re.Pattern[str]
    """Matched at the first character of a token."""
    say: Callable[[re.Match[str]], str | None]
    """The words; None where, seen closely, this is something else."""
    near: frozenset[str] = frozenset()
    """For numbers: one of these characters stands in the token, or one or two behind it. Empty: any may.

    Half of the time of a text full of numbers went into patterns that could not match.
    """


def rule(pattern: str, say: Callable[[re.Match[str]], str | None], flags: int = 0, *, near: str = "") -> Rule:
    """A rule from the source of its pattern; `near`: the characters of `Rule.near`."""
    return Rule(re.compile(pattern, flags), say, frozenset(near))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules of one language at one level, by the token they begin with. First come, first served."""

    figures: Sequence[Rule]
    """Tried where a number begins (`5`, `.5`)."""
    words: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    """Tried where this word begins; keys in lower case."""
    joined: Sequence[Rule] = ()
    """Tried where a word or number begins that goes on without a space: addresses."""
    capitals: Sequence[Rule] = ()
    """Tried where a word begins whose first two characters are capitals or figures."""
    signs: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    """Tried at this character."""

    def apply(self, text: str) -> str:
        """The text with everything said that a rule knows; the rest as it was."""
        said: list[str] = []
        copied = at = 0
        while token := _TOKEN.search(text, at):
            start, at = token.span()
            for candidate in self._candidates(token, text, at):
                found = candidate.pattern.match(text, start)
                words = candidate.say(found) if found else None
                if found and words is not None:
                    said += (text[copied:start], words)
                    copied = at = found.end()
                    break
        return "".join((*said, text[copied:])) if said else text

    def _candidates(self, token: re.Match[str], text: str, end: int) -> Sequence[Rule]:
        kind = token.lastgroup
        if kind == "sign":
            return self.signs.get(token.group(), ())
        joined = self.joined if self.joined and _JOINT.match(text, end) else ()
        if kind == "figure":
            near = text[token.start() : end + 2]
            if near[-1].isdigit() or near[-1] == "–":  # `2 1/2`, `5 – 10 km`: the token is only the beginning
                near = text[token.start() : end + 14]
            figures = [each for each in self.figures if not (each.near and each.near.isdisjoint(near))]
            return [*joined, *figures]
        word = token.group()
        known = self.words.get(word.lower(), ())
        capitals = self.capitals if len(word) > 1 and word[0].isupper() and not word[1].islower() else ()
        return (*joined, *known, *capitals) if joined or capitals else known


_JOINT = re.compile(r"[@._+:/-]\S")


def word_before(text: str, at: int) -> str:
    """The word that ends just before `at`, one space between at most; empty where something else is there."""
    found = _LAST_WORD.search(text, max(0, at - 40), at)
    return found.group(1) if found else ""


_LAST_WORD = re.compile(r"([^\W\d_][\w'’-]{0,38})\s?\Z")


def is_camel_case(word: str) -> bool:
    """Whether a capital stands inside the word, as in the names of products: `iPhone`, `PlayStation`."""
    return any(one.islower() and other.isupper() for one, other in pairwise(word))


def alternatives(choices: Sequence[str] | Mapping[str, object]) -> str:
    """A pattern that matches any of `choices`, the longest first."""
    return "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))


def always(words: str) -> Callable[[re.Match[str]], str]:
    """Says `words`, whatever was matched."""
    return lambda _found: words


def spaced(words: str) -> Callable[[re.Match[str]], str]:
    """Says `words`, with a space on each side where the match touches something else."""

    def say(found: re.Match[str]) -> str:
        text = found.string
        before = "" if found.start() == 0 or text[found.start() - 1].isspace() else " "
        after = "" if found.end() == len(text) or text[found.end()].isspace() else " "
        return f"{before}{words}{after}"

    return say


def merged(*books: Mapping[str, Sequence[Rule]]) -> dict[str, tuple[Rule, ...]]:
    """All rules by their key; those of an earlier book are tried first."""
    result: dict[str, tuple[Rule, ...]] = {}
    for book in books:
        for key, rules in book.items():
            result[key] = (*result.get(key, ()), *rules)
    return result
