"""A database that is locked, full, or gone for a while: refused, nothing half-posted, right again after."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.postgres import Postgres
from voxgate.clock import FakeClock
from voxgate.domain import Balance, Principal, Tier, Usage
from voxgate.errors import StoreError
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger

DONE = Usage("req_1", "speech", {"audio_ms": 5})
KEY = "vg_" + "k" * 40


async def _somebody(database: Database) -> Principal:
    added = await SqlAccounts(database, FakeClock()).add_key(
        KEY, org="acme", tier=Tier.FREE, grant=1000, label="", expires_at=None
    )
    assert added is not None
    return Principal(added[1].id, added[0].id, "acme", Tier.FREE)


async def test_a_ledger_that_is_locked_refuses_and_settles_when_the_lock_is_gone(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "locked.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = await Database.open(f"sqlite:///{path}", busy_timeout_s=0.05)
    who = await _somebody(database)
    ledger = SqlLedger(database, FakeClock())
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for step in (
            ledger.hold(who, 100, request_id="req_2", surface="speech"),
            hold.extend(200),
            hold.settle(40, DONE),
            ledger.record(who, DONE),
            ledger.beat(),
        ):
            with pytest.raises(StoreError, match="busy"):
                await step
        assert await ledger.balance(who.org_id) == Balance(available=900, held=100)
        other.execute("ROLLBACK")
    await ledger.beat()
    assert await ledger.balance(who.org_id) == Balance(available=960, held=0)
    assert (await SqlAudit(database).audit()).differences == ()
    await database.aclose()


async def test_a_full_disk_leaves_nothing_half_posted(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "full.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = await Database.open(f"sqlite:///{path}")
    who = await _somebody(database)
    ledger = SqlLedger(database, FakeClock())

    async def pages(connection: AsyncConnection) -> None:
        count = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {count}"))

    async def room(connection: AsyncConnection) -> None:
        await connection.execute(text("PRAGMA max_page_count = 1073741823"))

    await database.write(pages)
    done = 0
    with pytest.raises(StoreError, match="full"):
        for number in range(10_000):
            hold = await ledger.hold(who, 1, request_id=f"req_{number}", surface="speech")
            await hold.settle(0, None)
            done += 1
    assert done
    assert (await SqlAudit(database).audit()).differences == ()
    await database.write(room)
    await ledger.beat()
    assert await ledger.balance(who.org_id) == Balance(available=1000, held=0)
    assert (await SqlAudit(database).audit()).differences == ()
    await database.aclose()


@pytest.mark.slow
async def test_a_server_that_is_gone_for_a_while_is_missed_and_found_again(
    postgres: Postgres, postgres_template: str
) -> None:
    name = postgres.create(template=postgres_template)
    database = await Database.open(postgres.url(name), busy_timeout_s=1)
    who = await _somebody(database)
    ledger = SqlLedger(database, FakeClock())
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    postgres.stop()
    try:
        for _ in range(2):  # over the connections that broke, then over new ones
            for step in (
                ledger.hold(who, 100, request_id="req_2", surface="speech"),
                hold.settle(40, DONE),
                ledger.balance(who.org_id),
                ledger.beat(),
            ):
                with pytest.raises(StoreError) as caught:
                    await step
                assert caught.value.retry_after_s
                assert "not-asked-for" not in str(caught.value)
    finally:
        postgres.start()
    await ledger.beat()
    assert await ledger.balance(who.org_id) == Balance(available=960, held=0)
    assert (await SqlAudit(database).audit()).differences == ()
    await database.aclose()
    postgres.drop(name)


@pytest.mark.slow
async def test_a_server_that_refuses_is_a_store_that_does_not_answer(postgres: Postgres) -> None:
    with pytest.raises(StoreError) as caught:  # the driver refuses with an error of its own, before SQLAlchemy sees it
        await Database.open(postgres.url("there_is_no_such_database"))
    assert caught.value.retry_after_s
    assert "not-asked-for" not in str(caught.value)
