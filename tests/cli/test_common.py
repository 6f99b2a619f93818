import asyncio
import io
import os
import sys
from pathlib import Path

import pytest
import typer

from voxgate.cli.common import errors_told, make_plan, models_on_disk, print_json, print_table, read_settings, run
from voxgate.errors import ConfigError, EngineError, PeerError, StoreError, VoxgateError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("told"), 2),
        (PeerError("told"), 2),
        (StoreError("told"), 1),
        (EngineError("told", engine="e"), 1),
        (VoxgateError("told"), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_status(
    capsys: pytest.CaptureFixture[str], error: VoxgateError, status: int
) -> None:
    with pytest.raises(typer.Exit) as caught, errors_told():
        raise error
    assert caught.value.exit_code == status
    assert capsys.readouterr().err == "voxgate: told\n"


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, errors_told():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), errors_told():
        raise ZeroDivisionError


def test_tables_are_tab_separated_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "b"), [["1", "[bold]x[/]"], ["2", ""]])
    assert capsys.readouterr().out == "1\t[bold]x[/]\n2\t\n"


def test_tables_are_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")  # no colours
    print_table(("name", "state"), [["moonshine", "[ready]"]])
    heading, *_, row = terminal.getvalue().strip().splitlines()
    assert heading.split() == ["name", "state"]
    assert row.split() == ["moonshine", "[ready]"]


def test_json_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": ["ü"]})
    assert capsys.readouterr().out == '{\n  "a": [\n    "ü"\n  ]\n}\n'


def test_work_runs_to_its_result() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert run(work()) == 7


def test_options_win_over_the_environment_and_absent_ones_do_not(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGATE_DATA_DIR", "from-environment")
    monkeypatch.setenv("VOXGATE_PORT", "1234")
    loaded = read_settings(None, Path("from-option"), {"server.port": None, "server.host": "::1"})
    server = loaded.settings.server
    assert (str(server.data_dir), server.port, server.host) == ("from-option", 1234, "::1")
    assert make_plan(None).data_dir == Path.cwd() / "from-environment"


def test_models_lie_where_the_environment_says(here: Path) -> None:
    assert models_on_disk(None).root == Path(os.environ["VOXGATE_MODELS_DIR"])
