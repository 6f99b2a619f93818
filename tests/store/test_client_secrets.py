import secrets
from datetime import timedelta

import pytest

from voxgate.clock import FakeClock
from voxgate.domain import ApiKey, Principal, Scope, Tier
from voxgate.store.accounts import SqlAccounts
from voxgate.store.client_secrets import SqlClientSecrets, SqlCredentials
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys


@pytest.fixture
def store(database: Database, clock: FakeClock) -> SqlClientSecrets:
    return SqlClientSecrets(database, clock)


@pytest.fixture
async def key(accounts: SqlAccounts, clock: FakeClock) -> ApiKey:
    added = await accounts.add_key(
        f"vg_{secrets.token_urlsafe(32)}",
        org="acme",
        tier=Tier.PRO,
        grant=5,
        label="",
        expires_at=clock.now() + timedelta(hours=1),
        max_concurrent=4,
        daily_limit=7,
    )
    assert added is not None
    return added[1]


async def _mint(store: SqlClientSecrets, key: ApiKey, clock: FakeClock, *, seconds: int = 60) -> str:
    secret = f"ek_{secrets.token_urlsafe(32)}"
    until = clock.now() + timedelta(seconds=seconds)
    session = {"model": "m", "instructions": "hush"}
    assert (
        await store.add(secret, key_id=key.id, scopes=[Scope.SPEECH], session=session, expires_at=until)
    ).startswith("sess_")
    return secret


async def test_a_secret_stands_for_its_key(store: SqlClientSecrets, key: ApiKey, clock: FakeClock) -> None:
    found = await store.find(await _mint(store, key, clock))
    assert found is not None
    assert (found.key_id, found.org_name, found.tier) == (key.id, "acme", Tier.PRO)
    assert (found.max_concurrent, found.daily_limit) == (4, 7)
    assert found.scopes == frozenset({Scope.SPEECH})
    assert found.session == {"model": "m", "instructions": "hush"}
    assert "hush" not in repr(found)
    assert found.expires_at == clock.now() + timedelta(hours=1), "its key's, since who is let in stays so long"


async def test_it_ends_at_its_time(store: SqlClientSecrets, key: ApiKey, clock: FakeClock) -> None:
    secret = await _mint(store, key, clock)
    clock.advance(59.999)
    assert await store.find(secret) is not None
    clock.advance(0.001)
    assert await store.find(secret) is None


async def test_it_ends_with_its_key(
    store: SqlClientSecrets, key: ApiKey, clock: FakeClock, accounts: SqlAccounts
) -> None:
    outliving = await _mint(store, key, clock, seconds=7200)
    clock.advance(3599)
    assert await store.find(outliving) is not None
    clock.advance(1)
    assert await store.find(outliving) is None, "the key has expired"


async def test_a_revoked_key_takes_its_secrets_along(
    store: SqlClientSecrets, key: ApiKey, clock: FakeClock, accounts: SqlAccounts
) -> None:
    secret = await _mint(store, key, clock)
    await accounts.revoke_key(key.id)
    assert await store.find(secret) is None


async def test_the_expired_are_removed_when_one_is_minted(
    store: SqlClientSecrets, key: ApiKey, clock: FakeClock, database: Database
) -> None:
    from sqlalchemy import func, select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from voxgate.store.schema import client_secrets

    async def count(connection: AsyncConnection) -> int | None:
        return await connection.scalar(select(func.count()).select_from(client_secrets))

    for _ in range(3):
        await _mint(store, key, clock)
    assert await database.read(count) == 3
    clock.advance(60)
    await _mint(store, key, clock)
    assert await database.read(count) == 1


@pytest.mark.parametrize(
    "garbage", ["", "ek_", "ek_short", "vg_" + "a" * 40, "ek_" + "é" * 40, "ek_" + "a" * 43 + "\n"]
)
async def test_garbage_never_reaches_the_database(garbage: str) -> None:
    assert await SqlClientSecrets(Database(None, None), FakeClock()).find(garbage) is None  # type: ignore[arg-type]


async def test_a_secret_is_kept_only_as_its_hash(
    store: SqlClientSecrets, key: ApiKey, clock: FakeClock, database: Database
) -> None:
    from sqlalchemy import select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from voxgate.store.keys import digest
    from voxgate.store.schema import client_secrets

    async def row(connection: AsyncConnection) -> str:
        return str((await connection.execute(select(client_secrets))).one())

    secret = await _mint(store, key, clock)
    kept = await database.read(row)
    assert digest(secret) in kept
    assert secret not in kept


async def test_both_kinds_are_found_by_their_beginnings(
    store: SqlClientSecrets, key: ApiKey, clock: FakeClock, keys: SqlKeys, accounts: SqlAccounts
) -> None:
    credentials = SqlCredentials(keys, store)
    second = f"vg_{secrets.token_urlsafe(32)}"
    await accounts.add_key(second, org="acme", tier=Tier.FREE, grant=0, label="", expires_at=None)
    by_secret = await credentials.find(await _mint(store, key, clock))
    by_key = await credentials.find(second)
    assert isinstance(by_secret, Principal)
    assert isinstance(by_key, Principal)
    assert (by_secret.scopes, by_key.scopes) == (frozenset({Scope.SPEECH}), None)
    assert await credentials.find("sk_" + "a" * 43) is None
    await accounts.revoke_key(key.id)
    assert await credentials.ended([key.id, by_key.key_id]) == {key.id}
