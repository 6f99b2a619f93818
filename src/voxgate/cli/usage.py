"""`voxgate usage`: what was delivered, for whoever writes the bills."""

import sys
from typing import Annotated

import typer

from voxgate.cli.common import ConfigOption, DataDirOption, errors_told, read_settings, run

app = typer.Typer(no_args_is_help=True, help="Export what was delivered and what it cost.")

FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="WHEN", help="First moment that counts: 2026-11-01, 2026-11-01T09:30Z; UTC."),
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="WHEN", help="First moment that counts no more.")]


@app.command()
def export(
    since: FromOption = None,
    until: ToOption = None,
    org: Annotated[str | None, typer.Option(help="Only this organization.")] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the usage as CSV to stdout, oldest first.

    \b
    voxgate usage export --from 2026-11-01 --to 2026-12-01 > november.csv
    """
    from voxgate.books import UsageQuery

    with errors_told():
        from voxgate.services.usage import check_order, parse_moment

        loaded = read_settings(config, data_dir)
        query = UsageQuery(
            since=None if since is None else parse_moment(since, param="from"),
            until=None if until is None else parse_moment(until, param="to"),
        )
        check_order(query)

        async def work() -> None:
            from dataclasses import replace

            from voxgate.app import open_store
            from voxgate.services.usage import UsageReports
            from voxgate.store.usage import SqlUsage

            async with open_store(loaded.settings) as (database, accounts):
                wanted = query if org is None else replace(query, org_id=(await accounts.organization(org)).id)
                async for lines in UsageReports(SqlUsage(database)).csv(wanted):
                    sys.stdout.write(lines)

        run(work())
