"""The transcript of a session in a room, as lines: what was said and answered, made of the turns on record."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, and_, bindparam, case, delete, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.calls import Outcome
from voxgate.rooms import Message
from voxgate.store.schema import turns

_turn = turns.c

_SAID = case((_turn.outcome == Outcome.HEARD, _turn.text), else_=_turn.spoken)
"""What counts as said: of a reply that was not played to its end, what was heard of it."""
_LINES = union_all(
    *(
        select(
            _turn.reply,
            literal(part, Integer).label("part"),
            text.label("content"),
            _turn.ended_at,
            _turn.outcome,
            _turn.latency,
        ).where(and_(_turn.session_id == bindparam("session"), text != ""))
        for part, text in ((0, _turn.heard), (1, _SAID))
    )
).subquery()
_MESSAGES = select(_LINES).order_by(_LINES.c.reply, _LINES.c.part).limit(bindparam("most")).offset(bindparam("first"))
_COUNT = select(func.count()).select_from(_LINES)
_ERASE_TURNS = delete(turns).where(_turn.session_id == bindparam("session"))


async def page_of(connection: AsyncConnection, session: str, limit: int, offset: int) -> tuple[list[Message], int]:
    """At most `limit` lines behind the first `offset`, oldest first, and how many there are; two statements."""
    found = await connection.execute(_MESSAGES, {"session": session, "most": limit, "first": offset})
    page = [_message(session, row) for row in found]
    return page, int(await connection.scalar(_COUNT, {"session": session}) or 0)


async def erase_all(connection: AsyncConnection, session: str) -> int:
    """Erase all of it; how many exchanges there were."""
    return (await connection.execute(_ERASE_TURNS, {"session": session})).rowcount


def _message(session: str, row: Any) -> Message:
    role = ("user", "assistant")[row.part]
    at = row.ended_at
    if row.part and (wire := row.latency.get("wire")) is not None:
        at += timedelta(milliseconds=wire[1])  # when the answer began to be heard
    return Message(
        id=f"{session}-{row.reply}-{role}",
        role=role,
        content=row.content,
        created_at=at,
        interrupted=bool(row.part) and row.outcome == Outcome.CUT,
    )
