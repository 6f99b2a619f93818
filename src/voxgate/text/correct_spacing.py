"""White space and doubled punctuation of recognizer text. Pure."""

import re
from collections.abc import Iterator

from voxgate.text.correct_edits import Edit

_SPACES = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r"(?<=[^\W_])\s+(?=[,.!?;]{1,2}(?:\s|$))")
_DOUBLED = re.compile(
    r"(?<![,.!?;])(?:(,)\s?(?:,\s?)*,|(?<=[^\W_])(\.)(?:\.|\s\.)(?![.\w])|(\?)\?+(?!!)|(!)!+(?!\?)|,(\.)(?=\s|$))"
)
_LEADING = re.compile(r"\s*[,.;:!?]\s+(?=[^\W_])")
_LATIN = "[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"
_TIGHT_COMMA = re.compile(rf",(?<={_LATIN}{{2}},)(?={_LATIN}{{2}})")
_TWO_MARKS = re.compile(r"[,.?!]\s?[,.?!]")


def spaces(text: str) -> Iterator[Edit]:
    """One space between words, none at the ends: right in every script."""
    for match in _SPACES.finditer(text):
        inside = match.start() > 0 and match.end() < len(text)
        wanted = " " if inside else ""
        if match.group() != wanted:
            yield Edit(*match.span(), wanted, "punctuation")


def before_marks(text: str) -> Iterator[Edit]:
    """No space before a comma or a stop: right wherever Latin letters are used, except in French."""
    for match in _BEFORE_MARK.finditer(text):
        yield Edit(*match.span(), "", "punctuation")


def marks(text: str) -> Iterator[Edit]:
    """One mark where there are two of a kind, none before the first word, a space behind a comma between words.

    `...`, `?!` and `etc.,` are meant and stay.
    """
    begun = 0
    leading = _LEADING.match(text)
    if leading:
        begun = leading.end()
        yield Edit(0, begun, "", "punctuation")
    found: list[tuple[tuple[int, int], str]] = []
    if _TWO_MARKS.search(text, begun):
        found = [(match.span(), match.group(match.lastindex or 0)) for match in _DOUBLED.finditer(text, begun)]
    found += [(m.span(), ", ") for m in _TIGHT_COMMA.finditer(text, begun)]
    for (start, end), wanted in sorted(found):
        behind = " " if text[start:end].endswith(" ") else ""
        yield Edit(start, end, wanted + (behind if wanted != ", " else ""), "punctuation")
