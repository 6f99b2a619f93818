"""`voxgate sessions`: what was said in conversations, for whoever runs the server; and how it is erased on request."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

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
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from voxgate.calls import TurnRecord
    from voxgate.records import KeptSession
    from voxgate.store.sessions import SqlSessions

app = typer.Typer(no_args_is_help=True, help="Look at conversations on record, and erase them.")

SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="Its id, as clients and `list` know it.")]


@app.command("list")
def list_sessions(
    org: Annotated[str | None, typer.Option(help="Only this organization.")] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only those that began before: 2026-11-01, 2026-11-01T09:30Z; UTC."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """The conversations on record, newest first: id, organization, begin, length, how it ended, turns."""
    with errors_told():
        from voxgate.services.usage import parse_moment

        moment = None if before is None else parse_moment(before, param="before")
        found = _ask(config, data_dir, lambda store: store.sessions(org_name=org, before=moment, limit=limit))
        if as_json:
            print_json([_session(kept) for kept in found])
            return
        print_table(
            ("session", "organization", "began", "seconds", "ended", "turns"),
            [
                (
                    kept.opened.id,
                    kept.org_name,
                    kept.opened.started_at.isoformat(timespec="seconds"),
                    "" if kept.ended_at is None else f"{(kept.ended_at - kept.opened.started_at).total_seconds():.0f}",
                    kept.reason or "",
                    str(kept.turns),
                )
                for kept in found
            ],
        )


@app.command()
def show(
    session: SessionArgument,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """What was said in a conversation, what was heard of the answers, and how long each answer took."""
    with errors_told():
        found = _ask(config, data_dir, lambda store: store.turns(session))
        if found is None:
            raise _unknown(session)
        kept, turns = found
        if as_json:
            print_json(_session(kept) | {"turns": [_turn(record) for record in turns]})
            return
        for record in turns:
            _print_turn(record)


@app.command()
def erase(session: SessionArgument, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Erase a conversation from the record, for good. What is said in one that goes on is not recorded any more."""
    with errors_told():
        if not _ask(config, data_dir, lambda store: store.erase(session)):
            raise _unknown(session)
        sys.stdout.write(f"{session} is erased\n")


def _ask(config: "Path | None", data_dir: "Path | None", work: "Callable[[SqlSessions], Awaitable[Any]]") -> Any:
    """What the record of an installation answers."""
    loaded = read_settings(config, data_dir)

    async def inside() -> Any:
        from voxgate.app import open_store
        from voxgate.store.sessions import SqlSessions

        async with open_store(loaded.settings) as (database, _):
            return await work(SqlSessions(database))

    return run(inside())


def _unknown(session: str) -> Exception:
    from voxgate.errors import Code, PeerError

    return PeerError(f"there is no session {session!r} on record", code=Code.NOT_FOUND, param="session")


def _session(kept: "KeptSession") -> dict[str, Any]:
    """As JSON: the names of the columns of `sessions`, and how many turns."""
    opened = kept.opened
    return {
        "session": opened.id,
        "org": kept.org_name,
        "key": opened.key_id,
        "surface": opened.surface,
        "voice": opened.voice,
        "language": opened.language,
        "started_at": opened.started_at,
        "ended_at": kept.ended_at,
        "end_reason": kept.reason,
        "turn_count": kept.turns,
    }


def _turn(record: "TurnRecord") -> dict[str, Any]:
    """As JSON: the fields of `TurnRecord`, without its session."""
    from dataclasses import asdict

    fields = asdict(record)
    del fields["call"]
    fields["latency"] = {name: stage for name, stage in fields["latency"].items() if stage is not None}
    fields["total_ms"] = record.latency.total_ms
    return fields


def _print_turn(record: "TurnRecord") -> None:
    at = record.ended_at.isoformat(timespec="seconds")
    if record.heard:
        sys.stdout.write(f"{at}  {record.language}, ended by {record.ended_by}\n  > {_plain(record.heard)}\n")
    else:
        sys.stdout.write(f"{at}  {record.purpose}\n")
    total = record.latency.total_ms
    after = "" if total is None else f"  ({total:.0f} ms, {record.outcome})"
    sys.stdout.write(f"  < {_plain(record.text)}{after}\n")
    if record.spoken != record.text:
        sys.stdout.write(f"    heard of it: {_plain(record.spoken)}\n")


def _plain(text: str) -> str:
    """On one line, and without what would steer a terminal: clients type what they like."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
