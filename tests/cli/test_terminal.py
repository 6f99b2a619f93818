import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from voxgate.cli.terminal import LiveLine, can_rewrite, printable, tail


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "21")
    monkeypatch.delenv("NO_COLOR", raising=False)


def seen(written: str) -> str:
    """What a terminal shows of it: a line is written over from its start."""
    lines, column = [""], 0
    for part in re.findall(r"\r|\n|\x1b\[K|\x1b\[\d?m|[^\r\n\x1b]+", written):
        if part == "\n":
            lines.append("")
            column = 0
        elif part == "\r":
            column = 0
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif not part.startswith("\x1b"):
            lines[-1] = lines[-1][:column] + part + lines[-1][column + len(part) :]
            column += len(part)
    return "\n".join(lines)


def test_a_line_changes_in_place_until_it_stays() -> None:
    terminal = Terminal()
    line = LiveLine(terminal)
    assert line.shows_changes
    line.change("one to")
    line.change("one")
    assert seen(terminal.getvalue()) == "one"
    line.stay("One two.", "thr")
    assert seen(terminal.getvalue()) == "One two.\nthr"
    line.change("")
    assert seen(terminal.getvalue()) == "One two.\n"


def test_the_newest_words_are_shown_where_not_all_fit() -> None:
    terminal = Terminal()
    LiveLine(terminal).change("the quick brown fox jumps over")
    assert seen(terminal.getvalue()) == "…rown fox jumps over"


def test_nothing_is_written_twice() -> None:
    terminal = Terminal()
    line = LiveLine(terminal)
    line.change("")
    line.change("one")
    written = terminal.getvalue()
    line.change("one")
    assert terminal.getvalue() == written


def test_elsewhere_only_what_stays_is_written() -> None:
    out = io.StringIO()
    line = LiveLine(out)
    line.change("one to")
    line.stay("One two.", "three")
    assert (line.shows_changes, out.getvalue()) == (False, "One two.\n")


@pytest.mark.parametrize(("term", "can"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_terminal_has_to_be_able_to(monkeypatch: pytest.MonkeyPatch, term: str, can: bool) -> None:
    monkeypatch.setenv("TERM", term)
    assert can_rewrite(Terminal()) is can
    assert can_rewrite(io.StringIO()) is False


def test_colours_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    LiveLine(terminal).change("one")
    assert "m" not in terminal.getvalue()


def test_a_text_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc\x9bd") == "a [2Jb c d"
    terminal = Terminal()
    LiveLine(terminal).stay("a\x1b]0;title\x07b")
    assert "\x1b]" not in terminal.getvalue()


@given(st.text(alphabet="abc 漢字한é"), st.integers(1, 30))
def test_a_tail_fits_and_is_an_end_of_the_text(text: str, columns: int) -> None:
    shown = tail(text, columns)
    assert cell_len(shown) <= columns
    assert text.endswith(shown.removeprefix("…"))
    if cell_len(text) <= columns:
        assert shown == text
    else:
        assert shown.startswith("…")
        assert cell_len(shown) >= columns - 1
