from collections.abc import Collection
from dataclasses import replace

import pytest
from starlette.datastructures import Headers

from voxgate.domain import Principal, Scope, Tier
from voxgate.errors import Code, RefusedError
from voxgate.gateways.auth import authenticate, check_scope, credential, socket_credential

WHO = Principal("key_1", "org_1", "acme", Tier.FREE)


class OneKey:
    """`ports.Keys` with one key in it."""

    async def find(self, key: str) -> Principal | None:
        return WHO if key == "vg_right" else None

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        raise AssertionError("nobody asks")


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
    assert await authenticate(OneKey(), "vg_right") == WHO


@pytest.mark.parametrize(("key", "told"), [(None, "is required"), ("vg_wrong", "is not valid")])
async def test_who_has_no_key_is_refused_and_the_key_is_not_repeated(key: str | None, told: str) -> None:
    with pytest.raises(RefusedError, match=told) as caught:
        await authenticate(OneKey(), key)
    assert caught.value.code is Code.INVALID_API_KEY
    assert "vg_wrong" not in caught.value.message


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("api_key=vg_right", "vg_right"),
        ("model=x&api_key=vg_right&y=", "vg_right"),
        ("api_key=%76g_right", "vg_right"),
        ("api_key=+vg_right+", "vg_right"),
        ("api_key=&api_key=vg_right", "vg_right"),
        ("", None),
        ("api_key", None),
        ("api_key=", None),
        ("api_key=%20", None),
        ("API_KEY=vg_right", None),
        ("token=vg_right", None),
        ("\xff=\xfe;&&==", None),
    ],
)
def test_where_a_key_may_stand_in_a_sockets_address(query: str, key: str | None) -> None:
    assert socket_credential(Headers({}), query.encode("latin-1")) == key
    assert socket_credential(Headers({"X-API-Key": "vg_header"}), query.encode("latin-1")) == "vg_header"


@pytest.mark.parametrize(
    ("path", "opening"),
    [
        ("/v1/audio/transcriptions", {Scope.TRANSCRIPTION}),
        ("/v1/audio/speech", {Scope.SPEECH}),
        ("/v1/chat/completions", {Scope.AGENT}),
        ("/v1/models", set(Scope)),
        ("/v1/models/whisper-1", set(Scope)),
        ("/v1/audio/voices", set(Scope)),
        ("/v1/modelsx", set()),
        ("/v1/realtime", {Scope.TRANSCRIPTION}),
        ("/v1/realtime/tts", {Scope.SPEECH}),
        ("/v1/realtime/tts/below", {Scope.SPEECH}),
        ("/v1/realtimes", set()),
        ("/v1/realtime/client_secrets", set()),
        ("/v1/credits", set()),
        ("/v1/usage", set()),
        ("/v1/audio", set()),
        ("/v1/", set()),
    ],
)
def test_what_each_scope_opens(path: str, opening: set[Scope]) -> None:
    check_scope(WHO, path)  # an API key may do everything
    for scope in Scope:
        secret = replace(WHO, scopes=frozenset({scope}))
        if scope in opening:
            check_scope(secret, path)
            continue
        with pytest.raises(RefusedError) as caught:
            check_scope(secret, path)
        assert caught.value.code is Code.PERMISSION_DENIED
        assert all(f"'{name}'" in caught.value.message for name in opening)
