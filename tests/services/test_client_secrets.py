from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voxgate.clock import FakeClock
from voxgate.domain import Principal, Scope, Tier
from voxgate.errors import Code, PeerError, RefusedError
from voxgate.services.client_secrets import SESSION_BYTES, ClientSecrets

WHO = Principal("key_1", "org_1", "acme", Tier.FREE)


class Kept:
    """`books.ClientSecretStore` that remembers."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, frozenset[Scope], Mapping[str, Any], datetime]] = []

    async def add(
        self, secret: str, *, key_id: str, scopes: Collection[Scope], session: Mapping[str, Any], expires_at: datetime
    ) -> str:
        self.added.append((secret, key_id, frozenset(scopes), session, expires_at))
        return "sess_1"


async def test_a_secret_stands_for_its_minters_key_for_so_long() -> None:
    store = Kept()
    clock = FakeClock(datetime(2026, 1, 1, 12, 0, 0, 700_000, tzinfo=UTC))
    minted = await ClientSecrets(store, clock).mint(WHO, seconds=60, scopes=[Scope.SPEECH], session={"model": "m"})
    assert minted.value.startswith("ek_")
    assert len(minted.value) == 3 + 43
    assert minted.expires_at == datetime(2026, 1, 1, 12, 1, 0, tzinfo=UTC), "to the second, as the wire tells it"
    assert store.added == [(minted.value, "key_1", frozenset({Scope.SPEECH}), {"model": "m"}, minted.expires_at)]
    assert (minted.id, minted.scopes) == ("sess_1", (Scope.SPEECH,))


async def test_no_two_are_alike_and_none_is_in_a_repr() -> None:
    secrets = ClientSecrets(Kept(), FakeClock())
    one, two = [
        await secrets.mint(WHO, seconds=60, scopes=frozenset(Scope), session={"instructions": "hush"}) for _ in "12"
    ]
    assert one.value != two.value
    assert one.value not in repr(one)
    assert "hush" not in repr(one)
    assert one.expires_at - FakeClock().now() == timedelta(seconds=60)


async def test_a_secret_mints_no_secrets() -> None:
    store = Kept()
    limited = Principal("key_1", "org_1", "acme", Tier.FREE, scopes=frozenset(Scope))
    with pytest.raises(RefusedError) as caught:
        await ClientSecrets(store, FakeClock()).mint(limited, seconds=60, scopes=frozenset(Scope), session={})
    assert caught.value.code is Code.PERMISSION_DENIED
    assert store.added == []


def _nested(depth: int) -> dict[str, Any]:
    session: dict[str, Any] = {}
    for _ in range(depth):
        session = {"a": session}
    return session


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({"a": "x" * (SESSION_BYTES - 9)}, None),
        ({"a": "x" * (SESSION_BYTES - 8)}, Code.INPUT_TOO_LONG),
        ({"a": float("nan")}, Code.INVALID_JSON),
        (_nested(100_000), Code.INVALID_JSON),
    ],
    ids=["fits", "too long", "no number", "too deep"],
)
async def test_a_session_is_json_of_some_size(session: dict[str, Any], code: Code | None) -> None:
    mint = ClientSecrets(Kept(), FakeClock()).mint(WHO, seconds=60, scopes=frozenset(Scope), session=session)
    if code is None:
        assert (await mint).session == session
        return
    with pytest.raises(PeerError) as caught:
        await mint
    assert (caught.value.code, caught.value.param) == (code, "session")
