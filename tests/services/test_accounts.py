from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from voxgate.clock import FakeClock
from voxgate.domain import MICRO, Tier
from voxgate.errors import Code, PeerError
from voxgate.services.accounts import DEVELOPMENT_CREDITS, Accounts, KeyLimits
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}")
    await database.upgrade()
    yield database
    await database.aclose()


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(SqlAccounts(database, FakeClock()))


async def test_a_new_key_is_long_random_and_found_again(accounts: Accounts, database: Database) -> None:
    made = await accounts.create_key("acme", tier=Tier.OWNER, credits=Decimal(1000), label="laptop")
    assert made.key.startswith("vg_")
    assert len(made.key) == 3 + 43
    assert made.key.startswith(made.info.prefix)
    assert (made.org.name, made.org.tier, made.org.balance.available) == ("acme", Tier.OWNER, 1000 * MICRO)
    keys = SqlKeys(database, FakeClock())
    principal = await keys.find(made.key)
    await keys.aclose()
    assert principal is not None
    assert (principal.org_id, principal.key_id) == (made.org.id, made.info.id)


async def test_the_secret_is_in_no_repr(accounts: Accounts) -> None:
    made = await accounts.create_key("acme")
    assert made.key not in repr(made)
    assert made.key[len(made.info.prefix) :] not in f"{made!r} {made} {await accounts.keys()}"


async def test_an_existing_organization_keeps_its_tier_and_credits(accounts: Accounts) -> None:
    first = await accounts.create_key(" acme ", tier=Tier.PRO, credits=Decimal("1.5"))
    second = await accounts.create_key("acme", tier=Tier.OWNER, credits=Decimal(9))
    assert second.org == first.org
    assert second.key != first.key
    assert [key.id for key in await accounts.keys("acme")] == sorted(
        [first.info.id, second.info.id]
    )  # made at the same instant of the fake clock: by id


async def test_the_development_organization_is_made_once_and_only_where_there_is_none(accounts: Accounts) -> None:
    made = await accounts.ensure_development_org()
    assert made is not None
    assert made.org.tier is Tier.OWNER
    assert made.org.balance.available == DEVELOPMENT_CREDITS * MICRO
    assert await accounts.ensure_development_org() is None
    assert len(await accounts.keys()) == 1


async def test_no_development_organization_beside_others(accounts: Accounts) -> None:
    await accounts.create_key("acme")
    assert await accounts.ensure_development_org() is None
    assert [org.name for org in await accounts.organizations()] == ["acme"]


async def test_a_key_is_revoked_by_id_or_prefix(accounts: Accounts) -> None:
    one, two = await accounts.create_key("acme"), await accounts.create_key("acme")
    assert (await accounts.revoke_key(one.info.id)).revoked_at is not None
    assert (await accounts.revoke_key(two.info.prefix)).id == two.info.id
    for unknown in ("", "key_", two.info.prefix[:-1], two.key):
        with pytest.raises(PeerError) as caught:
            await accounts.revoke_key(unknown)
        assert caught.value.code is Code.NOT_FOUND
        assert two.key not in caught.value.message


async def test_a_prefix_that_two_keys_share_revokes_neither(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = iter("ab")
    monkeypatch.setattr("secrets.token_urlsafe", lambda length: "x" * 42 + next(endings))
    made = await accounts.create_key("acme")
    await accounts.create_key("acme")
    with pytest.raises(PeerError, match="several"):
        await accounts.revoke_key(made.info.prefix)
    assert [key.revoked_at for key in await accounts.keys()] == [None, None]


async def test_credits_are_added_and_shown(accounts: Accounts) -> None:
    await accounts.create_key("acme")
    assert (await accounts.add_credits("acme", Decimal("2.5"))).balance.available == 2_500_000
    assert (await accounts.add_credits("acme", Decimal("2.5"))).balance.available == 5_000_000
    for _ in range(2):
        assert (await accounts.add_credits("acme", Decimal(1), grant_id="order 1")).balance.available == 6_000_000
    assert (await accounts.organization("acme")).balance.available == 6_000_000


@pytest.mark.parametrize("amount", ["0", "-1", "0.0000001", "NaN", "Infinity", "1000000001"])
async def test_amounts_are_checked(accounts: Accounts, amount: str) -> None:
    await accounts.create_key("acme")
    with pytest.raises(PeerError) as caught:
        await accounts.add_credits("acme", Decimal(amount))
    assert caught.value.param == "credits"


async def test_unknown_organizations_are_told(accounts: Accounts) -> None:
    with pytest.raises(PeerError, match="'nobody'"):
        await accounts.add_credits("nobody", Decimal(1))
    with pytest.raises(PeerError, match="'nobody'"):
        await accounts.organization("nobody")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"org": "  "}, "org"),
        ({"org": "a" * 101}, "org"),
        ({"org": "a\nb"}, "org"),
        ({"org": "a\x00"}, "org"),
        ({"label": "l" * 101}, "label"),
        ({"label": "\x1b[0m"}, "label"),
        ({"credits": Decimal(-1)}, "credits"),
        ({"expires_at": datetime(2030, 1, 1)}, "expires_at"),
    ],
)
async def test_what_a_key_is_made_of_is_checked(accounts: Accounts, changes: dict[str, object], param: str) -> None:
    values: dict[str, object] = {"org": "acme", **changes}
    with pytest.raises(PeerError) as caught:
        await accounts.create_key(**values)  # type: ignore[arg-type]
    assert caught.value.param == param
    assert await accounts.organizations() == ()


async def test_an_expiry_is_kept_to_the_second(accounts: Accounts) -> None:
    at = datetime(2030, 1, 1, 12, 30, 15, tzinfo=UTC)
    made = await accounts.create_key("acme", expires_at=at)
    assert made.info.expires_at == at


@pytest.mark.parametrize("grant_id", ["", "x" * 65])
async def test_a_grant_id_is_checked(accounts: Accounts, grant_id: str) -> None:
    await accounts.create_key("acme")
    with pytest.raises(PeerError) as caught:
        await accounts.add_credits("acme", Decimal(1), grant_id=grant_id)
    assert caught.value.param == "grant_id"


NOW = FakeClock().now()


async def test_a_key_is_rotated_by_id_or_prefix(accounts: Accounts) -> None:
    limits = KeyLimits(max_concurrent=4, daily_credits=Decimal("0.5"))
    first = await accounts.create_key("acme", label="shop", limits=limits)
    made, old = await accounts.rotate_key(first.info.prefix, grace=timedelta(hours=24), now=NOW)
    assert made.key != first.key
    assert made.key not in repr(made)
    assert (made.info.label, made.info.max_concurrent, made.info.daily_limit) == ("shop", 4, 500_000)
    assert made.info.expires_at is None
    assert (old.id, old.expires_at, old.replaced_by) == (first.info.id, NOW + timedelta(hours=24), made.info.id)
    with pytest.raises(PeerError, match="rotated before"):
        await accounts.rotate_key(first.info.id, grace=timedelta(), now=NOW)
    with pytest.raises(PeerError) as caught:
        await accounts.rotate_key(first.key, grace=timedelta(), now=NOW)
    assert caught.value.code is Code.NOT_FOUND
    assert first.key not in caught.value.message


async def test_a_rotated_key_lives_as_long_as_the_old_one_was_made_for(accounts: Accounts) -> None:
    first = await accounts.create_key("acme", expires_at=NOW + timedelta(days=30))
    later = NOW + timedelta(days=20)
    second, _ = await accounts.rotate_key(first.info.id, grace=timedelta(hours=1), now=later)
    assert second.info.expires_at == later + timedelta(days=30)
    third, _ = await accounts.rotate_key(
        second.info.id, grace=timedelta(hours=1), now=later, lifetime=timedelta(days=5)
    )
    assert third.info.expires_at == later + timedelta(days=5)


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=90, seconds=1)])
async def test_a_grace_has_its_bounds(accounts: Accounts, grace: timedelta) -> None:
    made = await accounts.create_key("acme")
    with pytest.raises(PeerError) as caught:
        await accounts.rotate_key(made.info.id, grace=grace, now=NOW)
    assert caught.value.param == "grace"


async def test_limits_change_one_by_one(accounts: Accounts) -> None:
    made = await accounts.create_key("acme", limits=KeyLimits(max_concurrent=4))
    changed = await accounts.limit_key(made.info.id, {"daily_credits": Decimal("0.000001")})
    assert (changed.max_concurrent, changed.daily_limit) == (4, 1)
    changed = await accounts.limit_key(made.info.prefix, {"max_concurrent": None})
    assert (changed.max_concurrent, changed.daily_limit) == (None, 1)
    assert KeyLimits.of(changed) == KeyLimits(None, Decimal("0.000001"))
    with pytest.raises(PeerError) as caught:
        await accounts.limit_key("key_unknown", {"max_concurrent": 1})
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("limits", "param"),
    [
        (KeyLimits(max_concurrent=0), "max_concurrent"),
        (KeyLimits(max_concurrent=1_000_001), "max_concurrent"),
        (KeyLimits(daily_credits=Decimal(-1)), "daily_credits"),
        (KeyLimits(daily_credits=Decimal("0.0000001")), "daily_credits"),
        (KeyLimits(daily_credits=Decimal("NaN")), "daily_credits"),
    ],
)
async def test_limits_are_checked(accounts: Accounts, limits: KeyLimits, param: str) -> None:
    with pytest.raises(PeerError) as caught:
        await accounts.create_key("acme", limits=limits)
    assert caught.value.param == param
    made = await accounts.create_key("acme")
    with pytest.raises(PeerError) as caught:
        await accounts.limit_key(
            made.info.id, {"max_concurrent": limits.max_concurrent, "daily_credits": limits.daily_credits}
        )
    assert caught.value.param == param
