"""`voxgate credits audit`: the books recomputed."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from voxgate.cli.common import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    errors_told,
    print_json,
    print_table,
    read_settings,
    run,
)

if TYPE_CHECKING:
    from voxgate.books import AuditReport, Posted

_PAGE = 1000


def audit(
    postings: Annotated[bool, typer.Option("--postings", help="List every posting and its usage.")] = False,
    org: Annotated[str | None, typer.Option(help="With --postings: only those of this organization.")] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute every balance, hold and usage from the postings; exits with 1 where anything differs.

    \b
    voxgate credits audit
    voxgate credits audit --postings --org acme
    """
    with errors_told():
        loaded = read_settings(config, data_dir)

        async def work() -> "AuditReport":
            from voxgate.app import open_store
            from voxgate.store.audit import SqlAudit

            async with open_store(loaded.settings) as (database, accounts):
                store = SqlAudit(database)
                if org is not None:
                    await accounts.organization(org)
                behind = 0
                while postings and (page := await store.postings(org, after=behind, limit=_PAGE)):
                    sys.stdout.writelines(_lines(page))
                    behind = page[-1].id
                return await store.audit()

        report = run(work())
        if not postings:
            _show(report, as_json)
        for difference in report.differences:
            sys.stderr.write(f"{difference}\n")
        if report.differences:
            raise typer.Exit(1)


def _lines(page: "Sequence[Posted]") -> Iterator[str]:
    from voxgate.services.billing import to_credits

    for row in page:
        work = row.usage_id or ("" if row.hold_id is None else f"no usage, hold {row.hold_id}")
        cells = (
            str(row.id),
            row.at.isoformat(timespec="seconds"),
            row.org_name,
            row.kind,
            to_credits(row.amount),
            row.surface or "",
            row.request_id or "",
            work,
        )
        yield "\t".join(cells) + "\n"


def _show(report: "AuditReport", as_json: bool) -> None:
    from voxgate.services.billing import to_credits

    rows = [
        {
            "org": org.org_name,
            "postings": str(org.postings),
            "granted": to_credits(org.granted),
            "charged": to_credits(org.charged),
            "balance": _signed(org.available),
            "held": _signed(org.held),
        }
        for org in report.organizations
    ]
    if as_json:
        print_json({"organizations": rows, "differences": list(report.differences)})
        return
    print_table(("org", "postings", "granted", "charged", "balance", "held"), [list(row.values()) for row in rows])
    if not report.differences:
        sys.stderr.write("every balance, hold and usage agrees with the postings\n")


def _signed(micro: int) -> str:
    """Credits that only broken books make negative."""
    from voxgate.services.billing import to_credits

    return to_credits(micro) if micro >= 0 else f"-{to_credits(-micro)}"
