import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.store.checkup import checkup
from voxgate.store.database import Database
from voxgate.store.schema import REVISION


async def test_a_database_in_order_has_no_problems(database: Database) -> None:
    assert await checkup(database) == (REVISION, [])


async def test_an_empty_database_is_told(empty_url: str) -> None:
    database = await Database.open(empty_url)
    revision, problems = await checkup(database)
    await database.aclose()
    assert revision is None
    assert "voxgate db upgrade" in problems[0]


async def test_missing_triggers_and_other_versions_are_told(database: Database, dialect: str) -> None:
    async def spoil(connection: AsyncConnection) -> None:
        trigger = "postings_no_delete" if dialect == "sqlite" else "postings_append_only ON postings"
        await connection.execute(text(f"DROP TRIGGER {trigger}"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    await database.write(spoil)
    revision, problems = await checkup(database)
    assert revision == "0001"
    assert [word in problem for word, problem in zip(("triggers", "db upgrade"), problems, strict=True)] == [True, True]


async def test_a_database_of_a_newer_version_is_told(database: Database) -> None:
    async def pretend(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.write(pretend)
    assert "newer" in (await checkup(database))[1][0]


async def test_rows_that_refer_to_nothing_are_told(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "d.db")
    with closing(sqlite3.connect(tmp_path / "d.db")) as raw:  # which does not enforce foreign keys unless asked
        raw.execute(
            "INSERT INTO postings (org_id, kind, amount, key, at) VALUES ('gone', 'grant', 1, 'k', '2026-01-01')"
        )
        raw.commit()
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}")
    _, problems = await checkup(database)
    await database.aclose()
    assert problems == ["row 1 of postings refers to a row of organizations that is not there"]
