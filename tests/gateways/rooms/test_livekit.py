import importlib.util
import json
from datetime import UTC, datetime, timedelta

import pytest
from livekit.api import AccessToken, TokenVerifier
from pydantic import SecretStr

from tests.gateways.rooms.livekit_signed import signature
from voxgate.errors import Code, ConfigError, PeerError, RefusedError
from voxgate.gateways.rooms.livekit import LiveKitRooms
from voxgate.gateways.rooms.livekit_settings import LiveKitSettings
from voxgate.rooms import RoomPlan

KEY, SECRET = "key", "secret-of-at-least-32-characters-x"
PLAN = RoomPlan("s1", "ext-vb-1", "person-1", "Ann", "Greeter", datetime.now(UTC) + timedelta(minutes=15))


def rooms(**changed: str) -> LiveKitRooms:
    return LiveKitRooms(
        LiveKitSettings.model_validate(
            {"url": "ws://livekit.internal:7880", "api_key": KEY, "api_secret": SECRET} | changed
        )
    )


@pytest.mark.parametrize("missing", ["url", "api_key", "api_secret"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(ConfigError, match=f"need rooms.livekit.{missing}") as told:
        rooms(**{missing: ""})
    assert told.value.param == f"rooms.livekit.{missing}"


def test_a_missing_sdk_is_told_with_the_command_that_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r'pip install "voxgate\[livekit\]"'):
        rooms()


def test_a_person_may_join_his_room_and_no_more() -> None:
    grant = rooms().grant(PLAN, "https://voxgate.example")
    assert grant.url == "ws://livekit.internal:7880"
    claims = TokenVerifier(KEY, SECRET).verify(grant.token)
    assert (claims.identity, claims.name, claims.kind) == ("person-1", "Ann", "")
    assert claims.video is not None
    assert (claims.video.room_join, claims.video.room) == (True, "ext-vb-1")
    assert (claims.video.can_publish, claims.video.can_subscribe, claims.video.can_publish_data) == (True,) * 3
    assert not claims.video.room_admin
    assert not claims.video.room_create
    assert grant.token not in repr(grant)


def test_a_token_is_good_for_as_long_as_the_plan_says() -> None:
    import jwt

    claims = jwt.decode(rooms().grant(PLAN, "").token, SECRET, algorithms=["HS256"])
    assert abs(claims["exp"] - PLAN.expires_at.timestamp()) <= 2


def test_clients_are_told_the_public_address() -> None:
    assert rooms(public_url="wss://rooms.example.com").grant(PLAN, "").url == "wss://rooms.example.com"


BODY = json.dumps({"event": "participant_left", "room": {"name": "somebody-elses"}})


def test_a_webhook_of_a_room_that_is_not_here_is_nothing_to_us() -> None:
    rooms().hear(BODY, signature(BODY, KEY, SECRET))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not a token",
        signature(BODY, "other", SECRET),
        signature(BODY, KEY, "x" * 32),
        signature(BODY + " ", KEY, SECRET),
        AccessToken(KEY, SECRET).to_jwt(),
    ],
    ids=["none", "junk", "another key", "another secret", "another body", "no hash"],
)
def test_what_is_not_signed_is_refused(token: str) -> None:
    with pytest.raises(RefusedError, match="not signed with the key") as refused:
        rooms().hear(BODY, token)
    assert refused.value.code is Code.INVALID_API_KEY


@pytest.mark.parametrize("body", ["", "no json", '{"event": 7}'])
def test_what_is_signed_and_is_no_event_is_told(body: str) -> None:
    with pytest.raises(PeerError, match="not a webhook event"):
        rooms().hear(body, signature(body, KEY, SECRET))


async def test_a_provider_that_carried_nothing_closes() -> None:
    provider = LiveKitRooms(LiveKitSettings(url="ws://x", api_key=KEY, api_secret=SecretStr(SECRET)))
    await provider.aclose()
    await provider.aclose()
