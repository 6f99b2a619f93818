import asyncio
from datetime import timedelta

import pytest

from voxgate.clock import FakeClock
from voxgate.domain import MICRO, ApiKey, Balance, Organization, Tier
from voxgate.errors import RefusedError
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.schema import BALANCE_LIMIT


async def _add(
    accounts: SqlAccounts, number: int, org: str = "acme", *, tier: Tier = Tier.PRO, grant: int = 7 * MICRO
) -> tuple[Organization, ApiKey]:
    added = await accounts.add_key(
        f"vg_{number:040d}", org=org, tier=tier, grant=grant, label=f"key {number}", expires_at=None
    )
    assert added is not None
    return added


async def test_a_new_organization_gets_its_tier_and_credits(accounts: SqlAccounts, clock: FakeClock) -> None:
    org, key = await _add(accounts, 1)
    assert (org.name, org.tier, org.balance) == ("acme", Tier.PRO, Balance(available=7 * MICRO, held=0))
    assert key.prefix == "vg_00000000"
    assert (key.label, key.created_at, key.expires_at, key.revoked_at) == ("key 1", clock.now(), None, None)
    assert key.created_at.utcoffset() == timedelta(0)


async def test_an_existing_organization_gets_a_key_and_keeps_the_rest(accounts: SqlAccounts) -> None:
    first, _ = await _add(accounts, 1)
    second, key = await _add(accounts, 2, tier=Tier.OWNER, grant=99)
    assert second == first
    assert key.id in [each.id for each in await accounts.keys("acme")]
    assert len(await accounts.keys("acme")) == 2


async def test_twenty_first_keys_at_once_make_one_organization(accounts: SqlAccounts) -> None:
    await asyncio.gather(*(_add(accounts, number) for number in range(20)))
    [org] = await accounts.organizations()
    assert org.balance.available == 7 * MICRO
    assert len(await accounts.keys("acme")) == 20


async def test_only_the_first_is_made_on_an_empty_database(url: str, accounts: SqlAccounts, clock: FakeClock) -> None:
    other = await Database.open(url)

    async def first(store: SqlAccounts, number: int) -> object:
        return await store.add_key(
            f"vg_{number:040d}", org="dev", tier=Tier.OWNER, grant=1, label="", expires_at=None, only_first=True
        )

    made = await asyncio.gather(first(accounts, 1), first(SqlAccounts(other, clock), 2))
    await other.aclose()
    assert sorted(each is None for each in made) == [False, True]
    assert len(await accounts.keys()) == 1


async def test_only_the_first_is_not_made_beside_another_name(accounts: SqlAccounts) -> None:
    await _add(accounts, 1)
    assert (
        await accounts.add_key(
            "vg_" + "x" * 40, org="dev", tier=Tier.OWNER, grant=1, label="", expires_at=None, only_first=True
        )
        is None
    )
    assert [org.name for org in await accounts.organizations()] == ["acme"]


async def test_keys_are_listed_by_organization_oldest_first(accounts: SqlAccounts, clock: FakeClock) -> None:
    for number, org in enumerate(["b", "a", "b"]):
        await _add(accounts, number, org)
        clock.advance(1)
    assert [key.label for key in await accounts.keys()] == ["key 0", "key 1", "key 2"]
    assert [key.label for key in await accounts.keys("b")] == ["key 0", "key 2"]
    assert await accounts.keys("nobody") == []
    assert [org.name for org in await accounts.organizations()] == ["a", "b"]


async def test_revoking_again_keeps_the_first_time(accounts: SqlAccounts, clock: FakeClock) -> None:
    _, key = await _add(accounts, 1)
    at = clock.now()
    first = await accounts.revoke_key(key.id)
    clock.advance(60)
    second = await accounts.revoke_key(key.id)
    assert first is not None
    assert first == second
    assert first.revoked_at == at
    assert await accounts.revoke_key("key_unknown") is None


async def test_a_rotated_key_ends_and_the_new_one_is_as_it_was(accounts: SqlAccounts, clock: FakeClock) -> None:
    _, old = await _add(accounts, 1)
    await accounts.limit_key(old.id, max_concurrent=2, daily_limit=5)
    ends, expires = clock.now() + timedelta(hours=1), clock.now() + timedelta(days=9)
    rotated = await accounts.rotate_key(old.id, f"vg_{2:040d}", ends_at=ends, expires_at=expires)
    assert rotated is not None
    org, new = rotated
    assert (org.name, new.label, new.max_concurrent, new.daily_limit) == ("acme", "key 1", 2, 5)
    assert (new.expires_at, new.replaced_by) == (expires, None)
    [former] = [key for key in await accounts.keys() if key.id == old.id]
    assert (former.expires_at, former.replaced_by, former.revoked_at) == (ends, new.id, None)


async def test_a_grace_prolongs_nothing(accounts: SqlAccounts, clock: FakeClock) -> None:
    soon = clock.now() + timedelta(minutes=5)
    added = await accounts.add_key("vg_" + "a" * 40, org="acme", tier=Tier.PRO, grant=0, label="", expires_at=soon)
    assert added is not None
    await accounts.rotate_key(added[1].id, "vg_" + "b" * 40, ends_at=clock.now() + timedelta(hours=1), expires_at=None)
    assert sorted(str(key.expires_at) for key in await accounts.keys()) == sorted(["None", str(soon)])


async def test_a_key_that_ended_is_not_rotated_nor_one_twice(accounts: SqlAccounts, clock: FakeClock) -> None:
    ends = clock.now() + timedelta(hours=1)
    _, revoked = await _add(accounts, 1)
    await accounts.revoke_key(revoked.id)
    added = await accounts.add_key("vg_" + "a" * 40, org="acme", tier=Tier.PRO, grant=0, label="", expires_at=ends)
    assert added is not None
    clock.advance(3600)
    _, running = await _add(accounts, 3)
    many = await asyncio.gather(
        *(
            accounts.rotate_key(key_id, f"vg_{number:040d}", ends_at=clock.now(), expires_at=None)
            for number, key_id in enumerate([revoked.id, added[1].id, "key_unknown", running.id, running.id], 10)
        )
    )
    assert [outcome is None for outcome in many[:3]] == [True] * 3
    assert sorted(outcome is None for outcome in many[3:]) == [False, True], "of two at once, one"
    assert len(await accounts.keys()) == 4


async def test_limits_are_set_and_taken_away(accounts: SqlAccounts) -> None:
    _, key = await _add(accounts, 1)
    limited = await accounts.limit_key(key.id, max_concurrent=1, daily_limit=0)
    assert limited is not None
    assert (limited.max_concurrent, limited.daily_limit) == (1, 0)
    assert await accounts.limit_key(key.id, max_concurrent=None, daily_limit=None) == key
    assert await accounts.limit_key("key_unknown", max_concurrent=1, daily_limit=1) is None


async def test_a_grant_is_posted_once_for_its_id(accounts: SqlAccounts) -> None:
    await _add(accounts, 1)
    granted = await asyncio.gather(*(accounts.grant("acme", 5, grant_id="order 17") for _ in range(10)))
    assert {org.balance.available for org in granted if org} == {7 * MICRO + 5}
    again = await accounts.grant("acme", 5, grant_id="order 18")
    assert again is not None
    assert again.balance.available == 7 * MICRO + 10
    assert await accounts.grant("nobody", 5, grant_id="order 19") is None


async def test_a_balance_cannot_outgrow_its_integer(accounts: SqlAccounts) -> None:
    await _add(accounts, 1, grant=BALANCE_LIMIT - 1)
    granted = await accounts.grant("acme", 1, grant_id="fits")
    assert granted is not None
    assert granted.balance.available == BALANCE_LIMIT
    with pytest.raises(RefusedError):
        await accounts.grant("acme", 1, grant_id="too much")
    [org] = await accounts.organizations("acme")
    assert org.balance.available == BALANCE_LIMIT
