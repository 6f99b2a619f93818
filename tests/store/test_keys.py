import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from voxgate.clock import FakeClock
from voxgate.domain import ApiKey, Tier
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.keys import PREFIX_LENGTH, SqlKeys, digest


def _new() -> str:
    return f"vg_{secrets.token_urlsafe(32)}"


async def _add(accounts: SqlAccounts, key: str, **changes: object) -> ApiKey:
    values: dict[str, object] = {"org": "acme", "tier": Tier.PRO, "grant": 5, "label": "", "expires_at": None}
    added = await accounts.add_key(key, **(values | changes))  # type: ignore[arg-type]
    assert added is not None
    return added[1]


async def test_a_key_is_found_with_its_owner(keys: SqlKeys, accounts: SqlAccounts) -> None:
    key = _new()
    stored = await _add(accounts, key)
    principal = await keys.find(key)
    assert principal is not None
    assert (principal.key_id, principal.org_name, principal.tier) == (stored.id, "acme", Tier.PRO)


async def test_one_changed_character_is_another_key(keys: SqlKeys, accounts: SqlAccounts) -> None:
    key = _new()
    await _add(accounts, key)
    for position in (3, PREFIX_LENGTH, len(key) - 1):
        forged = key[:position] + ("A" if key[position] != "A" else "B") + key[position + 1 :]
        assert await keys.find(forged) is None
    assert await keys.find(key[:-1]) is None
    assert await keys.find(key + "A") is None
    assert await keys.find(key.swapcase()) is None


@pytest.mark.parametrize("garbage", ["", "vg_", "vg_short", "sk-" + "a" * 40, "vg_" + "a" * 31, "vg_" + "é" * 40])
async def test_garbage_never_reaches_the_database(garbage: str) -> None:
    assert await _without_database().find(garbage) is None


@given(st.text(max_size=200).filter(lambda text: not text.startswith("vg_")))
async def test_no_text_of_another_form_reaches_the_database(text: str) -> None:
    assert await _without_database().find(text) is None


@pytest.mark.parametrize("around", ["{}\n", " {}", "{}\x00", "Bearer {}", "{}'--"])
async def test_a_key_with_something_around_it_is_garbage(around: str) -> None:
    assert await _without_database().find(around.format(_new())) is None


def _without_database() -> SqlKeys:
    class Untouchable(Database):
        async def read(self, work: object) -> None:  # type: ignore[override]
            raise AssertionError("looked up")

    return SqlKeys(Untouchable(None, None), FakeClock())  # type: ignore[arg-type]


async def test_a_key_ends_at_its_expiry(keys: SqlKeys, accounts: SqlAccounts, clock: FakeClock) -> None:
    key = _new()
    await _add(accounts, key, expires_at=clock.now() + timedelta(seconds=60))
    clock.advance(59.999)
    found = await keys.find(key)
    assert found is not None
    assert found.expires_at == clock.now() + timedelta(seconds=0.001)
    clock.advance(0.001)
    assert await keys.find(key) is None


async def test_a_revoked_key_ends_at_once_whoever_revoked_it(
    url: str, keys: SqlKeys, accounts: SqlAccounts, clock: FakeClock
) -> None:
    key = _new()
    stored = await _add(accounts, key)
    assert await keys.find(key) is not None
    command_line = await Database.open(url)
    await SqlAccounts(command_line, clock).revoke_key(stored.id)
    assert await keys.find(key) is None
    await command_line.aclose()


async def test_the_limits_of_a_key_come_with_its_owner(keys: SqlKeys, accounts: SqlAccounts) -> None:
    key = _new()
    stored = await _add(accounts, key, max_concurrent=3, daily_limit=2**40)
    found = await keys.find(key)
    assert found is not None
    assert (found.max_concurrent, found.daily_limit, found.scopes) == (3, 2**40, None)
    await accounts.limit_key(stored.id, max_concurrent=None, daily_limit=7)
    found = await keys.find(key)
    assert found is not None
    assert (found.max_concurrent, found.daily_limit) == (None, 7), "heeded from the next request on"


async def test_which_keys_have_ended(keys: SqlKeys, accounts: SqlAccounts, clock: FakeClock) -> None:
    soon = clock.now() + timedelta(seconds=60)
    running, expiring, revoked = [
        (await _add(accounts, _new(), expires_at=expires)).id for expires in (None, soon, None)
    ]
    asked = [running, expiring, revoked, "key_unknown"]
    assert await keys.ended(asked) == {"key_unknown"}
    assert await keys.ended([]) == frozenset()
    await accounts.revoke_key(revoked)
    clock.advance(59.999)
    assert await keys.ended(asked) == {revoked, "key_unknown"}
    clock.advance(0.001)
    assert await keys.ended(asked) == {expiring, revoked, "key_unknown"}


async def test_the_last_use_is_written_once_a_minute(keys: SqlKeys, accounts: SqlAccounts, clock: FakeClock) -> None:
    async def last_use() -> object:
        await keys.aclose()
        [stored] = await accounts.keys()
        return stored.last_used_at

    key = _new()
    await _add(accounts, key)
    assert await last_use() is None
    first = clock.now()
    await keys.find(key)
    assert await last_use() == first
    clock.advance(59)
    await keys.find(key)
    assert await last_use() == first
    clock.advance(1)
    await keys.find(key)
    assert await last_use() == first + timedelta(seconds=60)


async def test_a_last_use_that_cannot_be_written_is_logged_and_disturbs_nobody(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}", busy_timeout_s=0.02)
    await database.upgrade()
    clock = FakeClock()
    keys, key = SqlKeys(database, clock), _new()
    stored = await _add(SqlAccounts(database, clock), key)
    other = await Database.open(f"sqlite:///{tmp_path / 'd.db'}")

    async def meanwhile(_connection: object) -> Sequence[str]:
        with capture_logs() as logs:
            assert await keys.find(key) is not None
            await keys.aclose()
        return [f"{log['event']} {log['key_id']}" for log in logs]

    assert await other.write(meanwhile) == [f"key_use_not_written {stored.id}"]
    await other.aclose()
    await database.aclose()


async def test_a_key_is_nowhere_in_the_files(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'd.db'}")
    await database.upgrade()
    clock, key = FakeClock(), _new()
    keys = SqlKeys(database, clock)
    await _add(SqlAccounts(database, clock), key)
    await keys.find(key)
    await keys.aclose()

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert digest(key).encode() in everything(), "the write-ahead log is looked at too"
    assert key.encode() not in everything()
    assert key[PREFIX_LENGTH:].encode() not in everything()
    await database.aclose()
    assert key[PREFIX_LENGTH:].encode() not in everything()
