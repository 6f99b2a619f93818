"""Sessions and turns: what was said in calls, for as long as it is to be kept."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.calls import EndReason, Latency, Outcome, Stage, TurnRecord
from voxgate.records import Entry, KeptSession, SessionClosed, SessionOpened
from voxgate.store.database import Database
from voxgate.store.schema import organizations, sessions, turns

_session = sessions.c
_turn = turns.c

# A transaction may have been committed although its answer was lost: what is written again is there already.
_OPEN: Mapping[str, Any] = {
    "sqlite": sqlite.insert(sessions).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(sessions).on_conflict_do_nothing(),
}
_ADD: Mapping[str, Any] = {
    "sqlite": sqlite.insert(turns).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(turns).on_conflict_do_nothing(),
}
_CLOSE = (
    update(sessions)
    .where(_session.id == bindparam("session"), _session.ended_at.is_(None))
    .values(ended_at=bindparam("at"), end_reason=bindparam("reason"))
)
# Locked on PostgreSQL, so that none is erased between this look and the turns that follow it.
_THERE = (
    select(_session.id)
    .where(_session.id.in_(bindparam("ids", expanding=True)))
    .with_for_update(read=True, key_share=True)
)
_OLD_TURNS = delete(turns).where(
    _turn.id.in_(
        select(_turn.id).where(_turn.ended_at < bindparam("moment")).order_by(_turn.ended_at).limit(bindparam("most"))
    )
)
_OLD_SESSIONS = delete(sessions).where(
    _session.id.in_(
        select(_session.id)
        .where(
            _session.started_at < bindparam("moment"),
            or_(_session.ended_at.is_(None), _session.ended_at < bindparam("moment")),
            ~select(_turn.id).where(_turn.session_id == _session.id).exists(),
        )
        .order_by(_session.started_at)
        .limit(bindparam("most"))
    )
)
_ERASE = delete(sessions).where(_session.id == bindparam("session"))
_COUNTED = select(
    sessions,
    organizations.c.name,
    select(func.count()).where(_turn.session_id == _session.id).scalar_subquery().label("turns"),
).join_from(sessions, organizations)
_NEW_SESSION_FIELDS = ("id", "org_id", "key_id", "surface", "voice", "language", "started_at")


class SqlSessions:
    """`records.SessionStore` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, entries: Sequence[Entry]) -> int:
        opened = [_session_row(entry) for entry in entries if isinstance(entry, SessionOpened)]
        said = [_turn_row(entry) for entry in entries if isinstance(entry, TurnRecord)]
        closed = [
            {"session": entry.id, "at": entry.ended_at, "reason": entry.reason}
            for entry in entries
            if isinstance(entry, SessionClosed)
        ]
        dialect = self._database.dialect

        async def write(connection: AsyncConnection) -> int:
            if opened:
                await connection.execute(_OPEN[dialect], opened)
            named = {str(row["session_id"]) for row in said} | {str(row["session"]) for row in closed}
            there = set(await connection.scalars(_THERE, {"ids": sorted(named)})) if named else set()
            if kept := [row for row in said if row["session_id"] in there]:
                await connection.execute(_ADD[dialect], kept)
            if ended := [row for row in closed if row["session"] in there]:
                await connection.execute(_CLOSE, ended)
            return len(said) + len(closed) - len(kept) - len(ended)

        return await self._database.write(write, durable=False)  # nobody was told that it is kept

    async def erase_before(self, moment: datetime, *, limit: int) -> int:
        which = {"moment": moment, "most": limit}

        async def erase(connection: AsyncConnection) -> int:
            gone = await connection.execute(_OLD_TURNS, which)
            if gone.rowcount == limit:
                return limit
            empty = await connection.execute(_OLD_SESSIONS, which)
            return int(gone.rowcount + empty.rowcount)

        return await self._database.write(erase)

    async def erase(self, session: str) -> bool:
        async def erase(connection: AsyncConnection) -> bool:
            return (await connection.execute(_ERASE, {"session": session})).rowcount == 1

        return await self._database.write(erase)

    async def sessions(
        self, *, org_name: str | None = None, before: datetime | None = None, limit: int
    ) -> Sequence[KeptSession]:
        wanted = _COUNTED.order_by(_session.started_at.desc(), _session.id.desc()).limit(limit)
        if org_name is not None:
            wanted = wanted.where(organizations.c.name == org_name)
        if before is not None:
            wanted = wanted.where(_session.started_at < before)

        async def look(connection: AsyncConnection) -> Sequence[Row[Any]]:
            return (await connection.execute(wanted)).all()

        return [_kept(row) for row in await self._database.read(look)]

    async def turns(self, session: str) -> tuple[KeptSession, Sequence[TurnRecord]] | None:
        async def look(connection: AsyncConnection) -> tuple[Row[Any] | None, Sequence[Row[Any]]]:
            row = (await connection.execute(_COUNTED.where(_session.id == session))).one_or_none()
            said = await connection.execute(select(turns).where(_turn.session_id == session).order_by(_turn.reply))
            return row, said.all()

        row, said = await self._database.snapshot(look)
        return None if row is None else (_kept(row), [_record(each) for each in said])


def _session_row(opened: SessionOpened) -> dict[str, Any]:
    return {name: getattr(opened, name) for name in _NEW_SESSION_FIELDS}


def _turn_row(record: TurnRecord) -> dict[str, Any]:
    latency = {
        each.name: [stage.start_ms, stage.end_ms]
        for each in fields(Latency)
        if (stage := getattr(record.latency, each.name)) is not None
    }
    return {
        "session_id": record.call,
        "turn": record.turn,
        "reply": record.reply,
        "ended_at": record.ended_at,
        "ended_by": record.ended_by,
        "heard": _storable(record.heard),
        "language": record.language,
        "purpose": record.purpose,
        "text": _storable(record.text),
        "spoken": _storable(record.spoken),
        "reply_language": record.reply_language,
        "outcome": record.outcome,
        "latency": latency,
        "speech_ms": record.speech_ms,
        "played_ms": record.played_ms,
        "suspected": record.suspected,
        "guessed": record.guessed,
        "discarded": record.discarded,
    }


def _storable(text: str) -> str:
    """Without what PostgreSQL (NUL) or UTF-8 (half a surrogate pair) cannot hold; JSON, and so a client, can."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _kept(row: Row[Any]) -> KeptSession:
    return KeptSession(
        opened=SessionOpened(**{name: getattr(row, name) for name in _NEW_SESSION_FIELDS}),
        org_name=row.name,
        ended_at=row.ended_at,
        reason=None if row.end_reason is None else EndReason(row.end_reason),
        turns=row.turns,
    )


def _record(row: Row[Any]) -> TurnRecord:
    return TurnRecord(
        call=row.session_id,
        turn=row.turn,
        reply=row.reply,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        heard=row.heard,
        language=row.language,
        purpose=row.purpose,
        text=row.text,
        spoken=row.spoken,
        reply_language=row.reply_language,
        outcome=Outcome(row.outcome),
        latency=Latency(**{name: Stage(*bounds) for name, bounds in row.latency.items()}),
        speech_ms=row.speech_ms,
        played_ms=row.played_ms,
        suspected=row.suspected,
        guessed=row.guessed,
        discarded=row.discarded,
    )
