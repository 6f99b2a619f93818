"""Doubts about what Whisper says, and what it is told beforehand. Pure.

Whisper on a short window fails in one way: the right sentence, over and over. Its log-probability is then excellent
(-0.04 to -0.18), so loops are told by their length, by how well they compress and by their halves. On noise it invents;
there the log-probability is low *and* the no-speech token likely, while either alone also happens on good Vietnamese
clips. Measured on 78 clips in six languages and 39 pieces of noise, November 2026
(docs/decisions/0006-whisper-on-a-short-context.md).
"""

import unicodedata
import zlib
from collections.abc import Sequence
from difflib import SequenceMatcher

UNCLEAR_BELOW = -1.0
"""Mean log-probability under which a text is doubted: Vietnamese heard as English reaches -2, real speech -0.7."""

_RATE, _DENSE_RATE = 8, 20
"""Tokens a second that speech never exceeds: 7.1 is the highest measured of Latin and Chinese scripts; Thai, written
with up to three tokens a character, is spoken at 8.4."""
_DENSE = frozenset({"th"})
_GRACE, _SPARE = 4, 8  # tokens a text may have beyond the rate, and those it is given to end by itself
_COMPRESSES = 2.0
_ALIKE = 0.8
_SHORTEST_HALF = 4
_PERIODS = 3
_NOISE_ABOVE, _NOISE_BELOW = 0.25, -1.0
_MOST_HINTS, _MOST_HINT_TOKENS = 15, 150
_LONGEST_HINT = 60

_SENTENCES = {
    "en": ("We will talk about {}.", ", ", " and "),
    "vi": ("Chúng ta sẽ nói về {}.", ", ", " và "),
    "id": ("Kita akan berbicara tentang {}.", ", ", " dan "),
    "ms": ("Kita akan bercakap tentang {}.", ", ", " dan "),
    "ja": ("{}についてお話しします。", "、", "と"),
    "ko": ("{} 이야기를 하겠습니다.", ", ", ", "),
    "zh": ("我们来谈谈{}。", "、", "和"),
    "th": ("เราจะพูดถึง {}", " ", " และ "),
}
"""Language -> a sentence with a place for names, what stands between them, and before the last."""


def token_rate(code: str) -> int:
    """Tokens a second beyond which a text of this language cannot have been spoken."""
    return _DENSE_RATE if code in _DENSE else _RATE


def token_limit(seconds: float, code: str) -> int:
    """Where a text is cut off: enough for the fastest speech, little for a loop (12 ms a token)."""
    return int(token_rate(code) * seconds) + _SPARE


def looping(tokens: Sequence[int], text: str, seconds: float, code: str) -> bool:
    """Whether a text is rather a loop: too long for its audio, too easily compressed, or the same thing twice.

    A speaker who really says a thing twice trips it too; that costs a second decode and no text.
    """
    data = text.encode()
    too_long = len(tokens) > token_rate(code) * seconds + _GRACE
    return too_long or len(data) > _COMPRESSES * len(zlib.compress(data)) or doubled(tokens)


def doubled(tokens: Sequence[int]) -> bool:
    """Whether the second half repeats the first: four fifths of the tokens, in order."""
    half = len(tokens) // 2
    return half >= _SHORTEST_HALF and _likeness(tokens[:half], tokens[half:]) >= _ALIKE


def said_once(tokens: Sequence[int]) -> list[int]:
    """The tokens with a repetition said once; all of them where there is none.

    Looked for is the earliest place from which one pattern fills the rest, at least three times; else the beginning
    that is said twice in a row most alike, four fifths of its tokens at least.
    """
    count = len(tokens)
    for start in range(count):
        for period in range(1, (count - start) // _PERIODS + 1):
            if tokens[start : count - period] == tokens[start + period :]:
                return list(tokens[: start + period])
    halves = range(_SHORTEST_HALF, count // 2 + 1)
    likeness = {period: _likeness(tokens[:period], tokens[period : 2 * period]) for period in halves}
    best = max(likeness, key=likeness.__getitem__, default=0)
    return list(tokens[:best] if best and likeness[best] >= _ALIKE else tokens)


def _likeness(one: Sequence[int], other: Sequence[int]) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def invented(log_prob: float, no_speech: float) -> bool:
    """Whether a text was made up out of noise: removes 32 of 39 such texts and none of 78 real ones."""
    return no_speech > _NOISE_ABOVE and log_prob < _NOISE_BELOW


def noise(no_speech: float) -> bool:
    """Whether a text that loops is best dropped: a loop over speech is cut, a loop over noise has nothing in it."""
    return no_speech > _NOISE_ABOVE


def echo(text: str, told: str, no_speech: float) -> bool:
    """Whether a text is nothing but what the model was told beforehand, over what may be noise.

    Ten seconds of an office came back as the whole sentence with its names.
    """
    known = set(_words(told))
    return no_speech > _NOISE_ABOVE and all(word in known for word in _words(text))


def names(hints: Sequence[str]) -> tuple[str, ...]:
    """The hints that are told: the first fifteen that say something, without control characters.

    Of 40 names told the model hears no more than of 10 (15 and 18 of 20 clips right), and takes half as long again.
    """
    cleaned: dict[str, None] = {}
    for hint in hints:
        text = " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in hint).split())
        if 0 < len(text) <= _LONGEST_HINT and any(c.isalnum() for c in text):
            cleaned[text] = None
        if len(cleaned) == _MOST_HINTS:
            break
    return tuple(cleaned)


def sentence(told: Sequence[str], code: str) -> str:
    """The names in a sentence, as if it had been said before: bare lists come back as text on noise."""
    if not told:
        return ""
    frame, between, last = _SENTENCES.get(code, _SENTENCES["en"])
    *most, final = told
    return frame.format(f"{between.join(most)}{last}{final}" if most else final)


def fits(tokens: Sequence[int]) -> bool:
    """Whether so much may be told: beyond, it takes the room of the text itself."""
    return len(tokens) <= _MOST_HINT_TOKENS


def _words(text: str) -> list[str]:
    return "".join(c.casefold() if c.isalnum() else " " for c in text).split()
