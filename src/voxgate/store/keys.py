"""Who a key belongs to, and whether it still does.

A key is kept as its SHA-256, without salt or stretching: those protect secrets that people choose, by making guesses
dear. Ours are 256 random bits; 2^255 guesses are out of reach at any speed, and a plain hash can be looked up by index.
The comparison happens inside the database on hashes: its timing tells about the hash of a guess, which helps nobody to
make a better one.

Keys are not cached: a lookup costs 0.4 ms, and so a revoked key stops working at once, whichever process revoked it.
"""

import asyncio
import hashlib
import re
from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import Principal, Tier
from voxgate.errors import StoreError
from voxgate.store.database import Database
from voxgate.store.schema import api_keys, organizations

PREFIX_LENGTH = 11
"""Characters of a key that stay visible: `vg_` and 8 random ones, 48 bits of 256."""

_KEY = re.compile(r"vg_[A-Za-z0-9_-]{32,125}")

_TOUCH_EVERY = timedelta(minutes=1)
"""How stale `last_used_at` may be: one write a minute for a key, however busy."""

_log = structlog.get_logger(__name__)

# Built once: building a statement anew costs about as much as carrying it out.
_OWNER = (
    select(
        api_keys.c.id,
        api_keys.c.expires_at,
        api_keys.c.max_concurrent,
        api_keys.c.daily_limit,
        organizations.c.id.label("org_id"),
        organizations.c.name,
        organizations.c.tier,
    )
    .join_from(api_keys, organizations)
    .where(api_keys.c.digest == bindparam("hashed"), api_keys.c.revoked_at.is_(None))
)
_ALIVE = select(api_keys.c.id).where(
    api_keys.c.id.in_(bindparam("key_ids", expanding=True)),
    api_keys.c.revoked_at.is_(None),
    or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > bindparam("now", type_=api_keys.c.expires_at.type)),
)
_NOTE_USE = update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(last_used_at=bindparam("now"))


def digest(key: str) -> str:
    """What is stored of a key: SHA-256 in 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


class SqlKeys:
    """`ports.Keys` on the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._touched: dict[str, float] = {}
        self._touching: set[asyncio.Task[None]] = set()

    async def find(self, key: str) -> Principal | None:
        if _KEY.fullmatch(key) is None:
            return None
        hashed = digest(key)

        async def look(connection: AsyncConnection) -> Principal | None:
            row = (await connection.execute(_OWNER, {"hashed": hashed})).one_or_none()
            if row is None or (row.expires_at is not None and row.expires_at <= self._clock.now()):
                return None
            return Principal(
                key_id=row.id,
                org_id=row.org_id,
                org_name=row.name,
                tier=Tier(row.tier),
                max_concurrent=row.max_concurrent,
                daily_limit=row.daily_limit,
                expires_at=row.expires_at,
            )

        principal = await self._database.read(look)
        if principal is not None:
            self._touch(principal.key_id)
        return principal

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        asked = frozenset(key_ids)

        async def look(connection: AsyncConnection) -> frozenset[str]:
            parameters = {"key_ids": list(asked), "now": self._clock.now()}
            return asked - frozenset((await connection.execute(_ALIVE, parameters)).scalars())

        return await self._database.read(look) if asked else frozenset()

    async def aclose(self) -> None:
        """Wait until the last uses are written; call it before the database is closed."""
        while self._touching:
            await asyncio.wait(self._touching)

    def _touch(self, key_id: str) -> None:
        """Note the use beside the request, never in its way."""
        now = self._clock.monotonic()
        before = self._touched.get(key_id)
        if before is not None and now - before < _TOUCH_EVERY.total_seconds():
            return
        self._touched[key_id] = now
        task = asyncio.create_task(self._write_use(key_id, self._clock.now()))
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    async def _write_use(self, key_id: str, at: datetime) -> None:
        async def note(connection: AsyncConnection) -> None:
            await connection.execute(_NOTE_USE, {"key_id": key_id, "now": at})

        try:
            await self._database.write(note, durable=False)
        except StoreError as error:
            # Nobody waits for this; the next use after a minute writes it again.
            _log.warning("key_use_not_written", key_id=key_id, error=error.message)
