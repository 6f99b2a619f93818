"""From phonemes to the symbol ids Kokoro reads, keeping for every id the word it belongs to. Pure.

Kokoro was trained on the phonemes of misaki (Apache-2.0), which are IPA with letters of its own for English diphthongs.
What espeak-ng says is rewritten to that; the rewriting follows misaki 0.9.4, espeak.py, without the tie characters it
asks espeak for.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from voxgate.engines.piper_text import Pronounced, owners

MOST_IDS = 510
"""Ids of one run, without the two zeros around them: the model's position table ends there."""
RUN_IDS = 200
"""Longer pieces are cut at a word before this many ids, about 12 s of speech: what is made at once must fit in memory
(300 ids have taken 1.6 GB; 200 as a rule 0.5, spoken slowly once 2.8), and its listener waits for all of it."""
TOP_ID = 177
"""The highest id. Above 255 the model fails; a negative id it takes without a word, and speaks something else."""

_SYMBOLS = {
    1: ";:,.!?",
    9: '—…"()“” ̃ʣʥʦʨᵝꭧAI',
    31: "O",
    33: "Q",
    35: "ST",
    39: "W",
    41: "Yᵊabcdef",
    50: "hijklmnopqrstuvwxyzɑɐɒæ",
    75: "βɔɕç",
    80: "ɖðʤə",
    85: "ɚɛɜ",
    90: "ɟ",
    92: "ɡ",
    99: "ɥ",
    101: "ɨɪʝ",
    110: "ɯɰŋɳɲɴø",
    118: "ɸθœ",
    123: "ɹ",
    125: "ɾɻ",
    128: "ʁɽʂʃʈʧ",
    135: "ʊʋ",
    138: "ʌɣɤ",
    142: "χʎ",
    147: "ʒʔ",
    156: "ˈˌː",
    162: "ʰ",
    164: "ʲ",
    169: "↓",
    171: "→↗↘",
    177: "ᵻ",
}
SYMBOLS: Mapping[str, int] = {
    symbol: first + offset for first, run in _SYMBOLS.items() for offset, symbol in enumerate(run)
}
"""Symbol -> id: config.json of hexgrad/Kokoro-82M, sha256 of the vocabulary ba536e21… (see docs/models.md)."""

_ENGLISH = (
    ("ʔˌn\u0329", "ʔn"),
    ("ʔn\u0329", "ʔn"),
    ("aɪ", "I"),
    ("aʊ", "W"),
    ("dʒ", "ʤ"),
    ("eɪ", "A"),
    ("tʃ", "ʧ"),
    ("ɔɪ", "Y"),
    ("ʲo", "jo"),
    ("ʲə", "jə"),
    ("ʲ", ""),
    ("ɚ", "əɹ"),
    ("r", "ɹ"),
    ("x", "k"),
    ("ç", "k"),
    ("ɐ", "ə"),
    ("ɬ", "l"),
    ("\u0303", ""),
)
DIALECTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "american": (
        *_ENGLISH,
        ("oʊ", "O"),
        ("ɜːɹ", "ɜɹ"),
        ("ɜː", "ɜɹ"),
        ("ɪə", "iə"),
        ("ː", ""),
        ("e", "A"),
        ("o", "ɔ"),
        ("ɾ", "T"),
        ("ʔ", "t"),
    ),
    "british": (
        *_ENGLISH,
        ("eə", "ɛː"),
        ("iə", "ɪə"),
        ("əʊ", "Q"),
        ("e", "A"),
        ("o", "ɔ"),
        ("ɾ", "T"),
        ("ʔ", "t"),
    ),
    "other": (
        ("aɪ", "I"),
        ("aʊ", "W"),
        ("dz", "ʣ"),
        ("dʒ", "ʤ"),
        ("eɪ", "A"),
        ("oʊ", "O"),
        ("əʊ", "Q"),
        ("ts", "ʦ"),
        ("tʃ", "ʧ"),
        ("ɔɪ", "Y"),
        ("-", ""),
    ),
    "": (),
}
"""What espeak-ng writes -> what the model reads, applied in order. The empty dialect is misaki's own writing."""

_SYLLABIC = re.compile("(\\S)\u0329")
_DARK_L = re.compile("əl(?=$|[^aeiouæɑɐɒɔəɛɜɪʊʌAIOQWYᵻˈˌ])")  # bottle, not allow: espeak ties the two, untied here

Spans = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Symbols:
    """What one run of the model reads."""

    ids: tuple[int, ...]
    """At most MOST_IDS, without the zeros around them."""
    words: Spans
    """(word, first id, id behind its last); in order. Ids of punctuation and spaces belong to no word."""
    dropped: int
    """Characters the model has no symbol for, left out."""


def rewrite(ipa: str, dialect: str) -> str:
    """The phonemes as Kokoro was taught to read them; spaces between groups stay as they are."""
    text = unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç")
    for old, new in DIALECTS[dialect]:
        text = text.replace(old, new)
    if dialect in ("american", "british"):
        text = _DARK_L.sub("ᵊl", _SYLLABIC.sub(r"ᵊ\1", text))
    return text.replace("\u0329", "")


def symbols(said: Sequence[Pronounced], dialect: str) -> list[Symbols]:
    """What the model reads of a piece, in one run or, where it is very long, in several."""
    text = ""
    owned: list[int | None] = []
    words: list[str] = []
    for clause in said:
        alone = [rewrite(ipa, dialect) for _, ipa in clause.words]
        spoken = rewrite(clause.ipa, dialect)
        text += spoken + clause.mark + " "
        own = [None if owner is None else owner + len(words) for owner in owners(spoken, alone)]
        owned += [*own, *[None] * (len(clause.mark) + 1)]
        words += [word for word, _ in clause.words]
    kept = [(SYMBOLS[symbol], owner) for symbol, owner in zip(text, owned, strict=True) if symbol in SYMBOLS]
    while kept and kept[-1][0] == SYMBOLS[" "]:
        kept.pop()
    dropped = sum(symbol not in SYMBOLS for symbol in text)
    runs: list[Symbols] = []
    told = 0
    for start, end in _runs([number for number, _ in kept]):
        run = kept[start:end]
        last = end == len(kept)
        top = len(words) if last else max((o + 1 for _, o in run if o is not None), default=told)
        runs.append(Symbols(tuple(i for i, _ in run), _spans(run, words, told, max(told, top)), 0 if runs else dropped))
        told = max(told, top)
    return runs


def _runs(ids: Sequence[int]) -> Iterable[tuple[int, int]]:
    """[start, end) of each run: at most RUN_IDS ids, cut at a space where there is one."""
    start = 0
    while len(ids) - start > RUN_IDS:
        end = start + RUN_IDS
        spaces = [at for at in range(start + RUN_IDS // 2, end) if ids[at] == SYMBOLS[" "]]
        end = spaces[-1] + 1 if spaces else end
        yield start, end
        start = end
    if start < len(ids):
        yield start, len(ids)


def _spans(run: Sequence[tuple[int, int | None]], words: Sequence[str], first: int, behind: int) -> Spans:
    """Where in the run the words `first` to `behind` lie; a word without a sound of its own has no length."""
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for at, (_, owner) in enumerate(run):
        if owner is not None:
            begins.setdefault(owner, at)
            ends[owner] = at + 1
    out: list[tuple[str, int, int]] = []
    reached = min(begins.values(), default=0)
    for number in range(first, behind):
        start = max(reached, begins.get(number, reached))
        reached = max(start, ends.get(number, start))
        out.append((words[number], start, reached))
    return tuple(out)
