import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conformance.room_checks import a_plan
from voxgate.clock import SystemClock
from voxgate.errors import Code, ConfigError, RefusedError
from voxgate.gateways.rooms.embedded import KEY_FILE, EmbeddedRooms
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.gateways.rooms.media import Closed
from voxgate.protocols.livekit.tokens import TokenKey, verify


def provider(folder: Path, secret: str = "") -> EmbeddedRooms:
    return EmbeddedRooms(EmbeddedSettings(token_secret=SecretStr(secret)), folder, SystemClock())


@pytest.mark.parametrize(
    ("base", "url"),
    [("http://127.0.0.1:8080", "ws://127.0.0.1:8080"), ("https://voice.example/base/", "wss://voice.example/base")],
)
def test_a_grant_is_an_address_and_a_token_that_is_as_good_as_the_session(tmp_path: Path, base: str, url: str) -> None:
    plan = a_plan()
    grant = provider(tmp_path, "s" * 32).grant(plan, base)
    claims = verify(TokenKey("voxgate", "s" * 32), grant.token, now=int(datetime.now(UTC).timestamp()))
    assert grant.url == url
    assert (claims.room, claims.identity, claims.name) == (plan.room, plan.identity, "Ann")
    assert claims.expires_at == int(plan.expires_at.timestamp())


async def test_a_room_is_found_by_the_token_until_it_is_closed(tmp_path: Path) -> None:
    rooms, plan = provider(tmp_path), a_plan()
    token = rooms.grant(plan, "http://x").token
    with pytest.raises(RefusedError, match="over; create a new one") as caught:
        rooms.find(token)
    assert caught.value.code is Code.INVALID_API_KEY
    media = await rooms.open(plan)
    assert rooms.find(token)[0] is media
    await rooms.aclose()
    assert [event async for event in media.events()] == [Closed("shutdown")]
    with pytest.raises(RefusedError, match="over"):
        rooms.find(token)


async def test_nobody_else_is_let_in(tmp_path: Path) -> None:
    rooms, plan = provider(tmp_path), a_plan()
    media = await rooms.open(plan)
    stranger = rooms.grant(replace(plan, identity="somebody"), "http://x").token
    with pytest.raises(RefusedError, match="another person's"):
        rooms.find(stranger)
    late = rooms.grant(replace(plan, expires_at=datetime.now(UTC) - timedelta(seconds=1)), "http://x").token
    with pytest.raises(RefusedError, match="expired"):
        rooms.find(late)
    with pytest.raises(RefusedError, match="did not sign"):
        rooms.find(provider(tmp_path, "t" * 32).grant(plan, "http://x").token)
    await rooms.aclose()
    assert media.person_track == ""


def test_tokens_outlive_a_restart(tmp_path: Path) -> None:
    plan = a_plan()
    token = provider(tmp_path).grant(plan, "http://x").token
    with pytest.raises(RefusedError, match="this session is over"):  # it is ours, and its room is gone
        provider(tmp_path).find(token)
    mode = stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode)
    assert mode == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("short")
    with pytest.raises(ConfigError, match=KEY_FILE):
        provider(tmp_path)
    with pytest.raises(ConfigError, match="cannot be kept"):
        provider(tmp_path / "missing")


def test_what_carries_a_call_is_not_loaded_at_the_start() -> None:
    code = (
        "import sys, voxgate.gateways.rooms.embedded_door\n"
        "print(sorted({'aiortc', 'av', 'livekit', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
