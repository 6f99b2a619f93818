"""Words that are still changing, on a terminal: one line, written anew in place until its text is final."""

import os
import shutil
from typing import TextIO

_TO_START, _CLEAR, _DIM, _PLAIN = "\r", "\x1b[K", "\x1b[2m", "\x1b[0m"  # ECMA-48: CR, EL, SGR 2, SGR 0


def can_rewrite(out: TextIO) -> bool:
    """Whether lines can be written anew there."""
    return out.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def printable(text: str) -> str:
    """The text without what a terminal would obey instead of show."""
    return "".join(character if character.isprintable() else " " for character in text)


def tail(text: str, columns: int) -> str:
    """The end of a text that fits in so many columns, behind `…` where something was left out.

    Wide characters (Chinese, Japanese, Korean) take two columns.
    """
    from rich.cells import cell_len

    if cell_len(text) <= columns:
        return text
    taken, room = len(text), columns - 1
    while taken and (width := cell_len(text[taken - 1])) <= room:
        room -= width
        taken -= 1
    return "…" + text[taken:]


class LiveLine:
    """Lines that stay, and below them one that changes. Elsewhere than on a terminal: the lines that stay, alone."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rewrites = can_rewrite(out)
        self._shown = ""

    @property
    def shows_changes(self) -> bool:
        """Whether anybody sees what `change` is given."""
        return self._rewrites

    def change(self, text: str) -> None:
        """The changing line says this now; empty: there is none."""
        if not self._rewrites or text == self._shown:
            return
        self._shown = text
        fitting = tail(printable(text), max(1, shutil.get_terminal_size().columns - 1))
        dim, plain = ("", "") if "NO_COLOR" in os.environ or not text else (_DIM, _PLAIN)
        self._write(f"{_TO_START}{dim}{fitting}{plain}{_CLEAR}")

    def stay(self, text: str, changing: str = "") -> None:
        """A line that is not changed any more, and what the changing line below it says from now on."""
        if self._rewrites:
            self._shown = ""
            self._write(f"{_TO_START}{_CLEAR}{printable(text)}\n")
            self.change(changing)
        else:
            self._write(f"{printable(text)}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
