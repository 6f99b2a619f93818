"""The desk that sessions in rooms are tested at; a file with a database or clock of its own overrides these."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.room_desk import Desk, somebody
from voxgate.clock import FakeClock
from voxgate.domain import Principal
from voxgate.store.audit import SqlAudit
from voxgate.store.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}")
    await database.upgrade()
    yield database
    assert (await SqlAudit(database).audit()).differences == ()
    await database.aclose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(database, clock)


@pytest.fixture
async def who(database: Database) -> Principal:
    return await somebody(database)
