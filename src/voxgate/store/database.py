"""One database by URL: SQLite in a file, or PostgreSQL; transactions, pragmas, and errors people can act on.

SQLite allows one writer at a time. Here that is one connection, and transactions queue for it in order, so writers of
this process never meet a lock; other processes (the command line beside a server) are waited for, `BUSY_TIMEOUT_S`.

How much a crash may lose is chosen for each write. WAL survives the death of the process either way; `durable` also
survives the loss of power, for the price of an fsync (0.75 ms on the ext4 disk where this was decided, 2026-11):

- grants, keys, revocations, settled charges: durable. Someone was told about them.
- opening and extending a hold: not. Frames of the log are written in order, so what a power cut can take is holds of
  work that was cut off with them, never a charge, and the balance only ever errs in the customer's favour.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NoReturn, TypeVar, cast

from sqlalchemy import URL, AdaptedConnection, event, exc, inspect, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from voxgate.errors import ConfigError, MisuseError, StoreError
from voxgate.store.schema import REVISION

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
"""The statements of one transaction."""

BUSY_TIMEOUT_S = 5.0
"""How long a transaction waits for its turn, or for another process, before the request is refused with 503."""

_READERS = 4
"""SQLite connections that read. Each is a thread; reads take 0.3 ms, so a few serve thousands a second."""

_POSTGRES_CONNECTIONS = 10
"""Well under PostgreSQL's default limit of 100, for several servers on one database."""

_MIGRATION_LOCK = 0x766F7867
"""PostgreSQL advisory lock (the letters `voxg`): two servers that start at once migrate one after the other."""


def parse_url(url: str) -> URL:
    """The URL with the asynchronous driver Voxgate uses. Raises ConfigError for databases it does not know.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user:password@host/name`.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        # The text may hold a password, so it is not repeated.
        raise ConfigError(
            "store.url is not a database URL; write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
            param="store.url",
        ) from error
    dialect = parsed.get_backend_name()
    if dialect == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ConfigError("store.url needs a file: every connection would see its own memory", param="store.url")
        return parsed.set(drivername="sqlite+aiosqlite")
    if dialect in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+asyncpg")
    raise ConfigError(f"store.url names {dialect!r}; Voxgate keeps its data in sqlite or postgresql", param="store.url")


class Database:
    """An open database. Rooms hand it named transactions as functions of a connection.

    A transaction that was begun is finished even if its caller is cancelled meanwhile; the cancellation goes on then.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        """Use `Database.open`."""
        self._writer = writer
        self._reader = reader
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> "Database":
        """Connect, and make an SQLite file that is not there yet (its folder must exist).

        Raises ConfigError for an unusable URL or a missing driver, StoreError where nothing answers.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            with _translated():
                await asyncio.to_thread(_try_file, str(parsed.database), busy_timeout_s)
            writer = _sqlite_engine(parsed, connections=1, timeout_s=busy_timeout_s)
            event.listen(writer.sync_engine, "begin", _begin_immediate)
            # Reads are single statements, so there is nothing to roll back; on the writer there is.
            reader = _sqlite_engine(
                parsed, connections=_READERS, timeout_s=busy_timeout_s, skip_autocommit_rollback=True
            )
        else:
            writer = _postgres_engine(parsed, timeout_s=busy_timeout_s)
            reader = writer.execution_options(isolation_level="AUTOCOMMIT")
        database = cls(writer, reader)
        try:
            await database.ping()
        except BaseException:
            await database.aclose()
            raise
        return database

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._writer.dialect.name

    async def ping(self) -> None:
        """Return once the database answers. Raises StoreError."""
        await self.read(_select_one)

    async def read(self, work: Work[T]) -> T:
        """Carry out `work`, one statement that changes nothing. Raises StoreError."""
        with _translated():
            async with self._reader.connect() as connection:
                return await work(connection)

    async def snapshot(self, work: Work[T]) -> T:
        """Carry out `work`, statements that change nothing and see the database of one moment. Raises StoreError."""
        with _translated():
            if self.dialect == "postgresql":
                async with self._writer.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
                    return await work(connection)
            async with self._reader.connect() as connection:
                await connection.execute(text("BEGIN"))
                try:
                    return await work(connection)
                finally:
                    await connection.execute(text("ROLLBACK"))

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        """Carry out `work` as one transaction: all of it, or, on any exception, nothing. Raises StoreError."""
        task = asyncio.create_task(self._transaction(work, durable))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not report it as lost
            raise cancelled
        return task.result()

    async def revision(self) -> str | None:
        """The newest migration the database has seen; None for an empty one. Raises StoreError."""
        return await self.read(_revision)

    async def upgrade(self) -> bool:
        """Bring the schema to `REVISION`; True if there was something to do. Safe to run from two processes at once.

        Raises ConfigError for a database that a newer Voxgate has written, StoreError.
        """
        if await self.revision() == REVISION:
            return False
        await self.write(_migrate)
        return True

    async def aclose(self) -> None:
        """Wait for transactions under way, then close every connection."""
        while self._running:
            await asyncio.wait(self._running)
        await self._writer.dispose()
        await self._reader.dispose()

    async def _transaction(self, work: Work[T], durable: bool) -> T:
        with _translated():
            async with self._writer.connect() as connection:
                await connection.execution_options(voxgate_durable=durable)
                async with connection.begin():
                    return await work(connection)


def _try_file(path: str, timeout_s: float) -> None:
    """Open the file once by hand: where that fails, aiosqlite 0.22 leaves a thread behind that outlives the loop."""
    with contextlib.closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _sqlite_engine(url: URL, *, connections: int, timeout_s: float, **options: Any) -> AsyncEngine:
    wait_ms = round(timeout_s * 1000)
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=timeout_s,
        # Every transaction ends in COMMIT or ROLLBACK by itself; another ROLLBACK is one more turn of the thread.
        pool_reset_on_return=None,
        hide_parameters=True,
        **options,
    )

    def prepare(connection: Any, _record: object) -> None:
        # The driver's own BEGIN is deferred: it takes the write lock late, where waiting for it is no longer possible.
        connection.isolation_level = None
        # secure_delete: what is erased is overwritten, not only forgotten.
        pragmas = (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            f"busy_timeout = {wait_ms}",
        )
        try:
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except BaseException:
            connection.close()  # the pool does not know it yet; left open, its thread would never end
            raise

    event.listen(engine.sync_engine, "connect", prepare)
    return engine


def _begin_immediate(connection: Connection) -> None:
    durable = connection.get_execution_options()["voxgate_durable"]
    script = "BEGIN IMMEDIATE"
    if connection.info.get("durable", True) is not durable:
        # Takes effect only outside a transaction: https://www.sqlite.org/pragma.html#pragma_synchronous
        script = f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}; {script}"
        connection.info["durable"] = durable
    # Past SQLAlchemy's cursor: one turn of the driver's thread instead of six.
    cast(AdaptedConnection, connection.connection.dbapi_connection).run_async(
        lambda driver: driver.executescript(script)
    )


def _postgres_engine(url: URL, *, timeout_s: float) -> AsyncEngine:
    try:
        return create_async_engine(
            url,
            pool_size=_POSTGRES_CONNECTIONS,
            max_overflow=0,
            pool_timeout=timeout_s,
            connect_args={"timeout": timeout_s, "command_timeout": 2 * timeout_s},
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            "store.url names PostgreSQL, whose driver is not installed: pip install 'voxgate[postgres]'",
            param="store.url",
        ) from error


async def _select_one(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT 1"))


async def _revision(connection: AsyncConnection) -> str | None:
    def look(sync: Connection) -> str | None:
        if not inspect(sync).has_table("alembic_version"):
            return None
        return sync.execute(text("SELECT version_num FROM alembic_version")).scalar()

    return await connection.run_sync(look)


async def _migrate(connection: AsyncConnection) -> None:
    from voxgate.store import migrations

    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    await connection.run_sync(migrations.upgrade)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        # Constraints state our own rules; what a caller may do wrong is asked before.
        raise MisuseError(f"the database refused a row: {type(error.orig).__name__}") from error
    except (exc.DBAPIError, exc.TimeoutError, sqlite3.Error, OSError) as error:
        _raise_store_error(error)


def _raise_store_error(error: Exception) -> NoReturn:
    original = getattr(error, "orig", None) or error
    # Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
    code = getattr(original, "sqlite_errorcode", 0) & 0xFF
    if isinstance(original, exc.TimeoutError | TimeoutError) or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise StoreError("the database is busy; try again", retry_after_s=1) from error
    if code == sqlite3.SQLITE_FULL:
        raise StoreError("the disk that holds the database is full", retry_after_s=30) from error
    if code == sqlite3.SQLITE_READONLY:
        raise StoreError("the database cannot be written: the file is read-only", retry_after_s=30) from error
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        raise StoreError("the database file is damaged, or is no SQLite database", retry_after_s=30) from error
    if code == sqlite3.SQLITE_CANTOPEN:
        raise StoreError("the database file cannot be opened; does its folder exist?", retry_after_s=5) from error
    raise StoreError("the database does not answer", retry_after_s=5) from error
