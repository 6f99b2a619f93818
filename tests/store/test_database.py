import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.postgres import Postgres
from voxgate.errors import ConfigError, MisuseError, StoreError
from voxgate.store.database import Database, parse_url


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///a.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////tmp/a.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@h/n", "postgresql+asyncpg"),
        ("postgres://u:p@h/n", "postgresql+asyncpg"),
        ("postgresql+psycopg://u:p@h/n", "postgresql+asyncpg"),
    ],
)
def test_every_spelling_of_a_url_gets_the_asynchronous_driver(given: str, driver: str) -> None:
    assert parse_url(given).drivername == driver


@pytest.mark.parametrize("given", ["", "voxgate.db", "mysql://u:hunter2@h/n", "sqlite://", "sqlite:///:memory:"])
def test_unusable_urls_are_refused_without_repeating_a_password(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(given)
    assert caught.value.param == "store.url"
    assert "hunter2" not in caught.value.message


async def _count(connection: AsyncConnection) -> int:
    return int(await connection.scalar(text("SELECT count(*) FROM t")) or 0)


async def _make(connection: AsyncConnection) -> None:
    await connection.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))


async def _add(connection: AsyncConnection, n: int = 1) -> None:
    await connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})


async def test_an_exception_undoes_the_whole_transaction(database: Database) -> None:
    await database.write(_make)

    async def half(connection: AsyncConnection) -> None:
        await _add(connection)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await database.write(half)
    assert await database.read(_count) == 0


async def test_a_transaction_outlives_its_cancelled_caller_and_the_cancellation_goes_on(database: Database) -> None:
    await database.write(_make)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await _add(connection)
        begun.set()
        await go_on.wait()

    task = asyncio.create_task(database.write(slow))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=0.01)
    task.cancel()
    await asyncio.wait({task}, timeout=0.01)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.read(_count) == 1


async def test_writers_queue_instead_of_meeting_a_lock(database: Database) -> None:
    await database.write(_make)
    await asyncio.gather(
        *(database.write(lambda c, n=n: _add(c, n), durable=bool(n % 2)) for n in range(100))  # type: ignore[misc]
    )
    assert await database.read(_count) == 100


async def test_a_broken_rule_of_the_schema_is_our_own_fault(database: Database) -> None:
    await database.write(_make)
    await database.write(_add)
    with pytest.raises(MisuseError):
        await database.write(_add)


async def test_durability_is_chosen_for_each_transaction(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}")

    async def level(connection: AsyncConnection) -> int:
        return int(await connection.scalar(text("PRAGMA synchronous")) or 0)

    # https://www.sqlite.org/pragma.html#pragma_synchronous: 1 is NORMAL, 2 is FULL
    levels = [await database.write(level, durable=durable) for durable in (True, False, False, True)]
    await database.aclose()
    assert levels == [2, 1, 1, 2]


async def test_a_lock_of_another_process_is_waited_for_then_reported(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}", busy_timeout_s=0.05)
    await database.write(_make)
    with closing(sqlite3.connect(tmp_path / "d.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="busy") as caught:
            await database.write(_add)
        assert caught.value.retry_after_s == 1
        assert await database.read(_count) == 0, "readers are not held up"
        other.execute("ROLLBACK")
    await database.write(_add)
    assert await database.read(_count) == 1
    await database.aclose()


async def test_a_queue_that_does_not_move_is_reported(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}", busy_timeout_s=0.05)
    await database.write(_make)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_connection: AsyncConnection) -> None:
        begun.set()
        await go_on.wait()

    first = asyncio.create_task(database.write(slow))
    await begun.wait()
    with pytest.raises(StoreError, match="busy"):
        await database.write(_add)
    go_on.set()
    await first
    await database.aclose()


async def test_a_full_disk_is_reported_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}")
    await database.write(_make)

    async def fill(connection: AsyncConnection) -> None:
        await connection.execute(text("PRAGMA max_page_count = 4"))
        for n in range(10_000):
            await _add(connection, n)

    with pytest.raises(StoreError, match="full") as caught:
        await database.write(fill)
    assert caught.value.retry_after_s == 30
    assert await database.read(_count) == 0
    await database.aclose()


async def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "d.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="damaged"):
        await Database.open(f"sqlite:///{tmp_path / 'd.db'}")


async def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder"):
        await Database.open(f"sqlite:///{tmp_path / 'no' / 'd.db'}")


@pytest.mark.slow
async def test_postgresql_answers_by_url_alone(postgres: Postgres) -> None:
    database = await Database.open(postgres.url("postgres"))
    assert database.dialect == "postgresql"
    await database.aclose()


async def test_a_server_that_is_not_there_is_reported() -> None:
    with pytest.raises(StoreError, match="does not answer") as caught:
        await Database.open("postgresql://u:hunter2@127.0.0.1:1/n")
    assert caught.value.retry_after_s == 5
    assert "hunter2" not in str(caught.value)
