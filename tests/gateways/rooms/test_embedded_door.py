import base64
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from livekit.protocol import rtc
from websockets import InvalidStatus

from tests.conformance.room_checks import a_plan
from tests.embedded_rooms import Rooms, embedded_rooms, signalling
from voxgate.rooms import Grant, RoomPlan

pytestmark = pytest.mark.slow


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with embedded_rooms(tmp_path) as made:
        yield made


async def validate(rooms: Rooms, path: str, token: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=rooms.url) as http:
        return await http.get(f"{path}/validate", params={"access_token": token}, headers=headers)


async def opened(rooms: Rooms) -> tuple[RoomPlan, Grant]:
    plan = a_plan()
    await rooms.provider.open(plan)
    return plan, rooms.provider.grant(plan, rooms.url)


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_a_good_token_is_valid_from_any_page(rooms: Rooms, path: str) -> None:
    _, grant = await opened(rooms)
    answer = await validate(rooms, path, grant.token, origin="https://page.example")
    assert (answer.status_code, answer.text) == (200, "success")
    assert answer.headers["access-control-allow-origin"] == "*"
    answer = await validate(rooms, path, "", authorization=f"Bearer {grant.token}")
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_what_is_wrong_with_a_token_is_told_in_words(rooms: Rooms, path: str, tmp_path: Path) -> None:
    plan, grant = await opened(rooms)
    expired = replace(plan, expires_at=datetime.now(UTC) - timedelta(minutes=5))
    nowhere = replace(plan, room="ext-vb-0-0")
    for token, why in (
        ("", "no LiveKit access token"),
        ("hello", "no LiveKit access token"),
        (grant.token[:-4] + "AAAA", "this server did not sign it"),
        (rooms.provider.grant(expired, rooms.url).token, "it has expired; create a new session"),
        (rooms.provider.grant(nowhere, rooms.url).token, "this session is over"),
        (rooms.provider.grant(replace(plan, identity="x"), rooms.url).token, "another person's"),
    ):
        answer = await validate(rooms, path, token)
        assert (answer.status_code, why in answer.text) == (401, True), answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        with pytest.raises(InvalidStatus) as caught:
            async with signalling(replace(grant, token=token), single=path.endswith("v1")):
                pass
        assert caught.value.response.status_code == 401


async def test_a_request_to_join_that_is_none_is_told(rooms: Rooms) -> None:
    _, grant = await opened(rooms)
    bomb = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.Compression.GZIP, join_request=gzip.compress(b"\0" * 30_000_000)
    )
    packed = base64.urlsafe_b64encode(bomb.SerializeToString()).decode()
    async with httpx.AsyncClient(base_url=rooms.url) as http:
        for text in ("%%%", "A", "AAAA", packed):
            params = {"access_token": grant.token, "join_request": text}
            answer = await http.get("/rtc/v1/validate", params=params)
            assert (answer.status_code, answer.text[:12]) == (400, "join_request")
            with pytest.raises(InvalidStatus) as caught:
                async with signalling(grant, joining=text):
                    pass
            assert caught.value.response.status_code == 400


async def test_pages_that_may_not_join_are_told(tmp_path: Path) -> None:
    async with embedded_rooms(tmp_path, allowed_origins=["https://good.example"]) as rooms:
        _, grant = await opened(rooms)
        good = await validate(rooms, "/rtc", grant.token, origin="https://good.example")
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        bad = await validate(rooms, "/rtc", grant.token, origin="https://bad.example")
        assert (bad.status_code, "origin" in bad.text) == (403, True)
        assert "access-control-allow-origin" not in bad.headers
        assert (await validate(rooms, "/rtc", grant.token)).status_code == 200  # no page


async def test_what_else_is_asked_is_answered_behind(rooms: Rooms) -> None:
    async with httpx.AsyncClient(base_url=rooms.url) as http:
        for path in ("/rtc", "/validate", "/rtc/v2/validate", "/"):
            assert (await http.get(path)).text == "behind"
        asked = await http.options("/rtc/v1/validate", headers={"origin": "https://page.example"})
        assert (asked.status_code, asked.headers["access-control-allow-headers"]) == (200, "authorization")


@pytest.mark.parametrize("single", [True, False])
async def test_a_connection_cannot_be_gone_on_with_and_is_made_anew(rooms: Rooms, single: bool) -> None:
    _, grant = await opened(rooms)
    async with signalling(grant, single=single, reconnect=True) as client:
        left = (await client.next()).leave
        assert left.action == rtc.LeaveRequest.Action.RECONNECT
        await client.socket.wait_closed()
        assert client.socket.close_code == 1000


async def test_who_connects_without_end_is_held_up(rooms: Rooms) -> None:
    _, grant = await opened(rooms)
    for _ in range(30):
        async with signalling(grant, reconnect=True) as client:
            await client.next()
    with pytest.raises(InvalidStatus) as caught:
        async with signalling(grant):
            pass
    assert caught.value.response.status_code == 503
