"""A process whose sessions in rooms go on until it is killed; it writes down what they come to before the ledger knows.

    python -m tests.e2e.room_worker URL KEY_ID ORG_ID SEED

A minute lasts a tenth of a second here. Lines on stdout: `sent ROOM MS MINUTES` (the ledger may know from now on),
`known ROOM MS MINUTES` (it has it for certain), `ended ROOM SECONDS MINUTES MICRO-CREDITS`.
"""

import asyncio
import logging
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta

import structlog

from voxgate.domain import Principal, Tier
from voxgate.errors import RefusedError
from voxgate.gateways.rooms.settings import RoomSettings
from voxgate.rooms import Lived, NewRoom, RoomEnd, Voicebot
from voxgate.services.billing import PerMinute
from voxgate.services.rooms import Rooms
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRoom, SqlRooms
from voxgate.store.spending import SqlSpending

PRICE = 1000
SCALE = 600
CALLERS = 8
_BEAT_S = 0.02


def tell(*words: object) -> None:
    """One line, in one write, so that a kill takes it whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class FastClock:
    """The machine's clock, `SCALE` times as fast."""

    def __init__(self) -> None:
        self._zero, self._start = time.monotonic(), datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds."""
        return (time.monotonic() - self._zero) * SCALE

    def now(self) -> datetime:
        """In UTC."""
        return self._start + timedelta(seconds=self.monotonic())


class ToldRooms(SqlRooms):
    """The sessions of this server; what each comes to is told before it is noted."""

    async def open(self, principal: Principal, new: NewRoom, *, hold: int, lived: Lived, at: datetime) -> SqlRoom:
        room = await super().open(principal, new, hold=hold, lived=lived, at=at)
        note = room.lived

        def told(lived: Lived) -> None:
            sent[new.plan.room] = lived
            tell("sent", new.plan.room, lived.duration_ms, lived.minutes)
            note(lived)

        room.lived = told  # type: ignore[method-assign]
        sent[new.plan.room] = lived
        tell("known", new.plan.room, lived.duration_ms, lived.minutes)
        return room


sent: dict[str, Lived] = {}
"""What was told of the sessions under way."""


async def call(rooms: Rooms, accounts: SqlAccounts, who: Principal, bot: Voicebot, chance: random.Random) -> None:
    """One session after another: never joined, left and joined again, ended by credits."""
    while True:
        try:
            room = await rooms.create(who, bot, "", request_id=f"req-{chance.randrange(10**12)}")
        except RefusedError:
            await accounts.grant("acme", chance.randrange(1, 12) * PRICE, grant_id=str(chance.randrange(10**12)))
            continue
        reason = RoomEnd.REQUESTED
        ends_at = time.monotonic() + chance.random() * 0.6
        while time.monotonic() < ends_at:
            if chance.random() < 0.3:
                room.left() if chance.random() < 0.3 else room.joined()
            tick = await room.tick()
            if tick.ending:
                reason = tick.ending
                break
            await asyncio.sleep(tick.wait_s / SCALE)
        session = await room.end(reason)
        sent.pop(room.plan.room)
        tell("ended", room.plan.room, session.duration_s, session.billed_minutes, session.charged)


async def beat(ledger: SqlLedger) -> None:
    """The heart, a few hundred times as fast."""
    while True:
        known = dict(sent)
        await ledger.beat()
        for room, lived in known.items():
            tell("known", room, lived.duration_ms, lived.minutes)
        await asyncio.sleep(_BEAT_S)


async def main(url: str, key_id: str, org_id: str, seed: int) -> None:
    """Until killed."""
    # Its log goes to stdout by default, which is the journal.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    database, clock = await Database.open(url), FastClock()
    ledger, accounts = SqlLedger(database, clock), SqlAccounts(database, clock)

    async def nobody(_keys: object) -> frozenset[str]:
        return frozenset()

    async def nothing() -> None:
        pass

    rooms = Rooms(
        ToldRooms(database, clock, ledger, notify=True),
        SqlSpending(database),
        clock,
        RoomSettings(),
        tariff=PerMinute("rooms", PRICE, 1000),
        flush=nothing,
        ended_keys=nobody,
    )
    who, now = Principal(key_id, org_id, "acme", Tier.FREE), clock.now()
    bot = Voicebot("665f5aa613e4fe2f12ab34cd", org_id, "Guide", None, "", None, "alloy", "", "", (), now, now)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(beat(ledger))
        for number in range(CALLERS):
            tasks.create_task(call(rooms, accounts, who, bot, random.Random(f"{seed} {number}")))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
