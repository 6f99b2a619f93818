"""The guard against hearing oneself: is what was heard the bot's own voice, come back through the microphone? Pure.

For clients without echo cancellation; off unless a client asks for it. An echo says what was played a moment ago, each
word at most once, and nothing else; it dies away when playout is held. So who repeats the bot's words on purpose is
told from an echo by any of these: the words were played longer ago than an echo takes; they come a second time; words
of his own follow them; he still speaks when no echo can be left (interruption.py).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

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
        """Word -> played word of the longest alignment that keeps the order of both."""
        best = [[0] * (len(audible) + 1) for _ in range(len(words) + 1)]
        for i in reversed(range(len(words))):
            for j in reversed(range(len(audible))):
                met = 1 + best[i + 1][j + 1] if _alike(words[i], audible[j][0], last=i == len(words) - 1) else 0
                best[i][j] = max(met, best[i + 1][j], best[i][j + 1])
        found: dict[int, int] = {}
        i = j = 0
        while i < len(words) and j < len(audible):
            if best[i][j] == best[i + 1][j]:
                i += 1
            elif best[i][j] == best[i][j + 1]:
                j += 1
            else:
                found[i] = j
                i, j = i + 1, j + 1
        return found


def _alike(heard: str, played: str, *, last: bool) -> bool:
    """Whether `heard` is `played`, maybe garbled; the last word of an echo may be cut off."""
    return heard == played or (last and len(heard) > 1 and played.startswith(heard)) or _garbled(heard, played)


@lru_cache(maxsize=8192)
def _garbled(heard: str, played: str) -> bool:
    """Remembered, since one partial transcript after another is compared with the same words."""
    longer = max(len(heard), len(played))
    if longer < _LONG or abs(len(heard) - len(played)) > _GARBLED * longer:
        return False
    return distance(played, heard) <= _GARBLED * longer
