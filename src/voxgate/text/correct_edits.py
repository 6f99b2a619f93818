"""Changes of a text, pass upon pass, kept as one list of changes of the text it began as. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from voxgate.domain import Correction

Kind = Literal["filler", "repetition", "number", "spelling", "casing", "punctuation"]

_RANK: Sequence[Kind] = ("number", "spelling", "repetition", "filler", "casing", "punctuation")
"""A change that several passes made carries the type that comes first here: the one that says most about it."""
_CHUNK = re.compile(r"[^\W_]+|\s+|.", re.DOTALL)
_SUSPECT = re.compile(r"[@/\\_#]|\w\.\w")


class Edit(NamedTuple):
    """Put `new` where `start` to `end` stands. Never empty: an insertion replaces what stands beside it."""

    start: int
    end: int
    new: str
    kind: Kind


class Draft:
    """A text on its way to being corrected."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.text = raw
        self._changes: list[Edit] = []  # offsets into raw, sorted, none empty, none overlapping

    def apply(self, edits: Iterable[Edit]) -> None:
        """Make one pass: `edits` are offsets into `text` as it is now, sorted, not overlapping.

        An edit that touches an address, a path or a name with a dot, `@`, `/` or `_` inside is left out. Edits that
        overlap changes of earlier passes become one change with them.
        """
        wanted = _outside(edits, _protected(self.text))
        if not wanted:
            return
        shift = 0  # how much longer the text is than raw, up to where the changes were counted
        marks: list[tuple[int, int, Edit, bool]] = [(edit.start, edit.end, edit, True) for edit in wanted]
        for change in self._changes:
            start = change.start + shift
            marks.append((start, start + len(change.new), change, False))
            shift += len(change.new) - (change.end - change.start)
        marks.sort(key=lambda mark: mark[:2])

        changes: list[Edit] = []
        at = 0
        shift = 0
        while at < len(marks):
            low, high = marks[at][:2]
            upto = at + 1
            while upto < len(marks) and marks[upto][0] < high:
                high = max(high, marks[upto][1])
                upto += 1
            group = marks[at:upto]
            before = shift
            at = upto
            for start, end, change, is_edit in group:
                shift += 0 if is_edit else end - start - (change.end - change.start)
            if len(group) == 1:  # most: a new edit on raw text, or an old change nobody touched
                new, kind = group[0][2].new, group[0][2].kind
            else:
                new = replaced(
                    self.text[low:high], [(s - low, e - low, c.new) for s, e, c, is_edit in group if is_edit]
                )
                kind = min((c.kind for _, _, c, _ in group), key=_RANK.index)
            changes.append(Edit(low - before, high - shift, new, kind))
        self._changes = changes
        self.text = replaced(self.text, wanted)

    def corrections(self) -> tuple[Correction, ...]:
        """What was changed, in the order of the text; words that stayed as they were are in none of them."""
        found: list[Correction] = []
        for change in self._changes:
            original = self.raw[change.start : change.end]
            if original == change.new:
                continue
            left, right = _shared(original, change.new)
            start, end = change.start + left, change.end - right
            new = change.new[left : len(change.new) - right]
            found.append(Correction(self.raw[start:end], new, start, end, change.kind))
        return tuple(found)


def replaced(text: str, edits: Iterable[tuple[int, int, str] | Edit]) -> str:
    """`text` with each (start, end, new, …) carried out; the edits are sorted and do not overlap."""
    pieces: list[str] = []
    at = 0
    for edit in edits:
        pieces += (text[at : edit[0]], edit[2])
        at = edit[1]
    return "".join([*pieces, text[at:]])


def _protected(text: str) -> list[tuple[int, int]]:
    """Stretches between white space that are no plain words: addresses, paths, handles, `p.m.`, `3.5`."""
    if not _SUSPECT.search(text):
        return []
    return [match.span() for match in re.finditer(r"\S+", text) if _SUSPECT.search(match.group().strip(".,"))]


def _outside(edits: Iterable[Edit], spans: Sequence[tuple[int, int]]) -> list[Edit]:
    kept: list[Edit] = []
    at = 0
    for edit in edits:
        while at < len(spans) and spans[at][1] <= edit.start:
            at += 1
        if at == len(spans) or spans[at][0] >= edit.end:
            kept.append(edit)
    return kept


def _shared(original: str, new: str) -> tuple[int, int]:
    """Characters at the beginning and at the end that both share, in whole words; some of `original` is left over."""
    if not new:
        return 0, 0
    old_chunks, new_chunks = _CHUNK.findall(original), _CHUNK.findall(new)
    most = min(len(old_chunks), len(new_chunks))
    left = 0
    while left < most and old_chunks[left] == new_chunks[left]:
        left += 1
    right = 0
    while right < most - left and old_chunks[-1 - right] == new_chunks[-1 - right]:
        right += 1
    if left + right == len(old_chunks):  # something was put in between: it goes with its neighbour
        left, right = (left - 1, right) if left else (left, right - 1)
    return len("".join(old_chunks[:left])), len("".join(old_chunks[len(old_chunks) - right :]))
