"""A server that is killed in the middle of a call in a room, and started again."""

import asyncio
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import rtc

from tests.room_person import joined
from tests.serving import SCRIPTED, Server
from voxgate.rooms import Grant

pytestmark = pytest.mark.slow

CONFIG = SCRIPTED + "[ledger]\nheartbeat_s = 0.25\norphaned_after_s = 2\n"
SESSIONS = "/v1/voicebot-livekit/session"

KILLS = 10
"""Of each of two installations."""
LONGEST_S = 2.5
"""From a client's first request to the kill: it hits sessions that are being created, joined, greeted and carried."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Server]]:
    servers = [Server(tmp_path, CONFIG)]
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.stop()


async def test_a_killed_server_closes_its_rooms_bills_them_right_and_takes_new_ones(
    tmp_path: Path, started: list[Server]
) -> None:
    (first,) = started
    key = first.new_key("acme", "10")
    with first.client(key) as client:
        fields = {"name": "Guide", "voice": "alloy", "greeting": "Welcome to our shop."}
        bot = client.post("/v1/voicebots", json=fields).json()["id"]
        session = client.post(SESSIONS, json={"voicebotId": bot}).json()
    async with joined(Grant(session["livekitUrl"], session["participantToken"])) as person:
        began = time.monotonic()
        await person.until(lambda: any(b"shop." in payload for _, payload in person.packets))
        await person.until(lambda: time.monotonic() - began > 2.5)
        first.process.kill()
        first.process.wait()
        inside_s = time.monotonic() - began
    second = Server(tmp_path, CONFIG)
    started.append(second)
    with second.client(key) as client:
        created = client.post(SESSIONS, json={"voicebotId": bot})
        assert created.status_code == 201
        old = f"{SESSIONS}/{session['roomName']}"
        deadline = time.monotonic() + 15
        while (state := client.get(old).json())["status"] != "ended":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert state["endReason"] == "crashed"
        assert state["billedMinutes"] == 1
        assert inside_s - 2 <= state["durationSeconds"] <= inside_s + 1  # to the last beat, in whole seconds
        assert client.delete(old).json()["durationSeconds"] == state["durationSeconds"]
        messages = client.get(f"{old}/messages").json()["messages"]
        assert [each["content"] for each in messages] == ["Welcome to our shop."]
        new = client.delete(f"{SESSIONS}/{created.json()['roomName']}").json()
        assert new["durationSeconds"] == 0
        balance = client.get("/v1/credits").json()
        assert (balance["balance"], balance["held"]) == (8, 0)
    again = httpx.get(f"{second.url}/rtc/v1/validate", params={"access_token": session["participantToken"]})
    assert again.status_code == 401
    assert "this session is over" in again.text


@dataclass
class Visit:
    """What a client knows of its session; times are on the monotonic clock."""

    room: str = ""
    asked: float = math.inf
    """When it began to join."""
    inside: float = math.inf
    killed: float = 0.0


async def _visited_and_killed(server: Server, key: str, bot: str, after_s: float) -> Visit:
    visit = Visit()

    async def kill() -> None:
        await asyncio.sleep(after_s)
        visit.killed = time.monotonic()
        server.process.kill()
        await asyncio.to_thread(server.process.wait)

    killing = asyncio.create_task(kill())
    try:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as client:
            answer = await client.post(SESSIONS, json={"voicebotId": bot})
        session = answer.raise_for_status().json()
        visit.room, visit.asked = session["roomName"], time.monotonic()
        async with joined(Grant(session["livekitUrl"], session["participantToken"])):
            visit.inside = time.monotonic()
            await killing
    except (httpx.TransportError, rtc.ConnectError):
        pass  # it was killed before the client was inside
    await killing
    return visit


@pytest.mark.timeout(300)
async def test_killed_at_twenty_moments_it_bills_what_was_there_and_never_a_second_more(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    async with asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(_killed_over_and_over(tmp_path / str(number), seed + number))


async def _killed_over_and_over(folder: Path, seed: int) -> None:
    chance, visits = random.Random(seed), list[Visit]()
    server = await asyncio.to_thread(Server, folder, CONFIG)
    try:
        key, bot = await asyncio.to_thread(_furnish, server)
        for _ in range(KILLS):
            visits.append(await _visited_and_killed(server, key, bot, chance.uniform(0, LONGEST_S)))
            server = await asyncio.to_thread(Server, folder, CONFIG)
        await asyncio.to_thread(_check, server, key, visits, f"seed {seed}: {visits}")
    finally:
        server.process.kill()
        server.process.wait()


def _furnish(server: Server) -> tuple[str, str]:
    """A key with 100 credits, and a voicebot."""
    key = server.new_key("acme", "100")
    with server.client(key) as client:
        return key, client.post("/v1/voicebots", json={"name": "Guide", "voice": "alloy"}).json()["id"]


def _check(server: Server, key: str, visits: list[Visit], told: str) -> None:
    deadline = time.monotonic() + 15
    while any(session["ended_at"] is None for session in _kept(server)):
        assert time.monotonic() < deadline, _kept(server)
        time.sleep(0.5)  # in a thread; each look starts a command
    sessions = {session["room"]: session for session in _kept(server)}
    assert {visit.room for visit in visits} - {""} <= sessions.keys(), told
    assert len(sessions) <= KILLS
    assert any(visit.inside < visit.killed for visit in visits), f"no kill hit a call; {told}"
    for visit in visits:
        if visit.room:
            billed = sessions[visit.room]
            assert billed["end_reason"] == "crashed", told
            assert billed["seconds"] <= math.ceil(max(0, visit.killed - visit.asked)), (visit, told)
            assert billed["seconds"] >= math.floor(max(0, visit.killed - visit.inside - 1)), (visit, told)  # last beat
    assert {(session["minutes"], session["credits"]) for session in sessions.values()} == {(1, "1")}, sessions
    with server.client(key) as client:
        balance = client.get("/v1/credits").json()
    assert (balance["balance"], balance["held"]) == (100 - len(sessions), 0)
    server.voxgate("credits", "audit")


def _kept(server: Server) -> list[dict[str, Any]]:
    listed = server.voxgate("rooms", "list", "--json", "--limit", "100").stdout
    sessions: list[dict[str, Any]] = json.loads(listed)
    return sessions
