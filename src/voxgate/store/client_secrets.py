"""Client secrets: credentials for browsers, which stand for the key that minted them, for a minute or so.

They are kept and looked up as keys are, by their SHA-256 (see `store/keys.py` for why that is enough). One is good
until it expires, and no longer than its key: whoever revokes the key ends its secrets too.
"""

import re
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import Principal, Scope, Tier
from voxgate.ports import Keys
from voxgate.store.database import Database
from voxgate.store.keys import digest
from voxgate.store.schema import api_keys, client_secrets, organizations

SECRET_PREFIX = "ek_"
"""How a client secret begins, as OpenAI's do: their browser SDK refuses anything else."""

_SECRET = re.compile(r"ek_[A-Za-z0-9_-]{32,125}")

_OWNER = (
    select(
        client_secrets.c.scopes,
        client_secrets.c.session,
        client_secrets.c.expires_at,
        api_keys.c.id,
        api_keys.c.expires_at.label("key_expires_at"),
        api_keys.c.max_concurrent,
        api_keys.c.daily_limit,
        organizations.c.id.label("org_id"),
        organizations.c.name,
        organizations.c.tier,
    )
    .join_from(client_secrets, api_keys)
    .join(organizations)
    .where(client_secrets.c.digest == bindparam("hashed"), api_keys.c.revoked_at.is_(None))
)
_EXPIRED = delete(client_secrets).where(client_secrets.c.expires_at <= bindparam("now"))
_NEW = insert(client_secrets)


class SqlClientSecrets:
    """`books.ClientSecretStore` on the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self,
        secret: str,
        *,
        key_id: str,
        scopes: Collection[Scope],
        session: Mapping[str, Any],
        expires_at: datetime,
    ) -> str:
        secret_id = f"sess_{secrets.token_hex(12)}"
        at = self._clock.now()
        row = {
            "id": secret_id,
            "key_id": key_id,
            "digest": digest(secret),
            "scopes": sorted(scopes),
            "session": dict(session),
            "created_at": at,
            "expires_at": expires_at,
        }

        async def store(connection: AsyncConnection) -> None:
            await connection.execute(_EXPIRED, {"now": at})
            await connection.execute(_NEW, row)

        await self._database.write(store, durable=False)  # who loses it to a power cut has lost the connection too
        return secret_id

    async def find(self, secret: str) -> Principal | None:
        """Whom a client secret stands for; None for one that is unknown or expired, or whose key ended."""
        if _SECRET.fullmatch(secret) is None:
            return None
        hashed = digest(secret)

        async def look(connection: AsyncConnection) -> Principal | None:
            row = (await connection.execute(_OWNER, {"hashed": hashed})).one_or_none()
            now = self._clock.now()
            if row is None or row.expires_at <= now or (row.key_expires_at is not None and row.key_expires_at <= now):
                return None
            return Principal(
                key_id=row.id,
                org_id=row.org_id,
                org_name=row.name,
                tier=Tier(row.tier),
                max_concurrent=row.max_concurrent,
                daily_limit=row.daily_limit,
                scopes=frozenset(Scope(scope) for scope in row.scopes),
                session=row.session,
                expires_at=row.key_expires_at,
            )

        return await self._database.read(look)


class SqlCredentials:
    """`ports.Keys` over both kinds of credentials; their beginnings tell them apart."""

    def __init__(self, keys: Keys, client_secrets: SqlClientSecrets) -> None:
        self._keys = keys
        self._client_secrets = client_secrets

    async def find(self, key: str) -> Principal | None:
        if key.startswith(SECRET_PREFIX):
            return await self._client_secrets.find(key)
        return await self._keys.find(key)

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        return await self._keys.ended(key_ids)
