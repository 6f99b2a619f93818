"""Text as people write it -> text as it is said. Pure: no state, no clock, time in proportion to the text.

    normalize("Dr. Lee paid $3.50 on 11/21/2026", "basic", "en")
    -> "Doctor Lee paid three dollars and fifty cents on November twenty-first, twenty twenty-six"

Levels: `no` nothing at all; `basic` numbers, money, units, dates, times and titles in words; `advanced` also markup,
emoji, addresses, telephone numbers, abbreviations, acronyms, sums and foreign scripts. docs/text.md lists the rules.
"""

import functools
import re
import unicodedata
from typing import Literal

from voxgate.languages import parse
from voxgate.text.normalize_markup import plain, tidy
from voxgate.text.normalize_other import numbers_said
from voxgate.text.normalize_rules import Rulebook
from voxgate.text.scripts import latin

Level = Literal["no", "basic", "advanced"]

_SAYABLE = re.compile(r"[^\W_]")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = frozenset(("en", "vi", "id", "ms", "fil", "so", "om", "es", "fr", "de", "it", "pt"))
_DAY_FIRST = frozenset(("en-SG",))
_OPEN = re.compile(
    r"(?<=\s)[0-9]++(?!\w|[.,:/–-][0-9])|[_²³]|[^\w\s,.!?;:'’\"“”/-]|[A-ZĐ][a-z]{1,3}\.|[A-ZĐ]{2}|\s\s|-[\s-]|hashtag"
)
"""What a rule may still say something about; a text without these is settled after one walk."""
_PASSES = 4
"""Most walks over a text. One is the rule; the others settle what a rule uncovered (markup inside markup)."""


def normalize(text: str, level: Level, language: str) -> str:
    """`text` as a voice should read it, in NFC; the same again when it is normalized again. Never raises.

    `language`: a BCP-47 tag. English and Vietnamese have rules of their own; other languages get their numbers as far
    as num2words knows them, and `advanced` takes markup and emoji out. A text that has letters keeps some.
    """
    if level == "no":
        return text
    text = unicodedata.normalize("NFC", text)
    for _ in range(_PASSES):
        said = _once(text, level, language)
        if said == text or not _OPEN.search(said):
            return said
        text = said
    return text


def conventions(asked: str | None, spoken: str) -> str:
    """The tag whose habits of writing a text follows: the variant asked for (`en-SG`) where the voice speaks its base.

    `asked`: what a client gave, in any of the registry's spellings, or None; `spoken`: the tag of the voice.
    Raises PeerError `unsupported_language` for what the registry does not know.
    """
    if asked is None or asked.strip().lower() in ("", "auto"):
        return spoken
    wanted = parse(asked)
    return wanted.tag if wanted.base == spoken else spoken


def _once(text: str, level: Level, language: str) -> str:
    base = language.split("-", 1)[0]
    advanced = level == "advanced"
    if advanced:
        bare = plain(text)
        if base in _LATIN:
            brought = latin(bare)
            if brought is None:  # another language altogether: its words stay, without ours among them
                return tidy(bare)
            bare = brought
        if _SAYABLE.search(bare) or not _LETTER.search(text):
            text = bare
    book = _rulebook(language, advanced)
    said = book.apply(text) if book else numbers_said(text, base)
    return tidy(said) if advanced else said


@functools.cache
def _rulebook(language: str, advanced: bool) -> Rulebook | None:
    """Compiled when a language is first spoken: 20 ms."""
    base = language.split("-", 1)[0]
    if base == "en":
        from voxgate.text import normalize_english

        return normalize_english.rulebook(advanced=advanced, day_first=language in _DAY_FIRST)
    if base == "vi":
        from voxgate.text import normalize_vietnamese

        return normalize_vietnamese.rulebook(advanced=advanced)
    return None
