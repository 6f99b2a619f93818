"""The guard against hearing oneself: is what was heard the bot's own voice, come back through the microphone? Pure.

For clients without echo cancellation; off unless a client asks for it. An echo says what was played a moment ago, each
word at most once, and nothing else; it dies away when playout is held. So who repeats the bot's words on purpose is
told from an echo by any of these: the words were played longer ago than an echo takes; they come a second time; words
of his own follow them; he still speaks when no echo can be left (interruption.py).
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from voxgate.domain import SPEECH_RATE, Word
from voxgate.text.wer import distance
from voxgate.text.words import comparable


@dataclass(frozen=True, slots=True)
class EchoSettings:
    """How an echo comes back."""

    reach_ms: int = 500
    """How long after it was to be heard a word may still come back: network, buffers of player and microphone, the
    room. Longer catches slower clients, and takes more of what people repeat for an echo."""


_GARBLED = 0.34
"""Edits for each character up to which an echo is the word that was played: what comes through a loudspeaker and a
room is misheard by a letter or two."""
_LONG = 4
"""Characters from which on a word may be garbled; shorter ones are too alike."""
_FOREIGN = 4
"""One word in so many may be misheard beyond recognition within an echo, not at its end."""
_SHORT = 8
"""Words up to which all of an echo may be garbled; of more, half come back as they were played. What is compared letter
by letter stays so little that a comparison takes less than a millisecond, which is what may be done on the event loop:
80 words of an echo, a third of them garbled, against the 80 that were played take 0.4 ms (2026-11)."""


class EchoGuard:
    """What one call has played lately. Times are samples at SPEECH_RATE on the call's clock."""

    def __init__(self, settings: EchoSettings | None = None) -> None:
        self._reach = (settings or EchoSettings()).reach_ms * SPEECH_RATE // 1000
        self._played: deque[tuple[str, int, int]] = deque()
        self._until = 0

    def played(self, words: Iterable[Word]) -> None:
        """Words that are heard from `start` to `end`, in order; words that were held back or cut must not be told."""
        for word in words:
            self._until = max(self._until, word.end)
            self._played.extend((each, word.start, word.end) for each in comparable(word.text))

    def may_echo(self, at: int) -> bool:
        """Whether sound at `at` may be an echo at all."""
        return bool(self._played) and at <= self._until + self._reach

    def is_echo(self, text: str, start: int, end: int) -> bool:
        """Whether a transcript of the audio from `start` to `end` says nothing but what was played. Changes nothing."""
        words, audible = comparable(text), self._audible(start, end)
        if len(words) - len(audible) > len(words) // _FOREIGN:
            return False
        matched = self._matches(words, audible)
        if not matched or len(words) - 1 not in matched:
            return False
        return len(words) - len(matched) <= len(words) // _FOREIGN

    def spend(self, text: str, start: int, end: int) -> None:
        """That transcript was an echo, and is over: the words it holds do not come back again."""
        audible = self._audible(start, end)
        spent = {id(audible[at]) for at in self._matches(comparable(text), audible).values()}
        self._played = deque(each for each in self._played if id(each) not in spent and each[2] + self._reach >= start)

    def _audible(self, start: int, end: int) -> list[tuple[str, int, int]]:
        return [each for each in self._played if each[2] + self._reach >= start and each[1] <= end]

    def _matches(self, words: Sequence[str], audible: Sequence[tuple[str, int, int]]) -> dict[int, int]:
        """Word -> played word of an alignment that keeps the order of both: exact words first, garbled ones between."""
        played = [each[0] for each in audible]
        found = dict(_exact(words, played))
        if len(words) > _SHORT and 2 * len(found) < len(words):
            return {}
        for heard, between in _gaps(found, len(words), len(played)):
            found.update(_garbled_in(words, heard, played, between))
        return found


def _exact(heard: Sequence[str], played: Sequence[str]) -> list[tuple[int, int]]:
    """The longest common subsequence of equal words (Hunt and Szymanski, 1977): pairs of positions, in order."""
    places: dict[str, list[int]] = {}
    for at in reversed(range(len(played))):
        places.setdefault(played[at], []).append(at)
    ends: list[int] = []  # smallest place of the last word of a subsequence of each length
    links: list[tuple[int, int, Any]] = []  # (heard, played, the pair before) with which each ends
    for i, word in enumerate(heard):
        for j in places.get(word, ()):  # from the last, so that no two of them stand in one subsequence
            length = bisect_left(ends, j)
            link = (i, j, links[length - 1] if length else None)
            ends[length : length + 1] = [j]
            links[length : length + 1] = [link]
    found: list[tuple[int, int]] = []
    pair: tuple[int, int, Any] | None = links[-1] if links else None
    while pair is not None:
        found.append(pair[:2])
        pair = pair[2]
    return found[::-1]


def _gaps(anchors: Mapping[int, int], heard: int, played: int) -> Iterator[tuple[range, range]]:
    """What lies between the anchors, and before and behind them, where there is something on both sides."""
    before = (-1, -1)
    for pair in [*anchors.items(), (heard, played)]:
        gap = range(before[0] + 1, pair[0]), range(before[1] + 1, pair[1])
        if all(gap):
            yield gap
        before = pair


def _garbled_in(words: Sequence[str], heard: range, played: Sequence[str], between: range) -> dict[int, int]:
    """The longest alignment of a gap's words, alike if not equal."""
    best = [[0] * (len(between) + 1) for _ in range(len(heard) + 1)]
    last = len(words) - 1
    for i in reversed(range(len(heard))):
        word, row, below = words[heard[i]], best[i], best[i + 1]
        for j in reversed(range(len(between))):
            met = 1 + below[j + 1] if _alike(word, played[between[j]], last=heard[i] == last) else 0
            row[j] = max(met, below[j], row[j + 1])
    found: dict[int, int] = {}
    i = j = 0
    while i < len(heard) and j < len(between):
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            found[heard[i]] = between[j]
            i, j = i + 1, j + 1
    return found


def _alike(heard: str, played: str, *, last: bool) -> bool:
    """Whether `heard` is `played`, garbled; the last word of an echo may be cut off."""
    return (last and len(heard) > 1 and played.startswith(heard)) or _garbled(heard, played)


def _garbled(heard: str, played: str) -> bool:
    longer = max(len(heard), len(played))
    edits = int(_GARBLED * longer)
    if longer < _LONG or abs(len(heard) - len(played)) > edits:
        return False
    # An edit takes one letter away and adds another, at most: cheaper to count than to align.
    return (_letters(heard) ^ _letters(played)).bit_count() <= 2 * edits and distance(played, heard) <= edits


@lru_cache(maxsize=8192)
def _letters(word: str) -> int:
    """The letters that are in it, a bit each; remembered, since one partial transcript after another holds them."""
    return reduce(or_, (1 << ord(letter) % 61 for letter in word))
