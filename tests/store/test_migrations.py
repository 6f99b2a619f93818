import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.books import UsageQuery
from voxgate.clock import FakeClock
from voxgate.errors import ConfigError, MisuseError, StoreError
from voxgate.records import SessionOpened
from voxgate.rooms import Voicebot
from voxgate.store import migrations
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.schema import REVISION, metadata
from voxgate.store.sessions import SqlSessions
from voxgate.store.usage import SqlUsage
from voxgate.store.voicebots import SqlVoicebots


async def test_an_empty_database_is_brought_to_the_head_once(empty_url: str) -> None:
    database = await Database.open(empty_url)
    assert await database.upgrade() is True
    assert await database.upgrade() is False
    await database.aclose()


async def test_two_servers_that_start_at_once_migrate_once(empty_url: str) -> None:
    first, second = await Database.open(empty_url), await Database.open(empty_url)
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


async def test_a_ledger_of_the_first_version_is_kept_whole(empty_url: str) -> None:
    database = await Database.open(empty_url)

    def first(connection: Connection) -> None:
        command.upgrade(migrations.config(connection), "0001")

    async def fill(connection: AsyncConnection) -> None:
        await connection.run_sync(first)
        at = "'2026-01-01 00:00:00'"
        for statement in (
            "INSERT INTO organizations (id, name, tier, available, held, created_at) "
            f"VALUES ('o', 'n', 'free', 90, 6, {at})",
            "INSERT INTO api_keys (id, org_id, digest, prefix, label, created_at) "
            f"VALUES ('k', 'o', 'd', 'p', '', {at})",
            "INSERT INTO holds (id, org_id, key_id, request_id, surface, amount, earned, units, charged, opened_at, "
            f"heartbeat_at, settled_at) VALUES ('h1', 'o', 'k', 'r1', 'speech', 10, 0, '{{}}', 4, {at}, {at}, {at}), "
            f"('h2', 'o', 'k', 'r2', 'speech', 6, 2, '{{\"audio_ms\": 7}}', NULL, {at}, {at}, NULL)",
            "INSERT INTO postings (org_id, hold_id, request_id, kind, amount, key, at) VALUES "
            f"('o', NULL, NULL, 'grant', 100, 'g', {at}), ('o', 'h1', 'r1', 'hold', 10, 'h1:h', {at}), "
            f"('o', 'h1', 'r1', 'charge', 4, 'h1:c', {at}), ('o', 'h1', 'r1', 'release', 6, 'h1:r', {at}), "
            f"('o', 'h2', 'r2', 'hold', 6, 'h2:h', {at})",
            "INSERT INTO usage (org_id, key_id, hold_id, request_id, surface, units, amount, at) VALUES "
            f"('o', 'k', 'h1', 'r1', 'speech', '{{}}', 4, {at}), ('o', 'k', NULL, 'r3', 'chat', '{{}}', 0, {at})",
        ):
            await connection.exec_driver_sql(statement)

    await database.write(fill)
    assert await database.upgrade() is True
    assert (await SqlAudit(database).audit()).differences == ()
    rows = await SqlUsage(database).page(UsageQuery(org_id="o"), limit=9)
    assert rows is not None
    assert [row.request_id for row in rows] == ["r3", "r1"]
    assert len({row.id for row in rows}) == 2
    # a hold from before servers had ids is nobody's any more
    assert await SqlBooks(database, FakeClock()).settle_orphans() == [("r2", 2)]
    assert (await SqlAudit(database).audit()).differences == ()
    await database.aclose()


async def test_a_database_without_sessions_gets_them_and_keeps_everything_else(empty_url: str) -> None:
    database = await Database.open(empty_url)

    def third(connection: Connection) -> None:
        command.upgrade(migrations.config(connection), "0003")

    async def fill(connection: AsyncConnection) -> None:
        await connection.run_sync(third)
        at = "'2026-01-01 00:00:00'"
        for statement in (
            "INSERT INTO organizations (id, name, tier, available, held, created_at) "
            f"VALUES ('o', 'n', 'free', 100, 0, {at})",
            f"INSERT INTO api_keys (id, org_id, digest, prefix, label, created_at, max_concurrent) "
            f"VALUES ('k', 'o', 'd', 'p', '', {at}, 3)",
            f"INSERT INTO postings (org_id, kind, amount, key, at) VALUES ('o', 'grant', 100, 'g', {at})",
        ):
            await connection.exec_driver_sql(statement)

    await database.write(fill)
    assert await database.upgrade() is True
    assert (await SqlAudit(database).audit()).differences == ()
    (key,) = await SqlAccounts(database, FakeClock()).keys()
    assert (key.id, key.max_concurrent) == ("k", 3)
    store = SqlSessions(database)
    opened = SessionOpened("sess_1", "o", "k", "agent", "aria", None, datetime(2026, 1, 1, tzinfo=UTC))
    assert await store.keep([opened]) == 0
    assert [kept.opened for kept in await store.sessions(limit=9)] == [opened]
    await database.aclose()


async def test_a_database_without_voicebots_gets_them_and_keeps_everything_else(empty_url: str) -> None:
    database = await Database.open(empty_url)

    def fourth(connection: Connection) -> None:
        command.upgrade(migrations.config(connection), "0004")

    async def fill(connection: AsyncConnection) -> None:
        await connection.run_sync(fourth)
        at = "'2026-01-01 00:00:00'"
        for statement in (
            "INSERT INTO organizations (id, name, tier, available, held, created_at) "
            f"VALUES ('o', 'n', 'free', 100, 0, {at})",
            f"INSERT INTO api_keys (id, org_id, digest, prefix, label, created_at) "
            f"VALUES ('k', 'o', 'd', 'p', '', {at})",
            f"INSERT INTO postings (org_id, kind, amount, key, at) VALUES ('o', 'grant', 100, 'g', {at})",
            "INSERT INTO sessions (id, org_id, key_id, surface, voice, started_at) "
            f"VALUES ('sess_1', 'o', 'k', 'agent', 'aria', {at})",
        ):
            await connection.exec_driver_sql(statement)

    await database.write(fill)
    assert await database.upgrade() is True
    assert (await SqlAudit(database).audit()).differences == ()
    assert [kept.opened.id for kept in await SqlSessions(database).sessions(limit=9)] == ["sess_1"]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bot = Voicebot("b" * 24, "o", "Mai", None, "", None, "aria", "", "valsea-fast", (), now, now)
    assert await SqlVoicebots(database).add(bot, most=1)
    assert await SqlVoicebots(database).find(bot.id) == bot
    await database.aclose()
