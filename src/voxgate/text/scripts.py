"""Writing systems a Latin-script voice stumbles over, brought into Latin letters where letters can be, else left out.

espeak-ng says "Chinese letter" for each Han character and spells Cyrillic (measured 2026-11, notes of the voices); a
listener gets more from "Tokyo" alone than from "Tokyo (Chinese letter Chinese letter)".
"""

import re
import unicodedata

_CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў",
        "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya yo i yi ye g u".split(" "),
        strict=True,
    )
)
"""Russian, Ukrainian and Belarusian, after BGN/PCGN 1947 and 1965 without their apostrophes."""
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split(" "),
        strict=True,
    )
)
"""ISO 843, transcription."""
_GREEK_NAMES = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi "
        "chi psi omega".split(" "),
        strict=True,
    )
)
_HEPBURN = {"SI": "shi", "TI": "chi", "TU": "tsu", "HU": "fu", "ZI": "ji", "DI": "ji", "DU": "zu"}
"""Kana whose names in Unicode (Nihon-shiki) an English reader would say wrong; Hangul's names are as they are said."""
_FOREIGN = re.compile(
    "[\u0370-\u03ff\u1f00-\u1fff]+"
    "|[\u0400-\u052f]+"
    "|[\u0530-\u1cff\u2c00-\u2ddf\u2e80-\u2fff\u3001-\u303f\u3040-\ua95f\ua980-\ud7ff\uf900-\ufaff"
    "\ufb1d-\ufdff\ufe30-\ufeff\uff00-\uffef\U00010000-\U0001d3ff\U00020000-\U0003ffff]+"
)
_LETTER = re.compile(r"[^\W_]")
_FOREIGN_PUNCTUATION = str.maketrans(
    {
        **{"，": ", ", "、": ", ", "。": ". ", "！": "! ", "？": "? ", "；": "; ", "：": ": ", "．": "."},
        **{"（": " (", "）": ") ", "「": '"', "」": '"', "『": '"', "』": '"', "　": " ", "％": "%"},
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **{chr(0xFF21 + letter): chr(0x41 + letter) for letter in range(26)},
        **{chr(0xFF41 + letter): chr(0x61 + letter) for letter in range(26)},
    }
)
_EMPTY_BRACKETS = re.compile(r"\s?(?:\(\s*[,;]?\s*\)|\[\s*\]|\"\s*\"|“\s*”|‘\s*’)")


def latin(text: str) -> str | None:
    """The text in Latin letters.

    Cyrillic, Greek, kana and Hangul are transcribed, a Greek letter alone is named, every other script is left out,
    together with the brackets it stood in. None where that would leave no letter and no figure.
    """
    if text.isascii():
        return text
    text = text.translate(_FOREIGN_PUNCTUATION)
    brought = _FOREIGN.sub(lambda found: _transcribed(found.group()), text)
    if brought == text:
        return text
    return _EMPTY_BRACKETS.sub("", brought) if _LETTER.search(brought) else None


def _transcribed(run: str) -> str:
    bare = unicodedata.normalize("NFD", run.lower())
    if "\u0370" <= run[0] <= "\u1fff" and run[0] not in _CYRILLIC and bare[0] in _GREEK:
        letters = [letter for letter in bare if letter in _GREEK]
        if len(run) == 1:
            return _GREEK_NAMES.get(letters[0], "sigma")
        return _cased(run, "".join(_GREEK[letter] for letter in letters))
    if "\u0400" <= run[0] <= "\u052f":
        composed = unicodedata.normalize("NFC", run.lower())
        return _cased(run, "".join(_CYRILLIC.get(letter, "") for letter in composed).replace("-", ""))
    return "".join(_syllable(letter) for letter in unicodedata.normalize("NFC", run))


def _cased(run: str, said: str) -> str:
    return said.capitalize() if run[0].isupper() else said


def _syllable(letter: str) -> str:
    """The Latin name that Unicode itself gives a syllable of Hangul or kana; nothing for other letters."""
    name = unicodedata.name(letter, "")
    kind, _, syllable = name.rpartition(" ")
    if kind == "HANGUL SYLLABLE":
        return syllable.lower()
    if kind in ("HIRAGANA LETTER", "KATAKANA LETTER"):
        return _HEPBURN.get(syllable, syllable.lower())
    return ""
