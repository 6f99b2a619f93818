"""A fresh database for every test, on SQLite and, where VOXGATE_TEST_POSTGRES_URL names a server, on PostgreSQL."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from voxgate.clock import FakeClock
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys
from voxgate.store.ledger import SqlLedger

POSTGRES = os.environ.get("VOXGATE_TEST_POSTGRES_URL", "")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    name = f"voxgate_{secrets.token_hex(6)}"
    own = make_url(POSTGRES).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(own, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield own.set(database=name).render_as_string(hide_password=False)
        finally:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await engine.dispose()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
    await database.upgrade()
    yield database
    await database.aclose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def keys(database: Database, clock: FakeClock) -> AsyncIterator[SqlKeys]:
    keys = SqlKeys(database, clock)
    yield keys
    await keys.aclose()


@pytest.fixture
def accounts(database: Database, clock: FakeClock) -> SqlAccounts:
    return SqlAccounts(database, clock)


@pytest.fixture
def ledger(database: Database, clock: FakeClock) -> SqlLedger:
    return SqlLedger(database, clock)
