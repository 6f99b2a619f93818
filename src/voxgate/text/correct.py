"""Correction of what a recognizer wrote: raw text in, readable text and the exact list of changes out. Pure.

English, Singlish and Vietnamese have rules of their own; other languages only have their spacing put right. The raw
text is kept; whoever wants every `um` reads that one.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from voxgate.domain import Correction
from voxgate.text import correct_english as english
from voxgate.text import correct_vietnamese as vietnamese
from voxgate.text.correct_edits import Draft, Edit, replaced
from voxgate.text.correct_numbers import numbers
from voxgate.text.correct_spacing import before_marks, marks, spaces

_Pass = Callable[[str], Iterator[Edit]]

_LATIN = frozenset("id ms fil so om es de it pt".split())
"""Languages whose punctuation stands close to the word before it. French sets `?` and `!` off with a space."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A text before and after: `apply(raw, corrections) == text`."""

    raw: str
    """What the recognizer wrote, in NFC."""
    text: str
    corrections: tuple[Correction, ...]
    """Sorted, none empty, none overlapping; offsets count code points of `raw`."""


def correct(raw: str, language: str, *, continues: bool = False) -> Corrected:
    """What `raw` should read like. Never empties a text that holds a letter or a digit; never raises.

    `language` is a BCP-47 tag; one without rules gets its white space put right, no more. `continues`: `raw` goes on
    with a sentence that an earlier text began, so that its first word may be small.
    """
    draft = Draft(unicodedata.normalize("NFC", raw))
    for rules in _passes(language, continues):
        draft.apply(rules(draft.text))
    return Corrected(draft.raw, draft.text, draft.corrections())


def apply(raw: str, corrections: Iterable[Correction]) -> str:
    """`raw` (in NFC) with `corrections`, in their order, carried out."""
    return replaced(raw, [(each.start, each.end, each.corrected) for each in corrections])


def joined(parts: Iterable[tuple[str, Corrected]]) -> Corrected:
    """Texts that follow one another as one, every correction moved to where it now is.

    Each comes with what stands between it and the one before it; what the first comes with is left out.
    """
    raw = text = ""
    found: list[Correction] = []
    for number, (glue, part) in enumerate(parts):
        raw, text = (raw + glue, text + glue) if number else ("", "")
        found += [replace(each, start=each.start + len(raw), end=each.end + len(raw)) for each in part.corrections]
        raw, text = raw + part.raw, text + part.text
    return Corrected(raw, text, tuple(found))


def ends_sentence(text: str) -> bool:
    """Whether what follows `text` begins a sentence."""
    return text.rstrip(' \t\n"”’»)]').endswith((".", "?", "!", "。", "？", "！"))


def _passes(language: str, continues: bool) -> tuple[_Pass, ...]:
    base = language.split("-", 1)[0].lower()
    if base == "en":
        singlish = language.lower() == "en-sg"
        return (
            spaces,
            before_marks,
            marks,
            partial(english.fillers, final_uh=not singlish),
            english.cut_offs,
            english.repetitions,
            english.spellings,
            numbers,
            partial(english.capitals, continues=continues),
        )
    if base == "vi":
        return (
            spaces,
            before_marks,
            marks,
            vietnamese.fillers,
            vietnamese.repetitions,
            vietnamese.numbers,
            partial(vietnamese.capitals, continues=continues),
        )
    return (spaces, before_marks) if base in _LATIN else (spaces,)
