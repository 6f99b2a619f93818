"""SIGKILL at twenty random moments: no session is billed a second too much, and none loses a minute that was paid."""

import asyncio
import random
from collections import defaultdict

import pytest

from tests.e2e.killing import run_and_kill
from tests.e2e.room_worker import PRICE
from voxgate.clock import FakeClock
from voxgate.domain import Tier
from voxgate.rooms import RoomEnd
from voxgate.services.idempotency import Idempotency
from voxgate.services.sweeping import LedgerSettings, Sweeper
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.idempotency import SqlIdempotency
from voxgate.store.ledger import SqlLedger
from voxgate.store.outbox import SqlOutbox
from voxgate.store.rooms import SqlRooms

pytestmark = pytest.mark.slow

KILLS = 10
"""On each of the two databases."""


Bill = tuple[int, int]
"""Whole seconds, minutes."""


def bounds(journal: list[list[str]]) -> dict[str, tuple[Bill, Bill]]:
    """Room -> the least and the most it may have been billed."""
    least: dict[str, Bill] = defaultdict(lambda: (0, 1))
    most: dict[str, Bill] = defaultdict(lambda: (0, 1))
    ended: dict[str, Bill] = {}
    for word, room, time_, minutes, *charge in journal:
        if word == "ended":
            ended[room] = (int(time_), int(minutes))
            assert int(charge[0]) == PRICE * int(minutes)
            continue
        bill = (-(-int(time_) // 1000), int(minutes))
        most[room] = max(most[room], bill)
        if word == "known":
            least[room] = max(least[room], bill)
    open_ = {room: (least[room], most[room]) for room in least.keys() | most.keys()}
    return open_ | {room: (bill, bill) for room, bill in ended.items()}


async def test_sessions_are_billed_to_the_last_heartbeat_whenever_their_server_is_killed(url: str) -> None:
    database = await Database.open(url)
    await database.upgrade()
    clock = FakeClock()
    added = await SqlAccounts(database, clock).add_key(
        "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=0, label="", expires_at=None
    )
    assert added is not None
    org, key = added
    ledger = SqlLedger(database, clock)
    books, requests = SqlBooks(database, clock, notify=True), Idempotency(SqlIdempotency(database, clock, ledger))
    sweeper = Sweeper(ledger, books, requests, clock, LedgerSettings())
    rooms = SqlRooms(database, clock, ledger)
    seed = random.randrange(1_000_000)
    crashed, checked = 0, set[str]()
    for kill in range(KILLS):
        journal = await asyncio.to_thread(run_and_kill, "room_worker", url, key.id, org.id, seed + kill)
        for _ in range(2):  # seen alive for the last time, then silent for too long
            await sweeper.tick()
            clock.advance(31)
        await sweeper.tick()
        told = f"seed {seed + kill}"
        assert (await SqlAudit(database).audit()).differences == (), told
        assert (await ledger.balance(org.id)).held == 0, told
        due = bounds(journal)
        new = [session for _, session in await rooms.page(limit=100_000) if session.plan.room not in checked]
        assert due.keys() <= {session.plan.room for session in new}, told
        for session in new:
            room = session.plan.room
            checked.add(room)
            least, most = due.get(room, ((0, 1), (0, 1)))  # killed before it could say that it had created it
            bill = (session.duration_s, session.billed_minutes)
            assert least <= bill <= most, f"{told}: {[line for line in journal if line[1] == room]}"
            assert least[1] <= session.billed_minutes <= most[1]
            assert session.charged == PRICE * session.billed_minutes
            assert session.ended_at is not None
            crashed += session.reason is RoomEnd.CRASHED
    assert crashed, "no kill hit a session"
    assert await SqlOutbox(database).waiting() == 2 * len(checked), "every beginning and every end is to be told"
    await database.aclose()
