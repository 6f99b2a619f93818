"""Sessions in rooms over HTTP; whoever carries calls carries nothing here."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateways.test_rest_edge import error_of
from tests.inside import Inside, inside
from tests.serving import SCRIPTED
from tests.store.talk import turn
from voxgate.calls import EndReason, Outcome
from voxgate.clock import SystemClock
from voxgate.errors import Code, EngineError, RefusedError
from voxgate.records import SessionOpened
from voxgate.rooms import Grant, RoomEnd, Voicebot
from voxgate.services.rooms import OpenRoom

pytestmark = pytest.mark.slow

SESSIONS = "/v1/voicebot-livekit/session"
UNKNOWN = "ext-vb-665f5aa613e4fe2f12ab34cd-a1b2c3d4e5f6"


class Carrier:
    """A house that lets everybody in at once and ends what it is told to."""

    def __init__(self) -> None:
        self.carried: dict[str, OpenRoom] = {}
        self.fails: RefusedError | EngineError | None = None

    async def opened(self, room: OpenRoom, bot: Voicebot, base_url: str) -> Grant:
        if self.fails:
            raise self.fails
        self.carried[room.plan.room] = room
        return Grant(base_url.replace("http", "ws", 1) + "/rtc", f"token of {room.plan.name}")

    async def end(self, room: str, reason: RoomEnd) -> None:
        await self.carried[room].end(reason)


@dataclass
class Here:
    """A server, its house, and a voicebot on it."""

    running: Inside
    house: Carrier
    client: httpx.AsyncClient
    bot: str

    async def create(self, **more: Any) -> httpx.Response:
        """A session."""
        return await self.client.post(SESSIONS, json={"voicebotId": self.bot, **more})

    async def credits_(self) -> tuple[float, float]:
        """(balance, held)"""
        left = (await self.client.get("/v1/credits")).json()
        return left["balance"], left["held"]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with inside(tmp_path, SCRIPTED, ports=frozenset({"stt", "tts", "llm", "vad"})) as running:
        house = Carrier()
        running.server.hosted.rooms.house = house
        async with running.client() as client:
            made = await client.post("/v1/voicebots", json={"name": "Guide", "voice": "alloy"})
            assert made.status_code == 201, made.text
            yield Here(running, house, client, made.json()["id"])


async def test_a_session_from_its_creation_to_its_bill(here: Here) -> None:
    made = await here.create(participantName="Ada")
    assert made.status_code == 201, made.text
    session = made.json()
    assert set(session) == {
        "sessionId",
        "participantToken",
        "livekitUrl",
        "roomName",
        "voicebotName",
        "voicebotAvatarUrl",
        "imageMappings",
        "expiresAt",
    }
    room = session["roomName"]
    assert room.startswith(f"ext-vb-{here.bot}-")
    assert (session["livekitUrl"], session["participantToken"]) == ("ws://inside/rtc", "token of Ada")
    assert (session["voicebotName"], session["imageMappings"]) == ("Guide", [])
    assert (made.headers["X-Credits-Used"], made.headers["X-Credits-Remaining"]) == ("1", "99")
    assert made.headers["Cache-Control"] == "no-store"
    assert await here.credits_() == (99, 1)
    here.house.carried[room].joined()
    stands = (await here.client.get(f"{SESSIONS}/{room}")).json()
    assert (stands["status"], stands["billedMinutes"], stands["creditsUsed"], stands["endedAt"]) == (
        "active",
        1,
        1,
        None,
    )
    ended = await here.client.delete(f"{SESSIONS}/{room}")
    assert ended.status_code == 200
    assert ended.json() == {
        "sessionId": session["sessionId"],
        "roomName": room,
        "status": "ended",
        "durationSeconds": 1,
        "billedMinutes": 1,
        "creditsUsed": 1,
    }
    assert (await here.client.delete(f"{SESSIONS}/{room}")).json() == ended.json()
    over = (await here.client.get(f"{SESSIONS}/{room}")).json()
    assert (over["status"], over["endReason"], over["voicebotId"]) == ("ended", "requested", here.bot)
    assert await here.credits_() == (99, 0)
    usage = (await here.client.get("/v1/usage", params={"request_id": made.headers["X-Request-Id"]})).json()["data"]
    assert [(row["surface"], row["credits"], row["units"]["minutes"]) for row in usage] == [("rooms", 1, 1)]


async def test_a_repeated_request_is_one_session(here: Here) -> None:
    body = {"voicebotId": here.bot}
    headers = {"Idempotency-Key": "order-1"}
    first, again = [await here.client.post(SESSIONS, json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(here.house.carried) == 1
    other = await here.client.post(SESSIONS, json=body | {"participantName": "Ada"}, headers=headers)
    assert (other.status_code, error_of(other)["code"]) == (400, "idempotency_mismatch")
    assert await here.credits_() == (99, 1)


async def test_without_credits_nothing_is_created(here: Here) -> None:
    key = await here.running.new_key("poor", "0.999999")
    async with here.running.client(key) as poor:
        bot = (await poor.post("/v1/voicebots", json={"name": "Guide", "voice": "alloy"})).json()["id"]
        refused = await poor.post(SESSIONS, json={"voicebotId": bot})
        assert (refused.status_code, error_of(refused)["code"]) == (402, "insufficient_credits")
        assert (await poor.get("/v1/credits")).json()["balance"] == 0.999999
    assert here.house.carried == {}


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (EngineError("nobody answers", engine="livekit", code=Code.ENGINE_UNAVAILABLE), 503),
        (RefusedError("too many", code=Code.BUSY), 503),
    ],
)
async def test_a_call_that_cannot_be_carried_costs_nothing(
    here: Here, failure: RefusedError | EngineError, status: int
) -> None:
    here.house.fails = failure
    refused = await here.create()
    assert refused.status_code == status
    assert await here.credits_() == (100, 0)
    here.house.fails = None
    assert (await here.create()).status_code == 201


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "voicebotId"),
        ({"voicebotId": 7}, "voicebotId"),
        ({"voicebotId": "not-hex"}, "voicebotId"),
        ({"voicebotId": "665f5aa613e4fe2f12ab34c"}, "voicebotId"),
        ({"voicebotId": "665f5aa613e4fe2f12ab34cd", "participantName": "x" * 101}, "participantName"),
        ({"voicebotId": "665f5aa613e4fe2f12ab34cd", "participantName": "a\u0000b"}, "participantName"),
    ],
)
async def test_a_body_that_is_wrong_is_400_naming_the_field(here: Here, body: dict[str, Any], param: str) -> None:
    refused = await here.client.post(SESSIONS, json=body)
    assert (refused.status_code, error_of(refused)["param"]) == (400, param)


async def test_unknown_foreign_and_malformed(here: Here) -> None:
    room = (await here.create()).json()["roomName"]
    key = await here.running.new_key("stranger", "5")
    async with here.running.client(key) as stranger:
        assert (await stranger.post(SESSIONS, json={"voicebotId": here.bot})).status_code == 403
        for method, path in (
            ("GET", f"{SESSIONS}/{room}"),
            ("DELETE", f"{SESSIONS}/{room}"),
            ("GET", f"{SESSIONS}/{room}/messages"),
            ("DELETE", f"{SESSIONS}/{room}/messages"),
        ):
            for client, name, status in (
                (stranger, room, 403),
                (here.client, UNKNOWN, 404),
                (here.client, "lobby", 400),
                (here.client, room.upper(), 400),
            ):
                answer = await client.request(method, path.replace(room, name))
                assert (answer.status_code, error_of(answer)["param"]) == (status, "roomName"), (method, name)
    unknown = await here.client.post(SESSIONS, json={"voicebotId": "665f5aa613e4fe2f12ab34cd"})
    assert unknown.status_code == 404
    async with here.running.client("vg_" + "x" * 40) as nobody:
        assert (await nobody.post(SESSIONS, json={"voicebotId": here.bot})).status_code == 401
    assert not here.house.carried[room].session.ended_at


async def test_messages_are_read_as_they_are_said_paged_and_erased(here: Here) -> None:
    session = (await here.create()).json()
    room, record, now = session["roomName"], here.running.server.record, SystemClock().now()
    opened = here.house.carried[room]
    record.open(SessionOpened(session["sessionId"], opened.org_id, opened.key_id, "rooms", "alloy", None, now))
    record.turn(turn(session["sessionId"], 1, "", text="Hello!", at=now))
    record.turn(turn(session["sessionId"], 2, "Hi", text="So, once upon", spoken="So,", outcome=Outcome.CUT, at=now))
    path = f"{SESSIONS}/{room}/messages"
    page = (await here.client.get(path)).json()
    assert (page["total"], page["limit"], page["offset"]) == (3, 50, 0)
    assert [(line["role"], line["content"]) for line in page["messages"]] == [
        ("assistant", "Hello!"),
        ("user", "Hi"),
        ("assistant", "So,"),
    ]
    assert ["interrupted" in line for line in page["messages"]] == [False, False, True]
    assert page["messages"][0]["createdAt"].endswith("Z")
    paged = (await here.client.get(path, params={"limit": 1, "offset": 1})).json()
    assert (paged["messages"], paged["total"], paged["limit"], paged["offset"]) == ([page["messages"][1]], 3, 1, 1)
    for wrong in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"limit": "x"}, {"offset": 2**31}):
        refused = await here.client.get(path, params=wrong)
        assert (refused.status_code, error_of(refused)["param"]) == (400, next(iter(wrong)))
    assert (await here.client.get(path, params={"limit": 200})).status_code == 200
    record.close(session["sessionId"], EndReason.CLIENT)
    await here.client.delete(f"{SESSIONS}/{room}")
    assert (await here.client.get(path)).json()["total"] == 3, "readable after the end"
    assert (await here.client.delete(path)).json() == {"roomName": room, "erased": True}
    assert (await here.client.get(path)).json()["messages"] == []


async def test_many_at_once_never_spend_what_is_not_there(here: Here) -> None:
    key = await here.running.new_key("hasty", "5")
    async with here.running.client(key) as hasty:
        bot = (await hasty.post("/v1/voicebots", json={"name": "Guide", "voice": "alloy"})).json()["id"]
        answers = await asyncio.gather(*(hasty.post(SESSIONS, json={"voicebotId": bot}) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [201] * 5 + [402] * 7
        rooms = [answer.json()["roomName"] for answer in answers if answer.status_code == 201]
        ends = await asyncio.gather(*(hasty.delete(f"{SESSIONS}/{room}") for room in rooms * 3))
        assert {end.status_code for end in ends} == {200}
        assert (await hasty.get("/v1/credits")).json() | {"org": ""} == {
            "balance": 0,
            "held": 0,
            "org": "",
            "tier": "free",
        }
