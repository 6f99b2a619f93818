"""A fresh database for every test, on SQLite and on PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres, empty_database
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[str]:
    """Of a database without tables."""
    with empty_database(request, dialect, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables of this version, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(_upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """Name of a database with the tables of this version, to be copied."""
    name = postgres.create()
    asyncio.run(_upgrade(postgres.url(name)))
    return name


async def _upgrade(url: str) -> None:
    database = await Database.open(url)
    await database.upgrade()
    await database.aclose()  # on SQLite the last connection folds the write-ahead log into the file


@pytest.fixture
def url(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[str]:
    """Of a database with the tables of this version, and nothing in them."""
    if dialect == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(template=request.getfixturevalue("postgres_template"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
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


@pytest.fixture
async def who(accounts: SqlAccounts) -> Principal:
    """Somebody with a thousand micro-credits."""
    added = await accounts.add_key("vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=1000, label="", expires_at=None)
    assert added is not None
    return Principal(key_id=added[1].id, org_id=added[0].id, org_name="acme", tier=Tier.FREE)


@pytest.fixture
async def rooms(database: Database, clock: FakeClock, ledger: SqlLedger) -> AsyncIterator[SqlRooms]:
    """Whose books are right at the end."""
    yield SqlRooms(database, clock, ledger, notify=True)
    assert (await SqlAudit(database).audit()).differences == ()
