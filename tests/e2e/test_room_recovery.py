"""A server that is killed in the middle of a call in a room, and started again."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.room_person import joined
from tests.serving import SCRIPTED, Server
from voxgate.rooms import Grant

pytestmark = pytest.mark.slow

CONFIG = SCRIPTED + "[ledger]\nheartbeat_s = 0.5\norphaned_after_s = 2\n"
SESSIONS = "/v1/voicebot-livekit/session"


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
