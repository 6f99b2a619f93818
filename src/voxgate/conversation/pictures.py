"""Pictures in a reply: the marks by which a model shows one are taken out of what is said, and names are noticed. Pure.

A model is told to write `[[image:KEY]]` where it wants to show a picture. Small models write the mark with one bracket,
leave it open, or just name the picture: all of that shows it, and nothing of a mark is ever spoken or written. What
comes out depends on the text alone, never on how it arrived.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEAD = r"\[\[?[^\S\n]{0,4}image[^\S\n]{0,4}:"
_KEY = r"[^\[\]\n]{0,88}"
"""What stands in a mark, white space included; what runs on for longer is no mark. Keys are shorter."""
_MARK = re.compile(rf"{_HEAD}({_KEY})(?:\]\]|\](?=[^\]]))", re.IGNORECASE)
_LAST_MARK = re.compile(rf"{_HEAD}({_KEY})\]\]?", re.IGNORECASE)
_OPEN_MARK = re.compile(rf"{_HEAD}[^\S\n]{{0,4}}([^\s\[\]]{{0,80}})", re.IGNORECASE)
"""One that is never closed: the word behind it is its key."""
_BEGUN = re.compile(rf"\[\[?[^\S\n]{{0,4}}(?:i(?:m(?:a(?:g(?:e[^\S\n]{{0,4}}(?::{_KEY}\]?)?)?)?)?)?)?", re.IGNORECASE)
"""What may become a mark with more text."""
_NO_SPACE_BEFORE = ".,;:!?…)]}。，！？"
_LAST_WORD = re.compile(r"\w+\Z")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
"""Scripts written without spaces: a name may begin and end anywhere."""
_SHORTEST = 3
"""Letters of the shortest name that is noticed; a picture whose key is `a` is shown by its mark only."""
_LONGEST = 60
"""Letters of the longest description that counts as a name; longer ones are sentences, which nobody repeats."""

_TOLD = """You can show the user pictures. To show one, write its mark, exactly as it stands here, right before the \
sentence that speaks of it. Marks are not spoken. Show a picture where it fits, never two at once. The marks:"""


@dataclass(frozen=True, slots=True)
class Shown:
    """Here the reply shows a picture."""

    key: str


def instructed(instructions: str, images: Mapping[str, str]) -> str:
    """A system prompt that tells the model which pictures there are. `images`: key -> description, may be empty."""
    if not images:
        return instructions
    lines = [f"[[image:{key}]] {description}".rstrip() for key, description in images.items()]
    return "\n".join([*([instructions, ""] if instructions else []), _TOLD, *lines])


class Pictures:
    """What one reply shows; each picture once. Without any `images` every text comes out as it went in."""

    def __init__(self, images: Mapping[str, str]) -> None:
        self._keys = {_plain(key): key for key in images}
        self._names = [
            (key, streamed, whole)
            for key, description in images.items()
            for name in dict.fromkeys((key, description))
            for streamed, whole in _named(name)
        ]
        self._pending = ""  # not yet looked at, for it may become a mark
        self._space = ""  # white space that waits for what comes behind it
        self._before: str | None = None  # that before a mark, if one was taken out since
        self._said = ""  # as far back as a name may reach
        self._seen = 0  # where in it names may begin
        self._shown: set[str] = set()

    def feed(self, text: str) -> list[str | Shown]:
        """What is to be said and shown of it, in order."""
        return self._take(text, final=False) if self._keys else [text]

    def flush(self) -> list[str | Shown]:
        """The reply is written to its end."""
        return self._take("", final=True) if self._keys else []

    def _take(self, text: str, *, final: bool) -> list[str | Shown]:
        rest = self._pending + text
        out: list[str | Shown] = []
        while (at := rest.find("[")) >= 0:
            found = (_LAST_MARK if final else _MARK).match(rest, at)
            if found is None and not final and _BEGUN.fullmatch(rest, at):
                break
            found = found or _OPEN_MARK.match(rest, at)
            if found is not None:
                self._say(rest[:at], out)
                self._mark(found.group(1), out)
                rest = rest[found.end() :]
            elif final and rest.startswith("[[", at) and _BEGUN.fullmatch(rest, at):  # the limit of tokens cut it off
                self._say(rest[:at], out)
                self._mark("", out)
                rest = ""
            else:
                self._say(rest[: at + 1], out)
                rest = rest[at + 1 :]
        self._pending = rest[at:] if at >= 0 else ""
        self._say(rest[:at] if at >= 0 else rest, out)
        if final:
            self._name("" if self._before is not None else self._space, out, final=True)
        return out

    def _say(self, text: str, out: list[str | Shown]) -> None:
        """Text without marks; the white space around one that was taken out becomes that of one place."""
        begun = text.lstrip()
        lead = self._space + text[: len(text) - len(begun)]
        if not begun:
            self._space = lead
            return
        if self._before is not None:
            lead = "" if begun[0] in _NO_SPACE_BEFORE else lead or self._before
            self._before = None
        body = begun.rstrip()
        self._space = begun[len(body) :]
        self._name(lead + body, out, final=False)

    def _mark(self, key: str, out: list[str | Shown]) -> None:
        self._before, self._space = self._space or self._before or "", ""
        known = self._keys.get(_plain(key))
        if known is not None:
            self._show(known, out)

    def _name(self, text: str, out: list[str | Shown], *, final: bool) -> None:
        """More of what is said, with the pictures that it names, each right behind its name.

        Of the last word of a text that goes on it is not known yet whether it is whole.
        """
        before = len(self._said)
        self._said += text
        found = [
            (match.end(), key)
            for key, streamed, whole in self._names
            if key not in self._shown and (match := (whole if final else streamed).search(self._said, self._seen))
        ]
        at = before
        for end, key in sorted(found):
            if end > at:
                out.append(self._said[at:end])
                at = end
            self._show(key, out)
        if at < len(self._said):
            out.append(self._said[at:])
        last = _LAST_WORD.search(self._said)
        kept = min(len(self._said), max(2 * _LONGEST, len(last.group()) if last else 0) + 1)
        if kept < len(self._said):  # one character more than is searched: a name begins with a word
            self._said, self._seen = self._said[-kept:], 1

    def _show(self, key: str, out: list[str | Shown]) -> None:
        if key not in self._shown:
            self._shown.add(key)
            out.append(Shown(key))


def _plain(key: str) -> str:
    return " ".join(key.casefold().split())


def _named(name: str) -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    """How a picture's name is found in a text that goes on, and in one that is over; nothing where it is none."""
    words = re.findall(r"[^\W_]+", name)
    if not _SHORTEST <= sum(map(len, words)) <= _LONGEST and not _UNSPACED.search(name):
        return []
    joined = r"[\W_]{1,3}".join(map(re.escape, words))
    before = "" if _UNSPACED.match(words[0]) else r"(?<!\w)"
    spaced = not _UNSPACED.match(words[-1][-1])
    return [
        (
            re.compile(before + joined + (r"(?=\W)" if spaced else ""), re.IGNORECASE),
            re.compile(before + joined + (r"(?!\w)" if spaced else ""), re.IGNORECASE),
        )
    ]
