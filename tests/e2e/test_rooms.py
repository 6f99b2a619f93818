"""A whole call in a room, as LiveKit's Python SDK has it: both providers, both ways the SDK signals."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from livekit import rtc

from tests.e2e.real import until
from tests.e2e.rooms import Carrier, carried
from tests.room_person import Person, joined, tone
from voxgate.rooms import Grant

pytestmark = pytest.mark.slow

SAYS = "This is what the script says."
ANSWERS = "This is the scripted answer. It is always the same."
GREETING = "Hello there."
TONE_HZ = 220.0
"""What the voice `alloy` of SCRIPTED sounds like."""


@pytest.fixture(scope="module", params=["embedded", "livekit"])
def carrier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    with carried(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made
    assert SAYS not in made.server.log


def voicebot(client: httpx.Client, **said: Any) -> str:
    made = client.post("/v1/voicebots", json={"name": "Greeter", "voice": "alloy", "greeting": GREETING} | said)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def session(client: httpx.Client, bot: str) -> dict[str, Any]:
    made = client.post("/v1/voicebot-livekit/session", json={"voicebotId": bot, "participantName": "Ann"})
    assert made.status_code == 201, made.text
    return dict(made.json())


def told(person: Person, role: str) -> list[str]:
    """The final transcripts of one side, as packets tell them."""
    packets = [json.loads(payload) for topic, payload in person.packets if topic == "transcript"]
    return [packet["text"] for packet in packets if packet["role"] == role and packet["isFinal"]]


def shown(person: Person, sender: str) -> list[str]:
    """The final transcripts in somebody's name, as LiveKit's components show them."""
    return [
        text.text
        for text in person.texts
        if text.sender == sender and text.attributes.get("lk.transcription_final") == "true"
    ]


@pytest.mark.parametrize("single", [True, False], ids=["v1", "v0"])
async def test_a_conversation(carrier: Carrier, single: bool) -> None:
    with carrier.server.client() as client:
        bot = voicebot(client)
        made = session(client, bot)
        path = f"/v1/voicebot-livekit/session/{made['roomName']}"
        assert made["voicebotName"] == "Greeter"
        async with joined(Grant(made["livekitUrl"], made["participantToken"]), single=single) as person:
            [agent] = person.room.remote_participants
            me = person.room.local_participant.identity

            await person.until(lambda: told(person, "assistant") == [GREETING])
            await person.until(lambda: person.attributes.get("lk.agent.state") == "listening")
            greeted = person.heard(TONE_HZ)
            assert 0.3 < 0.02 * len(greeted) < 0.8, "two words of a quarter of a second"

            await person.take_microphone()
            await person.say(tone(300, 1.0))
            await person.until(lambda: told(person, "user") == [SAYS])
            await person.until(lambda: told(person, "assistant") == [GREETING, ANSWERS])
            await person.until(lambda: person.attributes.get("lk.agent.state") == "listening")
            assert len(person.heard(TONE_HZ)) - len(greeted) > 75, "nine words of a quarter of a second"

            await person.room.local_participant.send_text("And in writing?", topic="lk.chat")
            await person.until(lambda: len(told(person, "assistant")) == 3)
            await person.until(lambda: person.attributes.get("lk.agent.state") == "listening")
            await person.until(lambda: shown(person, agent) == [GREETING, ANSWERS, ANSWERS])
            assert shown(person, me)[0] == SAYS

            ended = await asyncio.to_thread(client.delete, path)
            await person.until(lambda: person.ended == [rtc.DisconnectReason.ROOM_DELETED])
        bill = ended.json()
        assert (bill["status"], bill["billedMinutes"], bill["creditsUsed"]) == ("ended", 1, 1)
        assert client.delete(path).json() == bill
        said = client.get(f"{path}/messages").json()["messages"]
        assert [(line["role"], line["content"]) for line in said] == [
            ("assistant", GREETING),
            ("user", SAYS),
            ("assistant", ANSWERS),
            ("user", "And in writing?"),
            ("assistant", ANSWERS),
        ]


async def test_who_interrupts_is_listened_to(carrier: Carrier) -> None:
    """The bot falls silent, and remembers what was heard of it."""
    with carrier.server.client() as client:
        made = session(
            client, voicebot(client, greeting="one two three four five six seven eight nine ten eleven twelve")
        )
        async with joined(Grant(made["livekitUrl"], made["participantToken"])) as person:
            await person.take_microphone()
            await person.until(lambda: len(person.heard(TONE_HZ)) > 25)
            await person.say(tone(300, 1.2))
            await person.until(lambda: told(person, "user") == [SAYS])
            spoken = len(person.heard(TONE_HZ))
            assert spoken * 0.02 < 2.5, "it was cut, of three seconds"
            path = f"/v1/voicebot-livekit/session/{made['roomName']}"

            def messages() -> list[dict[str, Any]]:
                return list(client.get(f"{path}/messages").json()["messages"])

            await asyncio.to_thread(until, lambda: len(messages()) >= 2)
            first = messages()[0]
            assert first["interrupted"] is True
            assert first["content"].startswith("one two")
            assert "twelve" not in first["content"]
            assert client.delete(path).status_code == 200


async def test_a_foreign_token_is_refused_in_words(carrier: Carrier) -> None:
    with carrier.server.client() as client:
        made = session(client, voicebot(client))
        assert client.delete(f"/v1/voicebot-livekit/session/{made['roomName']}").status_code == 200
        token = made["participantToken"]
        with pytest.raises(rtc.ConnectError, match=r"401|404"):
            async with joined(Grant(made["livekitUrl"], token[:-4] + "AAAA")):
                pass
        with pytest.raises(rtc.ConnectError):
            async with joined(Grant(made["livekitUrl"], token)):
                pass
