"""Organizations and their keys: what the command line and administration do."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import Clock
from voxgate.domain import ApiKey, Balance, Organization, Tier
from voxgate.errors import RefusedError
from voxgate.store.database import Database
from voxgate.store.keys import PREFIX_LENGTH, digest
from voxgate.store.schema import BALANCE_LIMIT, Kind, api_keys, organizations, postings

_NOT_KNOWN_YET = "rotating"  # what `replaced_by` holds for the rest of the transaction


class SqlAccounts:
    """`books.AccountStore` on the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_key(
        self,
        key: str,
        *,
        org: str,
        tier: Tier,
        grant: int,
        label: str,
        expires_at: datetime | None,
        max_concurrent: int | None = None,
        daily_limit: int | None = None,
        only_first: bool = False,
    ) -> tuple[Organization, ApiKey] | None:
        at = self._clock.now()

        async def add(connection: AsyncConnection) -> tuple[Organization, ApiKey] | None:
            if only_first and await connection.scalar(select(func.count()).select_from(organizations)):
                return None
            made = await self._insert_organization(connection, org, tier, at)
            if made is not None and grant:
                await self._post_grant(connection, made, grant, f"{made}:first", at)
            if made is None and only_first:
                return None  # another server was first, between our look and our insert
            [owner] = await _organizations(connection, org)
            stored = await _insert_key(
                connection,
                key,
                org_id=owner.id,
                label=label,
                created_at=at,
                expires_at=expires_at,
                max_concurrent=max_concurrent,
                daily_limit=daily_limit,
            )
            return owner, stored

        return await self._database.write(add)

    async def keys(self, org: str | None = None) -> Sequence[ApiKey]:
        async def look(connection: AsyncConnection) -> list[ApiKey]:
            return await _keys(connection, *([] if org is None else [organizations.c.name == org]))

        return await self._database.read(look)

    async def revoke_key(self, key_id: str) -> ApiKey | None:
        at = self._clock.now()

        async def revoke(connection: AsyncConnection) -> ApiKey | None:
            await connection.execute(
                update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=at)
            )
            found = await _keys(connection, api_keys.c.id == key_id)
            return found[0] if found else None

        return await self._database.write(revoke)

    async def rotate_key(
        self, key_id: str, key: str, *, ends_at: datetime, expires_at: datetime | None
    ) -> tuple[Organization, ApiKey] | None:
        at = self._clock.now()
        old = api_keys.c

        async def rotate(connection: AsyncConnection) -> tuple[Organization, ApiKey] | None:
            # Changed first: its lock makes a second rotation wait, and then find that this one was there before.
            row = (
                await connection.execute(
                    update(api_keys)
                    .where(
                        old.id == key_id,
                        old.revoked_at.is_(None),
                        old.replaced_by.is_(None),
                        or_(old.expires_at.is_(None), old.expires_at > at),
                    )
                    .values(
                        replaced_by=_NOT_KNOWN_YET,
                        expires_at=case((old.expires_at < ends_at, old.expires_at), else_=ends_at),
                    )
                    .returning(old.org_id, old.label, old.max_concurrent, old.daily_limit)
                )
            ).one_or_none()
            if row is None:
                return None
            stored = await _insert_key(
                connection,
                key,
                org_id=row.org_id,
                label=row.label,
                created_at=at,
                expires_at=expires_at,
                max_concurrent=row.max_concurrent,
                daily_limit=row.daily_limit,
            )
            await connection.execute(update(api_keys).where(old.id == key_id).values(replaced_by=stored.id))
            [owner] = await _organizations(connection, stored.org_name)
            return owner, stored

        return await self._database.write(rotate)

    async def limit_key(self, key_id: str, *, max_concurrent: int | None, daily_limit: int | None) -> ApiKey | None:
        async def limit(connection: AsyncConnection) -> ApiKey | None:
            await connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id)
                .values(max_concurrent=max_concurrent, daily_limit=daily_limit)
            )
            found = await _keys(connection, api_keys.c.id == key_id)
            return found[0] if found else None

        return await self._database.write(limit)

    async def grant(self, org: str, amount: int, *, grant_id: str) -> Organization | None:
        at = self._clock.now()

        async def post(connection: AsyncConnection) -> Organization | None:
            found = await _organizations(connection, org)
            if not found:
                return None
            await self._post_grant(connection, found[0].id, amount, f"{found[0].id}:grant:{grant_id}", at)
            [owner] = await _organizations(connection, org)
            return owner

        return await self._database.write(post)

    async def organizations(self, org: str | None = None) -> Sequence[Organization]:
        async def look(connection: AsyncConnection) -> list[Organization]:
            return await _organizations(connection, org)

        return await self._database.read(look)

    async def _insert_organization(
        self, connection: AsyncConnection, name: str, tier: Tier, at: datetime
    ) -> str | None:
        """The id of a new organization; None where the name is taken."""
        values = {
            "id": f"org_{secrets.token_hex(12)}",
            "name": name,
            "tier": tier,
            "available": 0,
            "held": 0,
            "created_at": at,
        }
        made: str | None = await connection.scalar(
            self._insert_new(organizations).values(values).on_conflict_do_nothing().returning(organizations.c.id)
        )
        return made

    async def _post_grant(self, connection: AsyncConnection, org_id: str, amount: int, key: str, at: datetime) -> None:
        posted = await connection.scalar(
            self._insert_new(postings)
            .values(org_id=org_id, kind=Kind.GRANT, amount=amount, key=key, at=at)
            .on_conflict_do_nothing(index_elements=[postings.c.key])
            .returning(postings.c.id)
        )
        if posted is None:
            return  # this grant was posted before
        changed = await connection.execute(
            update(organizations)
            .where(organizations.c.id == org_id, organizations.c.available <= BALANCE_LIMIT - amount)
            .values(available=organizations.c.available + amount)
        )
        if changed.rowcount != 1:
            raise RefusedError("the organization would have more credits than can be counted", param="credits")

    def _insert_new(self, table: Any) -> Any:
        """INSERT with ON CONFLICT, which both databases have, and SQLAlchemy in a dialect each."""
        return (sqlite if self._database.dialect == "sqlite" else postgresql).insert(table)


async def _insert_key(connection: AsyncConnection, key: str, **columns: Any) -> ApiKey:
    """Store the hash of `key` with these columns."""
    key_id = f"key_{secrets.token_hex(12)}"
    await connection.execute(
        insert(api_keys).values(id=key_id, digest=digest(key), prefix=key[:PREFIX_LENGTH], **columns)
    )
    [stored] = await _keys(connection, api_keys.c.id == key_id)
    return stored


async def _organizations(connection: AsyncConnection, name: str | None) -> list[Organization]:
    query = select(organizations).order_by(organizations.c.name)
    if name is not None:
        query = query.where(organizations.c.name == name)
    return [
        Organization(
            id=row.id,
            name=row.name,
            tier=Tier(row.tier),
            balance=Balance(available=row.available, held=row.held),
        )
        for row in await connection.execute(query)
    ]


async def _keys(connection: AsyncConnection, *conditions: Any) -> list[ApiKey]:
    query = (
        select(api_keys, organizations.c.name)
        .join_from(api_keys, organizations)
        .where(*conditions)
        .order_by(api_keys.c.created_at, api_keys.c.id)
    )
    return [_key(row) for row in await connection.execute(query)]


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        org_name=row.name,
        prefix=row.prefix,
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        max_concurrent=row.max_concurrent,
        daily_limit=row.daily_limit,
        replaced_by=row.replaced_by,
    )
