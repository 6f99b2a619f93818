"""`voxgate rooms`: sessions of voicebots in rooms, what they cost and what was said, for whoever runs the server."""

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

    from voxgate.rooms import Message, RoomSession
    from voxgate.store.rooms import SqlRooms

app = typer.Typer(no_args_is_help=True, help="Look at sessions of voicebots in rooms, and end them.")

RoomArgument = Annotated[str, typer.Argument(metavar="ROOM", help="Its `roomName`, as clients and `list` know it.")]


@app.command("list")
def list_rooms(
    org: Annotated[str | None, typer.Option(help="Only this organization.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Only those that go on.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """The sessions on record, newest first: room, organization, begin, how it ended, seconds, minutes, credits."""
    with errors_told():
        found = _ask(config, data_dir, lambda store: store.page(org_name=org, live=live, limit=limit))
        if as_json:
            print_json([_session(session) | {"org": name} for name, session in found])
            return
        print_table(
            ("room", "organization", "began", "ended", "seconds", "minutes", "credits"),
            [
                (
                    session.plan.room,
                    name,
                    session.started_at.isoformat(timespec="seconds"),
                    session.reason or "",
                    str(session.duration_s),
                    str(session.billed_minutes),
                    _credits(session),
                )
                for name, session in found
            ],
        )


@app.command()
def show(
    room: RoomArgument, as_json: JsonOption = False, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """A session, and what was said in it, as far as it is kept."""
    with errors_told():
        session, lines = _ask(config, data_dir, lambda store: _shown(store, room))
        if as_json:
            messages = [{"role": each.role, "content": each.content, "at": each.created_at} for each in lines]
            print_json(_session(session) | {"messages": messages})
            return
        _print(session)
        for each in lines:
            mark = ">" if each.role == "user" else "<"
            text = "".join(letter if letter.isprintable() else " " for letter in each.content)
            sys.stdout.write(f"{mark} {text}{' …' if each.interrupted else ''}\n")


@app.command()
def end(
    room: RoomArgument, as_json: JsonOption = False, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """End a session and print its bill; through the server that carries it or, where that does not answer, without."""
    with errors_told():
        session = _ask(config, data_dir, lambda store: _ended(store, room))
        if as_json:
            print_json(_session(session))
        else:
            _print(session)


async def _shown(store: "SqlRooms", room: str) -> "tuple[RoomSession, list[Message]]":
    from voxgate.services.rooms import LARGEST_PAGE, on_record

    session, lines = await on_record(store, room), list["Message"]()
    while True:
        page, total = await store.messages(session.plan.session, limit=LARGEST_PAGE, offset=len(lines))
        lines += page
        if not page or len(lines) >= total:
            return session, lines


async def _ended(store: "SqlRooms", room: str) -> "RoomSession":
    from voxgate.services import rooms

    return await rooms.end_elsewhere(store, store.clock, room, others_s=rooms.OTHERS_S)


def _ask(config: "Path | None", data_dir: "Path | None", work: "Callable[[SqlRooms], Awaitable[Any]]") -> Any:
    """What the sessions of an installation answer."""
    loaded = read_settings(config, data_dir)

    async def inside() -> Any:
        from voxgate.app import open_store
        from voxgate.clock import SystemClock
        from voxgate.store.ledger import SqlLedger
        from voxgate.store.rooms import SqlRooms

        clock = SystemClock()
        async with open_store(loaded.settings) as (database, _):
            notify = bool(loaded.settings.webhooks.url)
            return await work(SqlRooms(database, clock, SqlLedger(database, clock), notify=notify))

    return run(inside())


def _credits(session: "RoomSession") -> str:
    from voxgate.services.billing import to_credits

    return to_credits(session.charged)


def _session(session: "RoomSession") -> dict[str, Any]:
    """As JSON."""
    return {
        "session": session.plan.session,
        "room": session.plan.room,
        "voicebot": session.voicebot_id,
        "key": session.key_id,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "end_reason": session.reason,
        "seconds": session.duration_s,
        "minutes": session.billed_minutes,
        "credits": _credits(session),
    }


def _print(session: "RoomSession") -> None:
    state = "goes on" if session.reason is None else f"ended ({session.reason})"
    sys.stdout.write(
        f"{session.plan.room} {state}: {session.duration_s} s, {session.billed_minutes} min, "
        f"{_credits(session)} credits\n"
    )
