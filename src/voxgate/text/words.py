"""The words of a text as two hearings of the same speech are compared: without case, punctuation and accents of style.

Pure. A word is a run of letters, digits and marks; of scripts that are written without spaces every character is one.
"""

import re
import unicodedata

# Thai, kana, Han: one character, with the marks that belong to it, stands for a word.
_SPACELESS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_SILENT = frozenset("'’ʼー〜～")
"""Left out, so that `don’t` is one word and a vowel may be drawn out."""
_REPEATED = re.compile(r"(.)\1+")


def comparable(text: str) -> tuple[str, ...]:
    """The words, compatibility forms resolved (NFKC) and case folded. Empty where nothing is said."""
    words: list[str] = []
    open_word = False
    for character in unicodedata.normalize("NFKC", text).casefold():
        if character in _SILENT:
            continue
        kind = unicodedata.category(character)[0]
        if kind == "M" and words and open_word:
            words[-1] += character
        elif kind not in "LN":
            open_word = False
        elif open_word and not _SPACELESS.match(character) and not _SPACELESS.match(words[-1]):
            words[-1] += character
        else:
            words.append(character)
            open_word = True
    return tuple(words)


def same_words(one: str, other: str) -> bool:
    """Whether two texts say the same, word for word."""
    return comparable(one) == comparable(other)


def squeezed(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words with every repeated character once: `mmm` and `mm` become `m`, `yeeeah` `yeah`."""
    return tuple(_REPEATED.sub(r"\1", word) for word in words)
