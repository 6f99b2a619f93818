"""From words to the symbol ids Piper reads, keeping for every id the word it belongs to. Pure.

Piper was trained on espeak-ng's IPA: `^ _` in front, each code point of the NFD text followed by the pad `_`, then `$`
(piper/src/piper/phonemize_espeak.py and voice.py, checked 2026-10: same ids, same audio bit for bit). espeak drops
punctuation, so it is put back from the text; that is also where the clauses come from.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from voxgate.text.pauses import end_mark

_BREAK = re.compile(r"[,;:!?][\"'”’»)\]}*_]*(?=\s)|[，；：！？、،؛؟]|—")
_SPEAKABLE = re.compile(r"[^\W_]")
_SPOKEN_MARKS = {",": ",", ";": ";", ":": ":", ".": ".", "!": "!", "?": "?", "—": ";"}
_SPACED = ",;:"  # Piper's training text has a space behind these


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of text between two marks."""

    text: str
    mark: str
    """The punctuation Piper hears behind it, empty for none."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words as they are written; a dash or an asterisk standing alone stays with the word before it."""
        words: list[str] = []
        loose = ""
        for token in self.text.split():
            if _SPEAKABLE.search(token):
                words.append(f"{loose}{token}")
                loose = ""
            elif words:
                words[-1] += f" {token}"
            else:
                loose += f"{token} "
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Pronounced:
    """A clause with its phonemes."""

    ipa: str
    """The clause as espeak says it: words may be merged ("in the" -> ɪnðɪ) and numbers are spelled out."""
    mark: str
    words: tuple[tuple[str, str], ...]
    """(word as written, IPA of that word said alone)."""


@dataclass(frozen=True, slots=True)
class Symbols:
    """What the text encoder reads."""

    ids: tuple[int, ...]
    words: tuple[tuple[str, int, int], ...]
    """(word, first id, id behind its last); in order. Ids of punctuation and spaces belong to no word."""
    dropped: int
    """Code points the voice has no symbol for, left out."""


def speakable(text: str) -> bool:
    """Whether there is a letter or a digit in it; anything else makes a voice stumble ("." gives 130 ms of noise)."""
    return _SPEAKABLE.search(text) is not None


def clauses(piece: str) -> list[Clause]:
    """One speakable piece as clauses, those without a letter or digit left out.

    A full stop inside the piece belongs to an abbreviation (see text.sentences) and breaks nothing.
    """
    found: list[Clause] = []
    start = 0
    for match in _BREAK.finditer(piece):
        found.append(Clause(piece[start : match.end()].strip(), _SPOKEN_MARKS.get(end_mark(match.group()), "")))
        start = match.end()
    found.append(Clause(piece[start:].strip(), _SPOKEN_MARKS.get(end_mark(piece[start:]), "")))
    return [clause for clause in found if speakable(clause.text)]


def symbols(said: Sequence[Pronounced], table: Mapping[str, Sequence[int]]) -> Symbols:
    """The ids of a piece. `table`: the voice's phoneme_id_map."""
    pad = list(table["_"])
    ids = [*table["^"], *pad]
    spans: list[tuple[str, int, int]] = []
    dropped = 0
    for clause in said:
        text, owners = _owned(clause)
        if clause.mark:
            tail = clause.mark + (" " if clause.mark in _SPACED else "")
            text, owners = text + tail, [*owners, *[None] * len(tail)]
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for symbol, owner in zip(text, owners, strict=True):
            known = table.get(symbol)
            if known is None:
                dropped += 1
                continue
            if owner is not None:
                first.setdefault(owner, len(ids))
            ids += [*known, *pad]
            if owner is not None:
                last[owner] = len(ids)
        reached = min(first.values(), default=len(ids))
        for number, (word, _) in enumerate(clause.words):
            start = first.get(number, reached)  # a word without a sound of its own has no length
            reached = last.get(number, start)
            spans.append((word, start, reached))
    return Symbols((*ids, *table["$"]), tuple(spans), dropped)


def _owned(clause: Pronounced) -> tuple[str, list[int | None]]:
    """The clause's IPA in NFD, and for every code point the number of its word (None for spaces)."""
    text = unicodedata.normalize("NFD", clause.ipa)
    return text, owners(text, [unicodedata.normalize("NFD", ipa) for _, ipa in clause.words])


def owners(text: str, alone: Sequence[str]) -> list[int | None]:
    """For every character of a clause's phonemes the number of its word, None for spaces.

    `alone`: the phonemes of each word said alone, in the same writing.
    """
    if len(text.split()) == sum(len(phonemes.split()) for phonemes in alone):
        return _by_groups(text, alone)
    return _by_likeness(text, alone)


def _by_groups(text: str, alone: Sequence[str]) -> list[int | None]:
    """Owners where espeak left every word its own groups: the k-th group is the k-th expected one."""
    turns = [number for number, ipa in enumerate(alone) for _ in ipa.split()]
    owned: list[int | None] = []
    group = -1
    before = " "
    for symbol in text:
        if symbol == " ":
            owned.append(None)
        else:
            group += before == " "
            owned.append(turns[group])
        before = symbol
    return owned


def _by_likeness(text: str, alone: Sequence[str]) -> list[int | None]:
    """Owners where espeak merged or split words: a symbol goes with the word it matches, else with the one before."""
    expected = [(symbol, number) for number, ipa in enumerate(alone) for symbol in ipa if symbol != " "]
    at = [position for position, symbol in enumerate(text) if symbol != " "]
    if not expected:
        return [None] * len(text)
    matcher = SequenceMatcher(None, [symbol for symbol, _ in expected], [text[p] for p in at], autojunk=False)
    matched: dict[int, int] = {}
    for block in matcher.get_matching_blocks():
        for step in range(block.size):
            matched[at[block.b + step]] = expected[block.a + step][1]
    owned: list[int | None] = []
    owner = expected[0][1]
    for position, symbol in enumerate(text):
        owner = matched.get(position, owner)
        owned.append(None if symbol == " " else owner)
    return owned
