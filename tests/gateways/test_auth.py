import pytest
from starlette.datastructures import Headers

from voxgate.domain import Principal, Tier
from voxgate.errors import Code, RefusedError
from voxgate.gateways.auth import authenticate, credential

WHO = Principal("key_1", "org_1", "acme", Tier.FREE)


class OneKey:
    """`ports.Keys` with one key in it."""

    async def find(self, key: str) -> Principal | None:
        return WHO if key == "vg_right" else None


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer vg_right"}, "vg_right"),
        ({"authorization": "bearer  vg_right "}, "vg_right"),
        ({"X-API-Key": " vg_right "}, "vg_right"),
        ({"Authorization": "Bearer vg_right", "X-API-Key": "other"}, "vg_right"),
        ({"Authorization": "Basic dTpw", "X-API-Key": "vg_right"}, "vg_right"),
        ({"Authorization": "Bearer", "X-API-Key": "vg_right"}, "vg_right"),
        ({}, None),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Bearer  "}, None),
        ({"Authorization": "vg_right"}, None),
        ({"X-API-Key": " "}, None),
        ({"Cookie": "api_key=vg_right"}, None),
    ],
)
def test_where_a_key_may_stand(headers: dict[str, str], key: str | None) -> None:
    assert credential(Headers(headers)) == key


async def test_a_key_tells_who_is_asking() -> None:
    assert await authenticate(OneKey(), Headers({"X-API-Key": "vg_right"})) == WHO


@pytest.mark.parametrize(("headers", "told"), [({}, "is required"), ({"X-API-Key": "vg_wrong"}, "is not valid")])
async def test_who_has_no_key_is_refused_and_the_key_is_not_repeated(headers: dict[str, str], told: str) -> None:
    with pytest.raises(RefusedError, match=told) as caught:
        await authenticate(OneKey(), Headers(headers))
    assert caught.value.code is Code.INVALID_API_KEY
    assert "vg_wrong" not in caught.value.message
