"""Word error rate, and the normalizer that makes two ways of writing the same words equal.

What is made equal, and nothing else: case; punctuation; hyphens and joined compounds listed below; contractions that
can be read one way; titles; numbers in figures (up to 99 as said, years as pairs, anything longer digit by digit; "oh"
between digits is zero). Spelling variants are not, and neither are words that merely sound alike.
"""

import re
from collections.abc import Sequence

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_DIGITS = frozenset(_ONES[:10])
_CONTRACTIONS = (("n't", " not"), ("'ve", " have"), ("'re", " are"), ("'ll", " will"), ("'m", " am"))
_WORDS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "okay": "ok"}
_JOINED = (("to morrow", "tomorrow"), ("realtime", "real time"), ("can not", "cannot"))


def normalize(text: str) -> list[str]:
    """The words of a text as they are compared."""
    text = text.casefold().replace("’", "'")
    text = text.replace("won't", "will not").replace("can't", "cannot")
    for short, full in _CONTRACTIONS:
        text = text.replace(short, full)
    text = re.sub(r"\d+", lambda match: f" {_spoken(match.group())} ", text)
    text = " ".join(re.sub(r"[^\w']+|_", " ", text).split())
    for apart, joined in _JOINED:
        text = re.sub(rf"\b{apart}\b", joined, text)
    words = [_WORDS.get(word, word) for word in (word.strip("'") for word in text.split()) if word]
    return ["zero" if word in ("oh", "o") and _beside_digit(words, at) else word for at, word in enumerate(words)]


def _spoken(figures: str) -> str:
    if len(figures) <= 2 and not (len(figures) == 2 and figures[0] == "0"):
        return _below_hundred(int(figures))
    if len(figures) == 4 and figures[0] == "1" and figures[1] != "0" and figures[2] != "0":
        return f"{_below_hundred(int(figures[:2]))} {_below_hundred(int(figures[2:]))}"
    return " ".join(_ONES[int(figure)] for figure in figures)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")


def _beside_digit(words: Sequence[str], at: int) -> bool:
    return any(0 <= k < len(words) and words[k] in _DIGITS for k in (at - 1, at + 1))


def digits(text: str) -> str:
    """The digits that are said in a text, in figures and in words."""
    return "".join(str(_ONES.index(word)) for word in normalize(text) if word in _DIGITS)


def distance(reference: Sequence[object], hypothesis: Sequence[object]) -> int:
    """Fewest insertions, deletions and substitutions that turn one into the other (Levenshtein, 1965)."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        above_left, row[0] = row[0], i
        for j, said in enumerate(hypothesis, start=1):
            above_left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above_left + (wanted != said))
    return row[-1]


def errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(word errors, words of the reference)."""
    wanted = normalize(reference)
    return distance(wanted, normalize(hypothesis)), len(wanted)


def wer(pairs: Sequence[tuple[str, str]]) -> float:
    """Errors of all (reference, hypothesis) pairs over words of all references."""
    counted = [errors(reference, hypothesis) for reference, hypothesis in pairs]
    return sum(wrong for wrong, _ in counted) / max(sum(words for _, words in counted), 1)
