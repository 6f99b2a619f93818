import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.errors import ConfigError, MisuseError, StoreError
from voxgate.store import migrations
from voxgate.store.database import Database
from voxgate.store.schema import REVISION, metadata


async def test_an_empty_database_is_brought_to_the_head_once(url: str) -> None:
    database = await Database.open(url)
    assert await database.upgrade() is True
    assert await database.upgrade() is False
    await database.aclose()


async def test_two_servers_that_start_at_once_migrate_once(url: str) -> None:
    first, second = await Database.open(url), await Database.open(url)
    await asyncio.gather(first.upgrade(), second.upgrade())
    assert await first.upgrade() is False
    await first.aclose()
    await second.aclose()


async def test_the_migrations_make_exactly_the_schema(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async def compare(connection: AsyncConnection) -> list[Any]:
        return await connection.run_sync(differences)

    assert await database.read(compare) == []


async def test_the_revision_in_the_schema_is_the_newest_migration(database: Database) -> None:
    def head(connection: Connection) -> str | None:
        return ScriptDirectory.from_config(migrations.config(connection)).get_current_head()

    async def ask(connection: AsyncConnection) -> str | None:
        return await connection.run_sync(head)

    assert await database.read(ask) == REVISION


async def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    async def pretend(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.write(pretend)
    with pytest.raises(ConfigError, match="newer"):
        await database.upgrade()


@pytest.mark.parametrize("change", ["UPDATE postings SET amount = 1", "DELETE FROM postings"])
async def test_postings_can_only_be_added(database: Database, change: str) -> None:
    async def add(connection: AsyncConnection) -> None:
        await connection.execute(
            text(
                "INSERT INTO organizations (id, name, tier, available, held, created_at) "
                "VALUES ('o', 'n', 'free', 5, 0, '2026-01-01 00:00:00')"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO postings (org_id, kind, amount, key, at) "
                "VALUES ('o', 'grant', 5, 'k', '2026-01-01 00:00:00')"
            )
        )

    async def spoil(connection: AsyncConnection) -> None:
        await connection.execute(text(change))

    async def amounts(connection: AsyncConnection) -> list[int]:
        return list(await connection.scalars(text("SELECT amount FROM postings")))

    await database.write(add)
    with pytest.raises((MisuseError, StoreError)):
        await database.write(spoil)
    assert await database.read(amounts) == [5]
