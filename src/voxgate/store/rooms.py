"""Sessions in rooms: rows that change in the transactions of their holds, so that bill and record never differ.

A session whose price is nothing has no hold: its row is then opened, beaten and closed in transactions of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import StoreError
from voxgate.rooms import Happened, Lived, Message, NewRoom, RoomEnd, RoomSession
from voxgate.store.database import Database
from voxgate.store.ledger import SqlHold, SqlLedger
from voxgate.store.outbox import note
from voxgate.store.room_messages import erase_all, page_of
from voxgate.store.room_rows import close_by_hold, close_by_room, session_of
from voxgate.store.schema import holds, organizations, room_sessions
from voxgate.store.steps import HoldRef, add_usage, balance_of, settle

_log = structlog.get_logger(__name__)

SURFACE = "rooms"
"""Of holds and usage rows."""

_row = room_sessions.c

_NEW = insert(room_sessions)
_ERASE = delete(room_sessions).where(_row.id == bindparam("session"))
_SET_HOLD = update(room_sessions).where(_row.id == bindparam("session")).values(hold_id=bindparam("hold"))
_LIVED = (
    update(room_sessions)
    .where(_row.id == bindparam("session"), _row.ended_at.is_(None))
    .values(
        duration_ms=bindparam("ms"),
        minutes=bindparam("begun"),
        charged=bindparam("so_far"),
        heartbeat_at=bindparam("now"),
    )
)
_CLOSE = _LIVED.values(ended_at=bindparam("at"), reason=bindparam("why")).returning(_row.id)
_ADOPT = (
    update(room_sessions)
    .where(_row.owner == bindparam("former"), _row.ended_at.is_(None))
    .values(owner=bindparam("now_by"))
)
_FIND = select(room_sessions).where(_row.room == bindparam("called"))
_ASK = (
    update(room_sessions)
    .where(_row.room == bindparam("called"), _row.ended_at.is_(None), _row.asked_at.is_(None))
    .values(asked_at=bindparam("at"))
)
_OVER = select(_row.room).where(
    _row.room.in_(bindparam("rooms", expanding=True)), or_(_row.asked_at.is_not(None), _row.ended_at.is_not(None))
)
_LOCK_HOLD = select(holds).where(holds.c.id == bindparam("hold")).with_for_update()
_PAGE = select(room_sessions, organizations.c.name.label("org_name")).join_from(room_sessions, organizations)


class SqlRooms:
    """`rooms.RoomStore` on the database; `ledger.Rider` of the sessions whose calls this server carries."""

    def __init__(self, database: Database, clock: Clock, ledger: SqlLedger, *, notify: bool = False) -> None:
        """`notify`: whether beginnings and ends are noted for the operator's webhook."""
        self.ledger = ledger
        self.notify = notify
        self.clock = clock
        self._database = database
        self._here: dict[str, SqlRoom] = {}
        self._late: dict[str, Callable[[], Awaitable[None]]] = {}
        ledger.riders.append(self)

    async def open(self, principal: Principal, new: NewRoom, *, hold: int, lived: Lived, at: datetime) -> "SqlRoom":
        room = SqlRoom(self, principal, new, lived, at)
        if hold:
            await room.hold(hold, first=True)
        else:
            await self._open_free(room)
        self._here[room.id] = room
        return room

    async def find(self, room: str) -> RoomSession | None:
        async def look(connection: AsyncConnection) -> RoomSession | None:
            row = (await connection.execute(_FIND, {"called": room})).one_or_none()
            return None if row is None else session_of(row)

        return await self._database.read(look)

    async def page(
        self, *, org_name: str | None = None, live: bool = False, limit: int
    ) -> Sequence[tuple[str, RoomSession]]:
        wanted = _PAGE.order_by(_row.started_at.desc(), _row.id.desc()).limit(limit)
        if org_name is not None:
            wanted = wanted.where(organizations.c.name == org_name)
        if live:
            wanted = wanted.where(_row.ended_at.is_(None))

        async def look(connection: AsyncConnection) -> list[tuple[str, RoomSession]]:
            return [(row.org_name, session_of(row)) for row in await connection.execute(wanted)]

        return await self._database.read(look)

    async def ask_end(self, room: str, at: datetime) -> None:
        async def step(connection: AsyncConnection) -> None:
            await connection.execute(_ASK, {"called": room, "at": at})

        await self._database.write(step, durable=False)

    async def over(self, rooms: Sequence[str]) -> frozenset[str]:
        async def look(connection: AsyncConnection) -> frozenset[str]:
            return frozenset(await connection.scalars(_OVER, {"rooms": list(rooms)}))

        return await self._database.read(look)

    async def end_in_place(self, room: str, reason: RoomEnd) -> None:
        at = self.clock.now()

        async def step(connection: AsyncConnection) -> list[str]:
            row = (await connection.execute(_FIND, {"called": room})).one_or_none()
            if row is None or row.ended_at is not None:
                return []
            if row.hold_id is None:
                return await close_by_room(connection, room, reason)
            hold = (await connection.execute(_LOCK_HOLD, {"hold": row.hold_id})).one()
            if hold.charged is not None:
                return []
            charge = min(hold.earned, hold.amount)
            ref = HoldRef(hold.id, hold.org_id, hold.key_id, hold.request_id)
            done = Usage(hold.request_id, hold.surface, hold.units)
            closed = await close_by_hold(connection, hold.id, charge, reason)
            await settle(connection, ref, hold.amount, charge, done, at, swept=True)
            return closed

        async def whole(connection: AsyncConnection) -> bool:
            closed = await step(connection)
            for session in closed if self.notify else ():
                await note(connection, session, Happened.ENDED, at)
            return bool(closed)

        if await self._database.write(whole):
            _log.warning("room_ended_in_place", room=room)

    async def messages(self, session: str, *, limit: int, offset: int) -> tuple[Sequence[Message], int]:
        return await self._database.snapshot(lambda connection: page_of(connection, session, limit, offset))

    async def erase_messages(self, session: str) -> int:
        return await self._database.write(lambda connection: erase_all(connection, session))

    # of this server's own sessions

    async def late(self) -> None:
        for session, step in tuple(self._late.items()):
            await step()
            self._late.pop(session, None)
        for session, room in tuple(self._here.items()):
            if room.closing and not room.owed:
                self._here.pop(session, None)

    def begin_beat(self) -> None:
        for room in self._here.values():
            room.begin_beat()

    async def beat(self, connection: AsyncConnection, former: Sequence[str], owner: str, now: datetime) -> None:
        for each in former:
            await connection.execute(_ADOPT, {"former": each, "now_by": owner})
        # In the order of their ids, as whoever locks several rows must.
        if news := [row for _, room in sorted(self._here.items()) if (row := room.news(now)) is not None]:
            await connection.execute(_LIVED, news)

    def beaten(self) -> None:
        for room in self._here.values():
            room.end_beat()

    async def close_free(self, room: "SqlRoom") -> None:
        """Close a session that has no hold; a heartbeat does it where the database does not answer now."""

        async def step(connection: AsyncConnection) -> None:
            if await room.finish(connection):
                done = Usage(room.new.request_id, SURFACE, room.units)
                who = room.principal
                await add_usage(connection, who.org_id, who.key_id, done, amount=0, hold_id=None, at=self.clock.now())

        await self._or_late(room, step)

    async def erase(self, room: "SqlRoom") -> None:
        """Erase the row of a session that has no hold; as `close_free`."""

        async def step(connection: AsyncConnection) -> None:
            await connection.execute(_ERASE, {"session": room.id})

        await self._or_late(room, step)

    def forget(self, room: "SqlRoom") -> None:
        """It is settled: no heartbeat speaks of it any more."""
        self._here.pop(room.id, None)

    async def _open_free(self, room: "SqlRoom") -> None:
        async def step(connection: AsyncConnection) -> None:
            await room.insert(connection, None, self.ledger.owner, room.at)
            room.balance = await balance_of(connection, room.principal.org_id)

        try:
            await self._database.write(step, durable=False)
        except (asyncio.CancelledError, StoreError):  # it may have been written though nobody heard of it
            self._late[room.id] = lambda: self._erase_now(room.id)
            raise

    async def _erase_now(self, session: str) -> None:
        async def step(connection: AsyncConnection) -> None:
            await connection.execute(_ERASE, {"session": session})

        await self._database.write(step)

    async def _or_late(self, room: "SqlRoom", step: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        try:
            await self._database.write(step)
        except (asyncio.CancelledError, StoreError):
            self._late[room.id] = lambda: self._database.write(step)
            raise
        self.forget(room)


class SqlRoom:
    """`rooms.RoomEntry` on the database."""

    def __init__(self, rooms: SqlRooms, principal: Principal, new: NewRoom, lived: Lived, at: datetime) -> None:
        self.id = new.plan.session
        self.principal = principal
        self.new = new
        self.at = at
        """When it began."""
        self.balance = Balance(available=0, held=0)
        self.closing: tuple[RoomEnd, datetime] | None = None
        """Why and when it ended, once it has."""
        self._rooms = rooms
        self._lived = lived
        self._news = False
        """Whether a heartbeat has something to write."""
        self._beating: Lived | None = None
        self._extending = lived
        self._hold: SqlHold | None = None

    @property
    def held(self) -> int:
        return 0 if self._hold is None else self._hold.amount

    @property
    def units(self) -> Mapping[str, int]:
        """What was delivered, in the words of usage rows."""
        return {"audio_ms": self._lived.duration_ms, "minutes": self._lived.minutes}

    @property
    def owed(self) -> bool:
        """Whether its settlement is still to be written."""
        return self._hold is not None and self._rooms.ledger.owes(self._hold)

    def lived(self, lived: Lived) -> None:
        if lived == self._lived:
            return
        self._lived = lived
        self._news = True
        if self._hold is not None:
            self._hold.progress(lived.charged, self.units)

    async def extend(self, total: int) -> None:
        if self._hold is None:
            await self.hold(total, first=False)
        else:
            self._extending = self._lived  # what the hold is told is what the row is told, whatever comes meanwhile
            await self._hold.extend(total, earned=self._lived.charged, units=self.units)
            self.balance = self._hold.balance

    async def close(self, reason: RoomEnd, at: datetime, lived: Lived) -> None:
        self.lived(lived)
        self.closing = (reason, at)
        if self._hold is None:
            await self._rooms.close_free(self)
            return
        self.balance = await self._hold.settle(lived.charged, Usage(self.new.request_id, SURFACE, self.units))
        self._rooms.forget(self)

    async def void(self) -> None:
        if self._hold is None:
            await self._rooms.erase(self)
            return
        self.balance = await self._hold.settle(0, None)
        self._rooms.forget(self)

    # what the store does with it

    async def hold(self, amount: int, *, first: bool) -> None:
        """Open its hold, with the row (`first`) or for a row that is there. Raises RefusedError, StoreError."""
        held = await self._rooms.ledger.hold(
            self.principal,
            amount,
            request_id=self.new.request_id,
            surface=SURFACE,
            earned=self._lived.charged,
            units=self.units,
            bound=_Bound(self, first=first),
        )
        self._hold = held
        self.balance = held.balance

    async def insert(self, connection: AsyncConnection, hold_id: str | None, owner: str, at: datetime) -> None:
        """Write the row."""
        plan = self.new.plan
        await connection.execute(
            _NEW,
            {
                "id": self.id,
                "room": plan.room,
                "org_id": self.principal.org_id,
                "key_id": self.principal.key_id,
                "voicebot_id": self.new.voicebot_id,
                "bot": plan.bot,
                "identity": plan.identity,
                "request_id": self.new.request_id,
                "hold_id": hold_id,
                "owner": owner,
                "started_at": self.at,
                "expires_at": plan.expires_at,
                "heartbeat_at": at,
                "duration_ms": self._lived.duration_ms,
                "minutes": self._lived.minutes,
                "charged": self._lived.charged,
            },
        )
        if self._rooms.notify:
            await note(connection, self.id, Happened.STARTED, at)

    async def finish(self, connection: AsyncConnection) -> bool:
        """Close the row; False where somebody else has."""
        assert self.closing is not None, "closed with a reason"
        reason, at = self.closing
        values = self.row(at) | {"at": at, "why": reason}
        closed = await connection.scalar(_CLOSE, values) is not None
        if closed and self._rooms.notify:
            await note(connection, self.id, Happened.ENDED, at)
        return closed

    def row(self, now: datetime) -> dict[str, Any]:
        """How far it has come, for the statement that writes it."""
        return _values(self.id, self._lived, now)

    def extended(self, now: datetime) -> dict[str, Any]:
        """How far it had come when its hold was being extended, as `row`."""
        return _values(self.id, self._extending, now)

    def begin_beat(self) -> None:
        """Choose what the heartbeat is to write."""
        self._beating = self._lived if self._news else None

    def news(self, now: datetime) -> dict[str, Any] | None:
        """What was chosen, as `row`; None where nothing is new."""
        return None if self._beating is None else _values(self.id, self._beating, now)

    def end_beat(self) -> None:
        """It was written."""
        if self._beating is not None and self._beating == self._lived:
            self._news = False
        self._beating = None


class _Bound:
    """`ledger.Bound`: the row of a session in the transactions of its hold."""

    def __init__(self, room: SqlRoom, *, first: bool) -> None:
        self._room = room
        self._first = first

    async def opened(self, connection: AsyncConnection, hold_id: str, owner: str, at: datetime) -> None:
        if self._first:
            await self._room.insert(connection, hold_id, owner, at)
        else:
            await connection.execute(_SET_HOLD, {"session": self._room.id, "hold": hold_id})

    async def extended(self, connection: AsyncConnection, at: datetime) -> None:
        await connection.execute(_LIVED, self._room.extended(at))

    async def settled(self, connection: AsyncConnection, charge: int, at: datetime) -> None:
        if self._room.closing is not None:
            await self._room.finish(connection)
        elif self._first:  # void, or its opening came to nothing
            await connection.execute(_ERASE, {"session": self._room.id})
        else:
            await connection.execute(_SET_HOLD, {"session": self._room.id, "hold": None})


def _values(session: str, lived: Lived, now: datetime) -> dict[str, Any]:
    return {"session": session, "ms": lived.duration_ms, "begun": lived.minutes, "so_far": lived.charged, "now": now}
