"""The text of a reply beside its audio: which of its words were heard after so many samples. Pure.

A reply is written delta by delta, said clause by clause (text/sentences.py), and voiced piece by piece. Where the voice
tells the times of its words they decide; else words are heard in proportion to their letters.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from voxgate.domain import Word
from voxgate.text.words import comparable

CHARACTERS_PER_SECOND = {"wide": 5.0, "narrow": 15.0}
"""How fast text is spoken, roughly, where a clause is not yet voiced to its end: of scripts whose characters are
syllables, and of all others (150 words of six characters a minute)."""
AGAIN = 6
"""A clause of which at most so many words were heard is begun anew when the bot goes on; in a longer one it goes on
where it was stopped: nobody wants to hear ten seconds twice."""

_WIDE = re.compile("[\u1200-\u137f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_UNIT = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff][^\\w\\s]*|[^\\s\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
"""What is heard or not: a word with its punctuation, or a character of a script without spaces."""


@dataclass(slots=True)
class _Clause:
    start: int
    end: int
    """Its place in the text of the reply."""
    spoken: str
    """As the voice was given it: numbers in words, no markup."""
    begin: int
    """First sample of its audio."""
    samples: int = 0
    whole: bool = False
    words: list[Word] = field(default_factory=list)
    units: tuple[tuple[int, bool], list[tuple[int, int | None]]] | None = None
    """What `Script.heard` has worked out, and for which words: it is asked ten times a second where a call has
    captions, and changes only as words are told."""


class Script:
    """The text of one reply and its audio. Samples count from the beginning of the reply, at one rate."""

    def __init__(self, rate: int) -> None:
        """`rate`: samples per second of what `voiced` and `heard` count."""
        self._rate = rate
        self._deltas: list[str] = []
        self._text = ""
        self._clauses: list[_Clause] = []
        self.whole = False
        """Whether its text is complete; for the runner to set."""

    @property
    def text(self) -> str:
        """Everything that was written so far."""
        if self._deltas:
            self._text += "".join(self._deltas)
            self._deltas.clear()
        return self._text

    def write(self, delta: str) -> None:
        """More text, as the model forms it."""
        self._deltas.append(delta)

    def say(self, clause: str, spoken: str = "") -> None:
        """The next clause goes to the voice; the one before is voiced. `spoken`: as the voice gets it, if otherwise."""
        self.said()
        last = self._clauses[-1] if self._clauses else None
        after = last.end if last else 0
        found = self.text.find(clause, after)
        start = found if found >= 0 else after
        end = min(start + len(clause), len(self._text))
        self._clauses.append(_Clause(start, end, spoken or clause, last.begin + last.samples if last else 0))

    def voiced(self, samples: int, words: Iterable[Word] = ()) -> None:
        """More audio of the clause; `words` count from the beginning of the clause, as `domain.Speech` tells them."""
        clause = self._clauses[-1]
        clause.samples += samples
        clause.words.extend(words)

    def said(self) -> None:
        """The clause is voiced to its end. Idempotent."""
        if self._clauses:
            self._clauses[-1].whole = True

    def heard(self, samples: int) -> str:
        """The part of the text that was heard after so many samples; a word of which half was heard counts."""
        return self.text[: self._heard_until(samples)].rstrip()

    def rest(self, samples: int) -> str:
        """What is left to say then: from the clause in which it stopped, or from the very word (AGAIN)."""
        until = self._heard_until(samples)
        for clause in self._clauses:
            if clause.start < until < clause.end and len(_UNIT.findall(self.text, clause.start, until)) <= AGAIN:
                until = clause.start
        return self.text[until:].strip()

    def begins(self, at: int) -> int | None:
        """The first sample of the clause that holds this place in the text, or of the last one before it.

        None while that clause has not been given to the voice.
        """
        for clause in self._clauses:
            if at < clause.end:
                return clause.begin
        last = self._clauses[-1] if self._clauses else None
        if last is None or not self.whole or self.text[last.end :].strip():
            return None
        return last.begin

    def words_heard(self, first: int, last: int) -> list[Word]:
        """The words that sound from sample `first` to `last`, as spoken: for the guard against one's own echo."""
        found: list[Word] = []
        for clause in self._clauses:
            if clause.begin < last and clause.begin + self._length(clause) > first:
                found += [word for word in self._timed(clause) if first < word.end and word.start < last]
        return found

    def _heard_until(self, samples: int) -> int:
        """Where in the text that part ends."""
        until = 0
        for clause in self._clauses:
            into = samples - clause.begin
            if into <= 0:
                break
            if clause.whole and into >= clause.samples:
                until = clause.end
                continue
            until = max(until, self._within(clause, into))
            break
        return until

    def _within(self, clause: _Clause, into: int) -> int:
        """Where in the text the part of the clause ends that was heard after `into` samples of it."""
        words = self._timed(clause)
        if not words:
            return 0  # nothing of it is spoken
        known = len(words), clause.whole
        if clause.units is None or clause.units[0] != known:
            clause.units = known, self._units(clause, words)
        until = 0
        for end, place in clause.units[1]:
            if place is None or into < (words[place].start + words[place].end) // 2 - clause.begin:
                break
            until = end
        return until

    def _units(self, clause: _Clause, words: Sequence[Word]) -> list[tuple[int, int | None]]:
        """Where each unit of its text ends, and the word it is heard with: half a millisecond for a long clause."""
        units = list(_UNIT.finditer(self.text, clause.start, clause.end))
        last_told = len(words) - 1 if clause.whole or not clause.words else None
        places = _places([unit.group() for unit in units], words, last_told)
        return [(unit.end(), place) for unit, place in zip(units, places, strict=True)]

    def _length(self, clause: _Clause) -> int:
        """Samples of the clause, known or guessed."""
        if clause.whole:
            return clause.samples
        speed = CHARACTERS_PER_SECOND["wide" if _WIDE.search(clause.spoken) else "narrow"]
        return max(clause.samples, round(len(clause.spoken) / speed * self._rate))

    def _timed(self, clause: _Clause) -> list[Word]:
        """Its words with their samples; in proportion to their letters where the voice told none."""
        if clause.words:
            return [Word(word.text, clause.begin + word.start, clause.begin + word.end) for word in clause.words]
        units = _UNIT.findall(clause.spoken)
        total = max(1, sum(map(len, units)))
        length = self._length(clause)
        words: list[Word] = []
        passed = 0
        for unit in units:
            start, passed = passed, passed + len(unit)
            words.append(Word(unit, clause.begin + start * length // total, clause.begin + passed * length // total))
        return words


def _places(units: Sequence[str], words: Sequence[Word], last_told: int | None) -> list[int | None]:
    """For each unit of a text the spoken word with which it is heard; None where that is not told yet.

    Words that are written as they are spoken are anchors; between two of them the written share the spoken in order, as
    `$5` shares `five dollars`. What is not spoken (markup) goes with what stands before it. `last_told`: the last word
    that will ever be told; None while more may come.
    """
    written = [(token, at) for at, unit in enumerate(units) for token in comparable(unit)]
    spoken = [(token, at) for at, word in enumerate(words) for token in comparable(word.text)]
    matcher = SequenceMatcher(None, [token for token, _ in written], [token for token, _ in spoken], autojunk=False)
    anchors: dict[int, int] = {}
    for block in matcher.get_matching_blocks():
        for k in range(block.size):
            anchors[written[block.a + k][1]] = spoken[block.b + k][1]
    places: list[int | None] = []
    before = -1
    at = 0
    while at < len(units):
        if at in anchors:
            before = anchors[at]
            places.append(before)
            at += 1
            continue
        end = next((later for later in range(at, len(units)) if later in anchors), len(units))
        after = anchors.get(end, len(words))
        between = after - before - 1
        many = sum(1 for unit in units[at:end] if comparable(unit))
        said = 0
        for unit in units[at:end]:
            said += bool(comparable(unit))
            if between > 0 and many:
                places.append(before + max(1, -(-said * between // many)))
            elif end == len(units) and last_told is None and many:
                places.append(None)
            else:
                places.append(before if before >= 0 else after if after < len(words) else last_told)
        at, before = end, max(before, after - 1)
    return places
