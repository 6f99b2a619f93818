"""Addresses of pages and people, said part by part; what the words for the marks are, a language says."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from voxgate.text.normalize_rules import Rule, rule

_TLD = (
    "com|org|net|info|gov|edu|mil|biz|io|ai|co|me|tv|app|dev|cloud|tech|online|shop|store|site|xyz|ly|gg|vn|sg|uk|us|"
    "eu|de|fr|es|it|jp|kr|cn|my|id|ph|th|in|au|ca|nz|br"
)
"""Endings that make `a.b` an address even without a scheme: the commonest of the root zone database (IANA, 2026-11)."""
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL}){{0,6}}?\.(?:{_TLD})"
_PATH = r"(?:/[\w.~%+/-]{0,300})?(?:\?[\w=&%.,+~;:-]{0,500})?(?:#[\w-]{0,100})?"
_UNJOINED_END = r"(?![\w@])(?!-\w)(?!\.[^\W_])"
_LONGEST_PATH = 40
"""Characters of a path that are read; nobody follows a longer one by ear, so the domain alone is said."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a language says the marks of an address, its numbers and its letters."""

    dot: str
    at: str
    slash: str
    dash: str
    underscore: str
    plus: str
    number: Callable[[str], str]
    """ASCII digits as a quantity."""
    digits: Callable[[str], str]
    """ASCII digits one by one."""
    letters: Callable[[str], str]
    """Letters one by one."""
    said: frozenset[str]
    """Endings that are said as words; the others are spelled."""


def say(spelling: Spelling, text: str, *, ending: bool = False) -> str:
    """Words, numbers and marks of a part of an address; `ending`: its last label is a domain's."""
    marks = {".": spelling.dot, "/": spelling.slash, "-": spelling.dash, "_": spelling.underscore}
    marks |= {"+": spelling.plus, "@": spelling.at}
    parts = re.findall(r"[0-9]+|[^\W\d_]+|[^\w]|_", text)
    words: list[str] = []
    for at, part in enumerate(parts):
        if part in marks:
            words.append(marks[part])
        elif part.isascii() and part.isdigit():
            words.append(spelling.number(part) if len(part) <= 2 and part[0] != "0" else spelling.digits(part))
        elif ending and at == len(parts) - 1 and len(part) <= 3 and part.lower() not in spelling.said:
            words.append(spelling.letters(part))
        elif part[0].isalpha():
            words.append(part)
    return " ".join(words)


def url(spelling: Spelling) -> Rule:
    """`example.com`, `www.example.com/docs`; a query and a fragment are left out, and so is `www`."""
    pattern = rf"(?:https?://)?(?:www\.)?(?P<domain>{_DOMAIN})(?::[0-9]{{1,5}})?(?P<path>{_PATH}){_UNJOINED_END}"
    return rule(pattern, lambda found: _url(spelling, found), re.IGNORECASE)


def _url(spelling: Spelling, found: re.Match[str]) -> str:
    said = say(spelling, found["domain"], ending=True)
    whole = found["path"]
    path = re.split(r"[?#]", whole)[0]
    bare = path.rstrip("/.")
    if bare and len(bare) <= _LONGEST_PATH:
        said += " " + say(spelling, bare)
    return said + ("." if whole.endswith(".") else "")


def email(spelling: Spelling) -> Rule:
    """`jane.doe@example.com`."""
    domain = rf"(?P<domain>{_LABEL}(?:\.{_LABEL}){{0,6}}\.[a-z]{{2,12}})"
    pattern = rf"(?:mailto:)?(?P<name>[\w.+-]{{1,64}})@{domain}{_UNJOINED_END}"
    return rule(
        pattern,
        lambda found: f"{say(spelling, found['name'])} {spelling.at} {say(spelling, found['domain'], ending=True)}",
        re.IGNORECASE,
    )


def word_rules_for_schemes(spelling: Spelling) -> dict[str, list[Rule]]:
    """`https://localhost:8080/x` and other addresses that only their scheme gives away, by the scheme."""
    pattern = rf"(?:https?|ftp|wss?)://(?:www\.)?(?P<domain>[^\W_][\w.-]{{0,100}}?)(?::[0-9]{{1,5}})?(?P<path>{_PATH})(?![\w:@-])(?!\.\w)"
    by_scheme = rule(pattern, lambda found: _url(spelling, found), re.IGNORECASE)
    return {scheme: [by_scheme] for scheme in ("http", "https", "ftp", "ws", "wss")}
