"""Correction of what a recognizer wrote: raw text in, readable text and the exact list of changes out. Pure.

English, Singlish and Vietnamese have rules of their own; other languages only have their spacing put right. The raw
text is kept; whoever wants every `um` reads that one.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def joined(parts: Sequence[Corrected], glue: str) -> Corrected:
    """Texts that follow one another as one: raw texts joined by `glue`, every correction moved to where it now is."""
    found: list[Correction] = []
    at = 0
    for part in parts:
        found += [replace(each, start=each.start + at, end=each.end + at) for each in part.corrections]
        at += len(part.raw) + len(glue)
    return Corrected(glue.join(part.raw for part in parts), glue.join(part.text for part in parts), tuple(found))


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
