"""The row of a session in a room: read, and closed in the place of a server that is no more."""

from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.rooms import RoomEnd, RoomPlan, RoomSession
from voxgate.store.schema import room_sessions, servers

_row = room_sessions.c

# The last heartbeat is the end: nothing is known of what came behind it, and nothing of it is billed.
_CLOSE_BY_HOLD = (
    update(room_sessions)
    .where(_row.hold_id == bindparam("hold"), _row.ended_at.is_(None))
    .values(ended_at=_row.heartbeat_at, reason=bindparam("why"), charged=bindparam("charge"))
    .returning(_row.id)
)
_CLOSE_BY_ROOM = (
    update(room_sessions)
    .where(_row.room == bindparam("called"), _row.hold_id.is_(None), _row.ended_at.is_(None))
    .values(ended_at=_row.heartbeat_at, reason=bindparam("why"))
    .returning(_row.id)
)
_CLOSE_FREE = (
    update(room_sessions)
    .where(
        _row.ended_at.is_(None),
        _row.hold_id.is_(None),
        _row.owner.in_(select(servers.c.id).where(servers.c.ended_at.is_not(None))),
    )
    .values(ended_at=_row.heartbeat_at, reason=RoomEnd.CRASHED)
    .returning(_row.id)
)


async def close_by_hold(connection: AsyncConnection, hold_id: str, charge: int, reason: RoomEnd) -> list[str]:
    """Close the session of a hold that is being settled at `charge`; its id, or nothing where there is none open."""
    return list(await connection.scalars(_CLOSE_BY_HOLD, {"hold": hold_id, "charge": charge, "why": reason}))


async def close_by_room(connection: AsyncConnection, room: str, reason: RoomEnd) -> list[str]:
    """Close a session that has no hold; its id, or nothing where it is closed."""
    return list(await connection.scalars(_CLOSE_BY_ROOM, {"called": room, "why": reason}))


async def close_free_orphans(connection: AsyncConnection) -> list[str]:
    """Close the sessions without holds of servers that have ended; their ids."""
    return list(await connection.scalars(_CLOSE_FREE))


def session_of(row: Any) -> RoomSession:
    """A row of `room_sessions` as a value."""
    plan = RoomPlan(
        session=row.id,
        room=row.room,
        identity=row.identity,
        name="",
        bot=row.bot,
        expires_at=row.expires_at,
    )
    return RoomSession(
        plan=plan,
        org_id=row.org_id,
        key_id=row.key_id,
        voicebot_id=row.voicebot_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=None if row.reason is None else RoomEnd(row.reason),
        duration_s=-(-row.duration_ms // 1000),
        billed_minutes=row.minutes,
        charged=row.charged,
    )
