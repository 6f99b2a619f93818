"""The signalling of one connection, by a client without media; with media, tests/conformance/test_rooms.py."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from livekit.protocol import models, rtc

from tests.conformance.room_checks import a_plan
from tests.embedded_rooms import Rooms, embedded_rooms, signalling
from voxgate.gateways.rooms import embedded_link
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings, IceServerSettings
from voxgate.gateways.rooms.media import Attributes, RoomMedia
from voxgate.rooms import Grant, RoomEnd

pytestmark = pytest.mark.slow


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    turn = IceServerSettings.model_validate({"urls": ["turn:a:3478"], "username": "u", "credential": "c"})
    async with embedded_rooms(tmp_path, EmbeddedSettings(ice_servers=(turn,))) as made:
        yield made


async def opened(rooms: Rooms) -> tuple[RoomMedia, Grant]:
    plan = a_plan()
    return await rooms.provider.open(plan), rooms.provider.grant(plan, rooms.url)


async def test_who_joins_is_told_of_the_room_and_the_bot(rooms: Rooms) -> None:
    media, grant = await opened(rooms)
    media.post(Attributes({"lk.agent.state": "listening"}))
    async with signalling(grant) as client:
        join = (await client.next()).join
        [bot] = join.other_participants
        assert bot.tracks[0].sid == media.track
        assert dict(bot.attributes) == {"lk.agent.state": "listening"}
        assert [(s.username, s.credential) for s in join.ice_servers] == [("u", "c")]
        media.post(Attributes({"lk.agent.state": "speaking"}))
        [told] = (await client.until("update")).update.participants
        assert (told.attributes["lk.agent.state"], told.version > bot.version) == ("speaking", True)


async def test_v0_is_offered_the_voice_and_data_channels(rooms: Rooms) -> None:
    media, grant = await opened(rooms)
    async with signalling(grant, single=False) as client:
        assert (await client.next()).join.subscriber_primary
        offer = (await client.until("offer")).offer
        assert offer.type == "offer"
        assert f"|{media.track} {media.track}" in offer.sdp
        assert "m=application" in offer.sdp
        assert "a=candidate:" in offer.sdp


async def test_nonsense_is_passed_over_and_too_much_of_it_ends_the_connection(rooms: Rooms) -> None:
    _, grant = await opened(rooms)
    async with signalling(grant) as client:
        for message in (b"\xff\xff\xff", "{}", b"hello"):
            await client.send(message)
        await client.send(rtc.SignalRequest(ping=5))
        assert (await client.until("pong")).pong
        for _ in range(100):
            await client.send(b"\xff\xff\xff")
        assert (await client.until("leave")).leave.action == rtc.LeaveRequest.Action.RECONNECT


async def test_ten_thousand_candidates_do_no_harm(rooms: Rooms) -> None:
    _, grant = await opened(rooms)
    async with signalling(grant) as client:
        for number in range(10_000):
            line = f"candidate:{number} 1 udp 1 192.0.2.{number % 250 + 1} {number + 1} typ host"
            init = json.dumps({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0})
            await client.send(rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit=init)))
        await client.send(rtc.SignalRequest(ping=5))
        assert (await client.until("pong")).pong


@pytest.mark.parametrize("sdp", ["hello", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "v=0\r\nm=x\r\n"])
@pytest.mark.parametrize("in_join", [True, False])
async def test_an_offer_that_is_none_ends_the_connection(rooms: Rooms, sdp: str, in_join: bool) -> None:
    _, grant = await opened(rooms)
    async with signalling(grant, offer=sdp if in_join else "") as client:
        if not in_join:
            await client.send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=1)))
        if sdp == "v=0\r\n":  # a description of nothing has an answer
            assert (await client.until("answer")).answer.id == 1
            return
        assert (await client.until("leave")).leave.action == rtc.LeaveRequest.Action.RECONNECT
        await client.socket.wait_closed()


async def test_an_answer_to_nothing_ends_the_connection(rooms: Rooms) -> None:
    _, grant = await opened(rooms)
    async with signalling(grant) as client:
        await client.send(rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp="v=0")))
        assert (await client.until("leave")).leave.action == rtc.LeaveRequest.Action.RECONNECT


async def test_a_second_connection_of_the_same_person_takes_the_place_of_the_first(rooms: Rooms) -> None:
    _, grant = await opened(rooms)
    async with signalling(grant) as first, signalling(grant) as second:
        left = (await first.until("leave")).leave
        assert left.reason == models.DisconnectReason.DUPLICATE_IDENTITY
        await second.send(rtc.SignalRequest(ping=5))
        assert (await second.until("pong")).pong


async def test_a_token_is_renewed_before_it_runs_out(rooms: Rooms) -> None:
    plan = replace(a_plan(), expires_at=datetime.now(UTC) + timedelta(seconds=60))
    await rooms.provider.open(plan)
    async with signalling(rooms.provider.grant(plan, rooms.url)) as client:
        token = (await client.until("refresh_token")).refresh_token
    _, claims = rooms.provider.find(token)
    assert claims.expires_at >= datetime.now(UTC).timestamp() + 590


async def test_media_that_does_not_connect_is_given_up(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_link, "_CONNECT_S", 0.2)
    _, grant = await opened(rooms)
    async with signalling(grant) as client:
        assert (await client.until("leave")).leave.action == rtc.LeaveRequest.Action.RECONNECT


@pytest.mark.parametrize(
    ("why", "reason", "code"),
    [
        (RoomEnd.REQUESTED, models.DisconnectReason.ROOM_DELETED, 1000),
        (RoomEnd.SHUTDOWN, models.DisconnectReason.SERVER_SHUTDOWN, 1001),
    ],
)
async def test_a_room_that_is_closed_says_why(rooms: Rooms, why: RoomEnd, reason: int, code: int) -> None:
    media, grant = await opened(rooms)
    async with signalling(grant) as client:
        await client.next()
        await media.aclose(why)
        left = (await client.until("leave")).leave
        assert (left.action, left.reason) == (rtc.LeaveRequest.Action.DISCONNECT, reason)
        await client.socket.wait_closed()
        assert client.socket.close_code == code
