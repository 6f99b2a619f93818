"""Text to speakable pieces: whole texts, and a language model's answer while it is still being written.

A cut depends on the text before it and on a bounded stretch after it, never on how the text arrived: `Clauses`
gives the same pieces for every chunking of a text, and `split` is one chunk of it.
"""

import re
import unicodedata

MAX_PIECE = 200
"""Longest piece, in characters. A Piper piece of 3,003 phonemes took 1.7 GB; 200 characters stay near 300 MB."""
LONG_SENTENCE = 40
"""Characters without a stop from which on the first piece may end at a comma; shorter sentences sound better whole."""
FIRST_CLAUSE_WORDS = 3
"""Fewest words before the comma that may end the first piece: the first piece sets the time to the first sound."""

# A stop that needs white space behind it, and one that ends a sentence whatever follows (Chinese, Japanese, Hindi,
# Arabic, Urdu, Amharic: Unicode general punctuation of these scripts).
_WIDE = "。！？；：｡।॥؟؛۔።፤፥፦፧፨"
_NARROW = ".!?;:…"
_WIDE_COMMAS = "，、،፣"
_CLOSERS = "\"'”’»)]}）」』】》〉*_"
_MARKS = re.compile(f"[{re.escape(_NARROW + _WIDE + _WIDE_COMMAS)},\n\r\u2028\u2029]")
_RUN = re.compile(f"[{re.escape(_NARROW + _WIDE + _CLOSERS)}]*")
_LETTER = re.compile(r"[^\W_]")
_LIST_MARKER = re.compile(r"\W*\d{1,3}\.")
_LAST_WORD = re.compile(r"[\w.]+\Z")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
# Scripts written without spaces between sentences: Thai, Ethiopic, kana, Han, Hangul.
_SPACELESS = re.compile("[\u0e00-\u0e7f\u1200-\u137f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

_NEVER_ENDS = re.compile(
    "mr|mrs|ms|mx|dr|prof|hon|rev|gen|col|maj|capt|cpt|lt|sgt|gov|sen|rep|pres|st|mt|ft|vs|cf|ca|approx|dept|est|figs?|"
    "vol|eds?|pp|tel|ext|jan|feb|mar|apr|aug|sept?|oct|nov|dec|tp|ts|ths|gs|pgs|bs|mme|mlle|hr|fr|nr|bzw|sra|srta"
)
"""Abbreviations that something always follows (English, Vietnamese, German, French, Spanish), without the stop."""
_MAY_END = re.compile(r"etc|inc|ltd|co|corp|jr|sr|bros|a\.m|p\.m|am|pm")
"""Abbreviations that end a sentence when a capital follows."""
_LOOK_AHEAD = 8
"""Characters behind such an abbreviation in which that capital is looked for; only white space there: it ends."""


def split(text: str) -> list[str]:
    """The whole `text` as speakable pieces of at most MAX_PIECE characters, in order, without surrounding space.

    Pieces end at `. ! ? ; :`, their counterparts in other scripts, and line ends; the first one may end at a comma.
    Nothing but white space is lost. A piece without any letter or digit can only be the last one.
    """
    clauses = Clauses()
    return clauses.feed(text) + clauses.flush()


class Clauses:
    """Speakable pieces of a text that arrives bit by bit."""

    def __init__(self) -> None:
        self._pending = ""
        self._first = True

    def feed(self, delta: str) -> list[str]:
        """The pieces that `delta` completes; often none. A stop is sure once the character behind it is known."""
        self._pending += delta
        return self._take(final=False)

    def flush(self) -> list[str]:
        """The text has ended: what is left, as pieces. The next `feed` starts a new text."""
        pieces = self._take(final=True)
        self._first = True
        return pieces

    def _take(self, *, final: bool) -> list[str]:
        pieces: list[str] = []
        text = self._pending
        start = _skip_space(text, 0)
        while start < len(text):
            end = _cut(text, start, first=self._first, final=final)
            if end is None:
                break
            pieces.append(text[start:end].rstrip())
            self._first = False
            start = _skip_space(text, end)
        self._pending = text[start:]
        return pieces


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _cut(text: str, start: int, *, first: bool, final: bool) -> int | None:
    """Where the piece that begins at `start` (no white space) ends; None while more text could change the answer."""
    limit = start + MAX_PIECE
    comma: int | None = None
    for mark in _MARKS.finditer(text, start, min(len(text), limit)):
        at = mark.start()
        if comma is not None and at - start >= LONG_SENTENCE:
            return comma
        if mark.group() in ",，、،፣":
            if first and comma is None:
                if at + 1 == len(text) and not final:
                    return None
                if _is_comma(text, at) and _words(text[start:at]) >= FIRST_CLAUSE_WORDS:
                    comma = at + 1
            continue
        end = _stop(text, start, at, limit, final=final)
        if end is None:
            return None
        if end:
            return end
    if comma is not None and len(text) - start >= LONG_SENTENCE:
        return comma
    if len(text) > limit:
        return _cap(text, start, limit)
    return len(text) if final else None


def _stop(text: str, start: int, at: int, limit: int, *, final: bool) -> int | None:
    """The end of the sentence whose stop is at `at`; 0 where that mark ends nothing; None while that is open."""
    mark = text[at]
    if mark in "\n\r\u2028\u2029":
        return at + 1 if _LETTER.search(text, start, at) else 0
    run = _RUN.match(text, at, limit)
    end = run.end() if run else at + 1
    if end == len(text) and not final:
        return None
    if not _LETTER.search(text, start, at) or _LIST_MARKER.fullmatch(text, start, end):
        return 0
    if any(each in _WIDE for each in text[at:end]):
        return end
    if end < len(text) and not text[end].isspace():
        between = _SPACELESS.match(text, at - 1) and _SPACELESS.match(text, end)
        return end if between else 0
    if mark == "." and end == at + 1:
        return _after_word(text, start, at, final=final)
    return end


def _after_word(text: str, start: int, at: int, *, final: bool) -> int | None:
    """As `_stop`, for a single full stop at `at` with white space behind it: is it an abbreviation's?"""
    found = _LAST_WORD.search(text, start, at)
    word = found.group() if found else ""
    known = word.lower()
    if _MAY_END.fullmatch(known) or known == "no":
        ahead = text[at + 1 : at + 1 + _LOOK_AHEAD]
        behind = ahead.lstrip()[:1]
        if not behind and len(ahead) < _LOOK_AHEAD and not final:
            return None
        ends = not behind.isdigit() if known == "no" else not behind or behind.isupper()
        return at + 1 if ends else 0
    spelled = found is not None and text[found.start() - 1 : found.start()] == "-"  # U-S-B, as normalize writes it
    initial = len(word) == 1 and word.isupper() and word != "I" and not spelled
    return 0 if initial or _NEVER_ENDS.fullmatch(known) or _DOTTED.fullmatch(word) else at + 1


def _is_comma(text: str, at: int) -> bool:
    """Whether the mark at `at` is a comma between words (not the one in 1,000)."""
    return text[at] in _WIDE_COMMAS or (text[at] == "," and (at + 1 == len(text) or text[at + 1].isspace()))


def _words(text: str) -> int:
    """About how many words; two characters count as one where a script has no spaces."""
    return max(len(text.split()), len(_SPACELESS.findall(text)) // 2)


def _cap(text: str, start: int, limit: int) -> int:
    """Where to cut a stretch without a stop: the last comma of its second half, else the last space, else anywhere."""
    for at in range(limit - 1, start + MAX_PIECE // 2, -1):
        if _is_comma(text, at):
            return at + 1
    for at in range(limit, start, -1):
        if text[at].isspace():
            return at
    end = limit
    while end > start + MAX_PIECE // 2 and _is_joined(text[end - 1], text[end]):
        end -= 1
    return end


def _is_joined(before: str, after: str) -> bool:
    """Whether a cut between the two would tear a written character apart (accents, vowel signs, joined emoji)."""
    thai_leading_vowel = "\u0e40" <= before <= "\u0e44"
    return unicodedata.category(after)[0] == "M" or "\u200d" in (before, after) or thai_leading_vowel
