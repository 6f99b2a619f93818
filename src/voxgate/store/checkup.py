"""Whether a database is whole: its schema, its file, its rules."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.store.database import Database
from voxgate.store.schema import REVISION

_TRIGGERS = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'postings'",
    "postgresql": """
        SELECT 2 * count(*) FROM pg_trigger
        WHERE tgrelid = 'postings'::regclass AND NOT tgisinternal AND tgenabled <> 'D'
    """,
}
"""Two on SQLite, for UPDATE and DELETE; one for both on PostgreSQL."""


async def checkup(database: Database) -> tuple[str | None, list[str]]:
    """(revision of the schema; what is wrong, a sentence each). Changes nothing. Raises StoreError."""
    revision = await database.revision()
    if revision is None:
        return None, ["the database is empty; `voxgate db upgrade` makes the tables"]

    async def look(connection: AsyncConnection) -> list[str]:
        problems = []
        if database.dialect == "sqlite":
            found = await connection.scalars(text("PRAGMA integrity_check"))
            problems += [f"the file is damaged: {each}" for each in found if each != "ok"]
            strays = await connection.execute(text("PRAGMA foreign_key_check"))
            problems += [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in strays]
        if await connection.scalar(text(_TRIGGERS[database.dialect])) != 2:  # UPDATE and DELETE
            problems.append("the triggers that keep postings from being changed are not there")
        return problems

    problems = await database.read(look)
    if revision < REVISION:
        problems.append(f"the schema is at {revision}, this version needs {REVISION}: run `voxgate db upgrade`")
    elif revision > REVISION:
        problems.append(f"the schema is at {revision}, of a newer version of Voxgate; this one knows {REVISION}")
    return revision, problems
