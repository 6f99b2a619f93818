"""Words with times to subtitles a person can read: SubRip and WebVTT.

Cues follow the broadcasters' habits: two lines of at most 42 characters (16 where characters are wide), at most 7 s,
broken at the end of a sentence or where the speaker pauses (Netflix Timed Text Style Guide, general requirements; BBC
Subtitle Guidelines, 2024).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

LINE, LINES = 42, 2
"""Characters a line, lines a cue."""
WIDE_LINE = 16
"""Characters a line in scripts without spaces."""
LONGEST_S = 7.0
"""Seconds a cue stays."""
PAUSE_S = 0.6
"""A pause that ends a cue."""
SHORTEST_S = 0.6
"""Seconds a cue stays at least, where the next one leaves it the time."""

_SPACELESS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_SENTENCE = re.compile(r"[.!?…。！？።][\"'”’)»]*$")
_CLAUSE = re.compile(r"[,;:،、，；：፣][\"'”’)»]*$")


@dataclass(frozen=True, slots=True)
class Timed:
    """A word and its place in the recording, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown, and from when until when, in seconds."""

    lines: tuple[str, ...]
    start: float
    end: float


def place(text: str, words: Sequence[Timed], start: float, end: float) -> list[Timed]:
    """The words of `text` with the times of `words`, which may be spelled or split otherwise.

    Words the two have in common keep their times; what lies between shares the time between, by length. `start` and
    `end` (seconds) bound what has no time of its own: all of it where `words` is empty.
    """
    tokens = _tokens(text)
    known: dict[int, Timed] = {}
    spoken = [_bare(word.text) for word in words]
    for block in SequenceMatcher(
        None, [_bare(token) for token in tokens], spoken, autojunk=False
    ).get_matching_blocks():
        for offset in range(block.size):
            known[block.a + offset] = words[block.b + offset]
    placed: list[Timed] = []
    at = 0
    while at < len(tokens):
        if at in known:
            placed.append(Timed(tokens[at], known[at].start, known[at].end))
            at += 1
            continue
        behind = at
        while behind < len(tokens) and behind not in known:
            behind += 1
        first = placed[-1].end if placed else start
        last = max(first, known[behind].start if behind < len(tokens) else end)
        whole = sum(len(token) for token in tokens[at:behind])
        told = 0
        for token in tokens[at:behind]:
            begins = first + (last - first) * told / whole
            told += len(token)
            placed.append(Timed(token, begins, first + (last - first) * told / whole))
        at = behind
    return placed


def cues(words: Iterable[Timed]) -> list[Cue]:
    """Words in order, cut into cues that do not overlap."""
    groups: list[list[Timed]] = []
    for word in words:
        if groups and not _ends_cue(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    shown = [Cue(_lines(group), group[0].start, group[-1].end) for group in groups]
    timed = []
    for number, cue in enumerate(shown):
        latest = shown[number + 1].start if number + 1 < len(shown) else float("inf")
        end = min(max(cue.end, cue.start + SHORTEST_S), latest)
        timed.append(Cue(cue.lines, cue.start, max(end, cue.start + 0.001)))  # players skip a cue of no length
    return timed


def srt(found: Sequence[Cue]) -> str:
    """SubRip: numbered cues, times with a comma."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n\n"
        for number, cue in enumerate(found, 1)
    )


def vtt(found: Sequence[Cue]) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/): its header, times with a point, markup characters escaped."""
    body = "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n" + "\n".join(map(_escaped, cue.lines)) + "\n\n"
        for cue in found
    )
    return f"WEBVTT\n\n{body}"


def _ends_cue(group: Sequence[Timed], word: Timed) -> bool:
    shown = _joined([each.text for each in group])
    width = WIDE_LINE if _SPACELESS.search(shown) else LINE
    fits = _fits(_joined([shown, word.text]), width)
    if not fits or word.end - group[0].start > LONGEST_S or word.start - group[-1].end >= PAUSE_S:
        return True
    if _SENTENCE.search(shown):
        return True
    return bool(_CLAUSE.search(shown)) and len(shown) > width * LINES * 0.7


def _fits(text: str, width: int) -> bool:
    return len(text) <= width or len(_wrapped(text, width)) <= LINES


def _lines(group: Sequence[Timed]) -> tuple[str, ...]:
    text = _joined([word.text for word in group])
    width = WIDE_LINE if _SPACELESS.search(text) else LINE
    return tuple(_wrapped(text, width))


def _wrapped(text: str, width: int) -> list[str]:
    """One line if it fits; else two as even as the words allow; else as many as it takes."""
    if len(text) <= width:
        return [text]
    breaks = [match.start() for match in re.finditer(" ", text)]
    if _SPACELESS.search(text):
        breaks = list(range(1, len(text)))
    even = [at for at in breaks if at <= width and len(text[at:].strip()) <= width]
    if even:
        middle = min(even, key=lambda at: abs(2 * at - len(text)))
        return [text[:middle].strip(), text[middle:].strip()]
    at = max((at for at in breaks if at <= width), default=width)
    return [text[:at].strip(), *_wrapped(text[at:].strip(), width)]


def _tokens(text: str) -> list[str]:
    """Words, or single characters where a script writes none apart; a mark stays with what it follows."""
    tokens: list[str] = []
    for part in text.split():
        if not _SPACELESS.search(part):
            tokens.append(part)
            continue
        tokens.extend(re.findall(r"[\w\u0e31\u0e34-\u0e3a\u0e47-\u0e4e][^\w\s]*|[^\w\s]+", part))
    return tokens


def _joined(parts: Sequence[str]) -> str:
    """Parts in a line: a space between, except between characters of scripts that have none."""
    line = parts[0]
    for before, part in pairwise(parts):
        glue = "" if _SPACELESS.search(before[-1:]) or _SPACELESS.search(part[:1]) else " "
        line += glue + part
    return line


def _bare(word: str) -> str:
    return re.sub(r"\W+", "", word).casefold()


def _clock(seconds: float, mark: str) -> str:
    whole, millis = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{millis:03}"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
