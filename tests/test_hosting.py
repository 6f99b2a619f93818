"""Whole sessions on a whole server with scripted engines; LiveKit's Python SDK is the person."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.inside import Inside, inside, listening
from tests.room_person import RATE, Person, joined, strength, tone
from tests.serving import SCRIPTED
from voxgate.errors import ConfigError
from voxgate.gateways.rooms.embedded_door import PATHS
from voxgate.gateways.rooms.livekit_webhooks import PATH as WEBHOOKS
from voxgate.rooms import Grant

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
CONFIG = (
    SCRIPTED
    + """
[engines.scripted_stt]
text = "What is there to eat?"
[engines.scripted_llm]
text = "Look at this. [[image:menu]] Here is everything we have."
"""
)


@asynccontextmanager
async def server(folder: Path, config: str = CONFIG) -> AsyncIterator[tuple[Inside, httpx.AsyncClient]]:
    async with inside(folder, config) as made, listening(made.server.app) as url:
        headers = {"Authorization": f"Bearer {made.key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=20) as client:
            yield made, client


async def new_bot(client: httpx.AsyncClient, **fields: str) -> str:
    body = {"name": "Guide", "voice": "alloy", "greeting": "Welcome to our little shop."} | fields
    made = await client.post("/v1/voicebots", json=body)
    assert made.status_code == 201, made.text
    bot: str = made.json()["id"]
    return bot


async def new_session(client: httpx.AsyncClient, bot: str) -> dict[str, Any]:
    made = await client.post("/v1/voicebot-livekit/session", json={"voicebotId": bot, "participantName": "Ada"})
    assert made.status_code == 201, made.text
    session: dict[str, Any] = made.json()
    return session


def grant_of(session: dict[str, Any]) -> Grant:
    return Grant(session["livekitUrl"], session["participantToken"])


def packets(person: Person, topic: str) -> list[dict[str, Any]]:
    return [json.loads(payload) for name, payload in person.packets if name == topic]


def finals(person: Person, role: str) -> list[str]:
    return [each["text"] for each in packets(person, "transcript") if each["role"] == role and each["isFinal"]]


@pytest.mark.slow
async def test_a_call_from_its_creation_to_its_bill(tmp_path: Path) -> None:
    async with server(tmp_path) as (_, client):
        bot = await new_bot(client)
        files = {"file": ("menu.png", PNG, "image/png")}
        image = await client.post(
            f"/v1/voicebots/{bot}/images", files=files, data={"key": "menu", "description": "The menu of the day"}
        )
        assert image.status_code == 201, image.text
        session = await new_session(client, bot)
        room = session["roomName"]
        async with joined(grant_of(session)) as person:
            await person.until(lambda: finals(person, "assistant") == ["Welcome to our little shop."])
            greeting = sum(strength(each, 220, RATE) > 0.05 for _, each in person.sound) * 0.02
            assert greeting == pytest.approx(5 * 0.25 * 0.8, abs=0.15)  # five words, a fifth of each is silence
            await person.take_microphone()
            silence = np.zeros(RATE // 2, np.float32)
            await person.say(np.concatenate([silence, tone(300, 1.5), silence, silence, silence]))
            await person.until(lambda: len(finals(person, "assistant")) == 2)
            assert finals(person, "user") == ["What is there to eat?"]
            assert finals(person, "assistant")[1] == "Look at this. Here is everything we have."
            assert packets(person, "image") == [{"type": "image", **session["imageMappings"][0]}]
            shown = await client.get(session["imageMappings"][0]["url"], headers={"Authorization": ""})
            assert shown.content == PNG
            await person.until(lambda: person.attributes.get("lk.agent.state") == "listening")
            theirs = [text for text in person.texts if text.sender == person.room.local_participant.identity]
            assert theirs[-1].text == "What is there to eat?"
            assert theirs[-1].attributes["lk.transcription_final"] == "true"
            messages = (await client.get(f"/v1/voicebot-livekit/session/{room}/messages")).json()["messages"]
            assert [(each["role"], each["content"]) for each in messages] == [
                ("assistant", "Welcome to our little shop."),
                ("user", "What is there to eat?"),
                ("assistant", "Look at this. Here is everything we have."),
            ]
            ended = await client.delete(f"/v1/voicebot-livekit/session/{room}")
            assert ended.status_code == 200, ended.text
            assert (ended.json()["billedMinutes"], ended.json()["creditsUsed"]) == (1, 1)
            assert 3 <= ended.json()["durationSeconds"] <= 20
            await person.until(lambda: person.ended)
        assert (await client.delete(f"/v1/voicebot-livekit/session/{room}")).json() == ended.json()
        balance = (await client.get("/v1/credits")).json()
        assert (balance["balance"], balance["held"]) == (99, 0)


async def test_a_server_that_stops_ends_its_sessions(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as made:
        client = made.client()
        bot = await new_bot(client)
        session = await new_session(client, bot)
        room = session["roomName"]
        state = (await client.get(f"/v1/voicebot-livekit/session/{room}")).json()
        assert state["status"] == "active"
        await client.aclose()
    async with inside(tmp_path, CONFIG) as made:
        client = made.client(made.key)
        ended = (await made.server.hosted.rooms.end_any(room)).reason
        assert ended == "shutdown"
        await client.aclose()


async def test_where_livekit_carries_rooms_its_webhooks_are_heard_and_our_own_door_is_shut(tmp_path: Path) -> None:
    config = CONFIG + '[rooms]\nprovider = "livekit"\n[rooms.livekit]\nurl = "ws://127.0.0.1:9"\napi_key = "devkey"\n'
    async with inside(tmp_path, config + f'api_secret = "{"s" * 32}"\n') as made, made.client() as client:
        assert (await client.post(WEBHOOKS, content=b"{}")).status_code in (400, 401)
        assert (await client.get(f"{PATHS[0]}/validate")).status_code == 404
        bot = await new_bot(client)
        refused = await client.post("/v1/voicebot-livekit/session", json={"voicebotId": bot})
        assert refused.status_code == 503
        assert (await client.get("/v1/credits")).json()["balance"] == 100


async def test_a_livekit_server_without_a_key_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rooms\.livekit\.api_key"):
        async with inside(tmp_path, SCRIPTED + '[rooms]\nprovider = "livekit"\nlivekit = {url = "ws://x"}\n'):
            pass


async def test_our_own_rooms_have_a_door_of_their_own(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as made, made.client() as client:
        assert (await client.get(f"{PATHS[0]}/validate")).status_code == 401
        assert (await client.post(WEBHOOKS, content=b"{}")).status_code == 404
