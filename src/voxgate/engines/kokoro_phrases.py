"""Short phrases first: how a text is cut so that Kokoro is heard soon and never falls behind itself. Pure.

A phrase is heard once all of it is made, which takes about half as long as it lasts. So the first one is short, and a
further one may only be so long that it is ready before what was made so far has been heard.
"""

import re
from collections.abc import Sequence

COST = 0.6
"""Seconds of work a second of speech, on one core that others share the machine with (0.47 to 0.52 on a quiet one)."""
LEAST_WORDS = 3
"""A phrase of fewer words sounds chopped: none is cut off, and none is left behind."""

# A word, or what stands between two commas where no spaces are written.
_TOKEN = re.compile(r"\S+?(?:[，、；：]+\s*|\s+|$)")
_MARK = re.compile(r"[,;:—，、；：]\s*$")
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # kana, Han: two characters count as a word
# Words that begin a phrase, in the languages with spaces that Kokoro speaks: a cut in front of one is hardly heard.
_OPENERS = frozenset(
    "and or but nor so yet because that which who where when while if then than as to for from with without of in on "
    "at by into over under after before until unless about y o pero porque que cuando donde como para con sin de en "
    "por et ou mais parce quand où comme pour avec sans dans par e ma perché quando dove come per con senza di da "
    "mas quando onde com sem em".split()
)


class Phrasing:
    """Cuts the pieces of one text, in their order."""

    def __init__(self, first_words: int) -> None:
        """`first_words`: words of the first phrase, about; 0 leaves every piece whole."""
        self._shortest = first_words
        self._first = 0
        self._said = 0

    def cut(self, piece: str) -> list[str]:
        """The piece in phrases. Nothing but white space is lost.

        Cut behind a comma or its like if there is one, else before a word that begins a phrase, else anywhere.
        """
        tokens = _TOKEN.findall(piece.strip())
        found: list[str] = []
        while self._shortest and _count(tokens) > self._limit() + LEAST_WORDS:
            at = _end(tokens, self._limit())
            if at == len(tokens):
                break
            found.append(self._take(tokens[:at]))
            tokens = tokens[at:]
        if tokens:
            found.append(self._take(tokens))
        return found

    def _limit(self) -> int:
        """Words the next phrase may have: made in the time in which what was made so far is heard.

        When it is begun, the listener still has all that was said but for what was heard while it was made.
        """
        return max(self._shortest, self._first + int(self._said * (1 - COST) / COST))

    def _take(self, tokens: Sequence[str]) -> str:
        words = _count(tokens)
        self._first = self._first or words
        self._said += words
        return "".join(tokens).strip()


def _end(tokens: Sequence[str], limit: int) -> int:
    """How many tokens the phrase has: at most `limit` words, at least LEAST_WORDS and one token."""
    counts = [_count(tokens[:at]) for at in range(len(tokens) + 1)]
    places = [at for at in range(len(tokens) - 1, 0, -1) if LEAST_WORDS <= counts[at] <= limit]
    if not places:
        return next((at for at in range(1, len(tokens)) if counts[at] >= LEAST_WORDS), len(tokens))
    marked = next((at for at in places if _MARK.search(tokens[at - 1])), None)
    opened = next((at for at in places if _opens(tokens, at)), None)
    return marked or opened or places[0]


def _opens(tokens: Sequence[str], at: int) -> bool:
    """Whether a phrase begins at this token: "and then he left" begins at "and"."""
    first, before = (tokens[each].strip().lower() in _OPENERS for each in (at, at - 1))
    return first and not before


def _count(tokens: Sequence[str]) -> int:
    """About how many words."""
    return sum(max(1, len(_SPACELESS.findall(token)) // 2) for token in tokens)
