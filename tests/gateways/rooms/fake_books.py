"""Books in memory, on the loop's clock: what `services.rooms.Rooms` needs of a database."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from voxgate.domain import Balance, Principal
from voxgate.errors import Code, RefusedError
from voxgate.rooms import Lived, NewRoom, RoomEnd, RoomSession

PRICE = 100
"""Micro-credits a minute."""


class LoopClock:
    """`Clock`: the loop's time."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.monotonic())


@dataclass
class Entry:
    """`RoomEntry` over a purse."""

    books: "Books"
    room: str
    held: int

    @property
    def balance(self) -> Balance:
        return Balance(self.books.purse, self.held)

    @balance.setter
    def balance(self, value: Balance) -> None:
        raise NotImplementedError

    def lived(self, lived: Lived) -> None:
        self.books.told.append(lived)

    async def extend(self, total: int) -> None:
        self.books.take(total - self.held)
        self.held = total

    async def close(self, reason: RoomEnd, at: datetime, lived: Lived) -> None:
        self.books.purse += self.held - lived.charged
        old = self.books.sessions[self.room]
        self.books.sessions[self.room] = replace(
            old,
            ended_at=at,
            reason=reason,
            duration_s=-(-lived.duration_ms // 1000),
            billed_minutes=lived.minutes,
            charged=lived.charged,
        )

    async def void(self) -> None:
        self.books.purse += self.held
        del self.books.sessions[self.room]


@dataclass
class Books:
    """`RoomStore`, as far as calls go."""

    purse: int = 10 * PRICE
    sessions: dict[str, RoomSession] = field(default_factory=dict)
    told: list[Lived] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def take(self, amount: int) -> None:
        """Raises RefusedError where the purse holds less."""
        if amount > self.purse:
            raise RefusedError("no credits", code=Code.INSUFFICIENT_CREDITS)
        self.purse -= amount

    async def open(self, principal: Principal, new: NewRoom, *, hold: int, lived: Lived, at: datetime) -> Entry:
        self.take(hold)
        self.sessions[new.plan.room] = RoomSession(
            new.plan,
            principal.org_id,
            principal.key_id,
            new.voicebot_id,
            at,
            None,
            None,
            0,
            lived.minutes,
            lived.charged,
        )
        return Entry(self, new.plan.room, hold)

    async def find(self, room: str) -> RoomSession | None:
        return self.sessions.get(room)

    async def over(self, rooms: Sequence[str]) -> frozenset[str]:
        return frozenset(rooms) & self.asked

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)
