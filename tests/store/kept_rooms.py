"""Sessions to keep, and what is asked of them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.rooms import Lived, NewRoom, RoomPlan, RoomSession
from voxgate.store.database import Database
from voxgate.store.rooms import SqlRoom, SqlRooms

BOT = "665f5aa613e4fe2f12ab34cd"
PRICE = 100
FIRST = Lived(0, 1, PRICE)


def new(clock: FakeClock, number: int = 1) -> NewRoom:
    plan = RoomPlan(
        session=f"sess_{number}",
        room=f"ext-vb-{BOT}-{number:012x}",
        identity="user-1",
        name="Ada",
        bot="Guide",
        expires_at=clock.now() + timedelta(minutes=10),
    )
    return NewRoom(plan, BOT, f"req_{number}")


async def opened(rooms: SqlRooms, who: Principal, clock: FakeClock, number: int = 1, *, price: int = PRICE) -> SqlRoom:
    return await rooms.open(who, new(clock, number), hold=price, lived=Lived(0, 1, price), at=clock.now())


async def found(rooms: SqlRooms, number: int = 1) -> RoomSession:
    session = await rooms.find(f"ext-vb-{BOT}-{number:012x}")
    assert session is not None
    return session


async def count(database: Database, table: Any) -> int:
    async def look(connection: AsyncConnection) -> int:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)

    return await database.read(look)
