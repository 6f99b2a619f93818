"""English titles and streets: the abbreviations that only their surroundings tell apart."""

import re

from voxgate.text.normalize_rules import Rule, rule, word_before

_TITLES = {
    "mr": "Mister",
    "mrs": "Missus",
    "ms": "Miz",
    "dr": "Doctor",
    "prof": "Professor",
    "capt": "Captain",
    "sgt": "Sergeant",
    "lt": "Lieutenant",
    "col": "Colonel",
    "gen": "General",
    "gov": "Governor",
    "sen": "Senator",
    "rep": "Representative",
    "rev": "Reverend",
    "hon": "Honorable",
    "pres": "President",
    "mt": "Mount",
    "ft": "Fort",
    "st": "Saint",
}
_WITHOUT_STOP = frozenset(("mr", "mrs", "ms", "dr", "prof"))
_BEHIND_NAME = {
    "st": "Street",
    "dr": "Drive",
    "ave": "Avenue",
    "blvd": "Boulevard",
    "rd": "Road",
    "ln": "Lane",
    "jr": "Junior",
    "sr": "Senior",
}
_BEFORE_NAMES = frozenset("the a and or at in on of from to with by for near is was ask see visit call meet".split())

_AT_END = re.compile(r"[\"”')]?\s*\Z")


def _title(found: re.Match[str]) -> str:
    return _TITLES[found["title"].lower()]


def _behind_name(found: re.Match[str]) -> str | None:
    """`Main St.`, `King, Jr.`: a name stands before. The stop is kept where it ends the text."""
    text, short, start = found.string, found["short"].lower(), found.start()
    before = word_before(text, start - 2 if text[start - 2 : start] == ", " and short in ("jr", "sr") else start)
    if not before[:1].isupper() or before.lower() in _BEFORE_NAMES or before.lower() in _TITLES:
        return None
    behind = text[found.end() : found.end() + 2]
    if short in ("st", "dr") and re.match(r"\s[A-Z]", behind) and not re.search(r"[0-9]\w*\s\Z", _house(found, before)):
        return None  # a saint, a doctor
    return _BEHIND_NAME[short] + ("." if found["stop"] and _AT_END.match(text, found.end()) else "")


def _house(found: re.Match[str], name: str) -> str:
    """What stands before the name of a street: a number, if it is an address."""
    end = max(0, found.start() - 1 - len(name))
    return found.string[max(0, end - 8) : end]


def word_rules() -> dict[str, list[Rule]]:
    """The rules, by the abbreviation they begin with."""
    words: dict[str, list[Rule]] = {
        short: [rule(rf"(?P<short>{short.capitalize()})(?P<stop>\.|(?=,|\s*\Z))(?!\w)", _behind_name)]
        for short in _BEHIND_NAME
    }
    for short in _TITLES:
        stop = r"\.?" if short in _WITHOUT_STOP else r"\."
        words.setdefault(short, []).append(
            rule(rf"(?P<title>{short.capitalize()}){stop}(?=\s(?:[A-Z]|&|and\s))", _title)
        )
    return words
