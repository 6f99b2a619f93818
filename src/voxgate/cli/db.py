"""`voxgate db`: the database itself."""

import sys

import typer

from voxgate.cli.common import ConfigOption, DataDirOption, JsonOption, errors_told, print_json, read_settings, run

app = typer.Typer(no_args_is_help=True, help="Upgrade and check the database.")


@app.command()
def upgrade(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Bring the database to the schema of this version. `serve` does the same when it starts.

    Make a backup first: there is no way back but that (docs/operations.md).
    """
    with errors_told():
        loaded = read_settings(config, data_dir)

        async def work() -> tuple[str | None, str | None]:
            from voxgate.app import open_database

            async with open_database(loaded.settings) as database:
                before = await database.revision()
                await database.upgrade()
                return before, await database.revision()

        before, after = run(work())
        if before == after:
            sys.stdout.write(f"the schema is at {after} already\n")
        else:
            sys.stdout.write(f"upgraded the schema from {before or 'nothing'} to {after}\n")


@app.command()
def check(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the database is whole and at the schema of this version; nothing is changed.

    Exits with 1 where it is not. What it holds is checked by `voxgate credits audit`.
    """
    with errors_told():
        loaded = read_settings(config, data_dir)

        async def work() -> tuple[str, str | None, list[str]]:
            from voxgate.app import open_database
            from voxgate.store.checkup import checkup

            async with open_database(loaded.settings) as database:
                return database.dialect, *await checkup(database)

        dialect, revision, problems = run(work())
        if as_json:
            print_json({"database": dialect, "revision": revision, "problems": problems})
        else:
            sys.stdout.write(f"{dialect}, schema {revision or 'none'}: {'not ' if problems else ''}in order\n")
            for problem in problems:
                sys.stdout.write(f"{problem}\n")
        if problems:
            raise typer.Exit(1)
