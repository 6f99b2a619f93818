"""What the commands share: their common options, errors as one line, tables, progress."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from voxgate.config import Loaded
    from voxgate.models.store import ModelStore
    from voxgate.planning import Plan, VoxgateSettings
    from voxgate.services.accounts import Accounts

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file. [VOXGATE_CONFIG; default: ./voxgate.toml if there is one]"),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the database. [VOXGATE_DATA_DIR; default: ./data]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def make_plan(
    config: Path | None,
    data_dir: Path | None = None,
    overrides: dict[str, Any] | None = None,
    *,
    level: str = "warning",
) -> "Plan":
    """What is to run, engines included. `level` is for commands that are no server; empty: as configured."""
    from voxgate.planning import plan

    return run(plan(read_settings(config, data_dir, overrides, level=level), os.environ))


def read_settings(
    config: Path | None,
    data_dir: Path | None = None,
    overrides: dict[str, Any] | None = None,
    *,
    level: str = "warning",
) -> "Loaded[VoxgateSettings]":
    """The configuration of this command, with logging set up; no engine is looked at."""
    from voxgate.observe import configure_logging
    from voxgate.planning import load_settings

    chosen = {key: value for key, value in (overrides or {}).items() if value is not None}
    if data_dir is not None:
        chosen["server.data_dir"] = str(data_dir)
    loaded = load_settings(config, os.environ, chosen)
    configured = loaded.settings.log
    configure_logging(configured if level == "" else configured.model_copy(update={"level": level}))
    return loaded


def models_on_disk(config: Path | None) -> "ModelStore":
    """The weights of this machine, as this configuration finds them."""
    from voxgate.planning import model_store

    return model_store(read_settings(config).settings, os.environ)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, on a fast event loop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def interruptible() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets, so that what runs can end well; pressed again, Ctrl-C ends the command as ever."""
    loop = asyncio.get_running_loop()
    pressed = asyncio.Event()

    def press() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        pressed.set()

    loop.add_signal_handler(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def with_accounts(loaded: "Loaded[VoxgateSettings]", work: "Callable[[Accounts], Awaitable[T]]") -> T:
    """The result of some work on the accounts of an installation."""
    from voxgate.app import open_store

    async def inside() -> T:
        async with open_store(loaded.settings) as (_, accounts):
            return await work(accounts)

    return run(inside())


def print_json(value: Any) -> None:
    """A value as JSON on stdout."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings: drawn on a terminal, tab-separated anywhere else."""
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number == 0, overflow="fold")  # the first column is what one types again
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


@contextmanager
def errors_told() -> Iterator[None]:
    """Errors of Voxgate as one line on stderr and an exit status: 2 where the command was wrong, else 1."""
    from voxgate.errors import ConfigError, PeerError, VoxgateError

    try:
        yield
    except VoxgateError as error:
        sys.stderr.write(f"voxgate: {error.message}\n")
        raise typer.Exit(2 if isinstance(error, ConfigError | PeerError) else 1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `voxgate … | head` is no error
        raise typer.Exit(0) from None
