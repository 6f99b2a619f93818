"""What waits in a speech session is made before its turn has come, once the engine is free of what was before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateways.speech_client import house
from voxgate.domain import Speech, Utterance
from voxgate.protocols.speech.session import SpeechSession
from voxgate.testing.scripted import ScriptedTextToSpeech

pytestmark = pytest.mark.slow

PACED = "[engines.scripted_tts]\nword_ms = 1_200\npiece_audio_ms = 300\n[limits]\nspeech_ahead_s = 0.1\n"
"""A word is four pieces, which cost nothing to make and take 1.1 s to leave."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens in engines and sessions, in order: `open`, `left` and the text; `finished` and the speech's id."""
    events: list[str] = []
    original, finished = ScriptedTextToSpeech.open, SpeechSession.finished

    @asynccontextmanager
    async def noting(self: ScriptedTextToSpeech, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        events.append(f"open {utterance.text}")
        try:
            async with original(self, utterance) as pieces:
                yield pieces
        finally:
            events.append(f"left {utterance.text}")

    def ended(self: SpeechSession, speech_id: str, duration_ms: int, credits_used: str) -> str:
        events.append(f"finished {speech_id}")
        return finished(self, speech_id, duration_ms, credits_used)

    monkeypatch.setattr(ScriptedTextToSpeech, "open", noting)
    monkeypatch.setattr(SpeechSession, "finished", ended)
    return events


async def until(told: list[str], event: str) -> None:
    """Wait until something has happened; a test that waits in vain fails."""
    async with asyncio.timeout(10):
        while event not in told:
            await asyncio.sleep(0.01)


async def test_the_next_is_made_while_the_end_of_the_one_before_it_waits_to_leave(
    tmp_path: Path, told: list[str]
) -> None:
    async with house(tmp_path, PACED) as server, server.client() as client:
        await client.start()
        for name in ("one", "two", "three"):
            await client.send("speech.create", input=name, speechId=name)
        assert [(await client.speech()).id for _ in range(3)] == ["one", "two", "three"]
    opened = [event for event in told if not event.startswith("finished")]
    assert opened == [f"{what} {name}" for name in ("one", "two", "three") for what in ("open", "left")], "never two"
    assert told.index("open two") < told.index("finished one"), "its engine was free before its last audio had left"
    assert told.index("open three") < told.index("finished two")


async def test_one_that_comes_while_the_last_of_another_leaves_is_made_at_once(tmp_path: Path, told: list[str]) -> None:
    async with house(tmp_path, PACED) as server, server.client() as client:
        await client.start()
        await client.send("speech.create", input="one", speechId="one")
        await until(told, "left one")
        await client.send("speech.create", input="two", speechId="two")
        assert (await client.speech()).end["durationMs"] == 1_200
        assert (await client.speech()).end["durationMs"] == 1_200
    assert told.index("open two") < told.index("finished one")


async def test_one_that_is_cancelled_before_its_turn_costs_nothing_and_leaves_its_engine(
    tmp_path: Path, told: list[str]
) -> None:
    async with house(tmp_path, PACED) as server, server.client() as client:
        session = await client.start()
        for name in ("one", "two", "three"):
            await client.send("speech.create", input=name, speechId=name)
        await until(told, "open two")
        await client.send("speech.cancel", speechId="two")
        cut = client.ended(await client.until("speech.cancelled"))
        assert (cut.file, cut.end["durationMs"], cut.end["creditsUsed"]) == (b"", 0, 0)
        assert [(await client.speech()).id for _ in range(2)] == ["one", "three"]
        assert told.index("left two") < told.index("finished three")
        await client.send("session.stop")
        await client.closed()
        assert await server.usage(session) == [({"audio_ms": 2_400}, "1")]


async def test_a_session_that_ends_while_the_next_is_made_leaves_its_engine(tmp_path: Path, told: list[str]) -> None:
    async with house(tmp_path, PACED) as server:
        async with server.client() as client:
            session = await client.start()
            for name in ("one", "two"):
                await client.send("speech.create", input=name, speechId=name)
            await until(told, "open two")
        await until(told, "left two")
        await server.billed(session)
    assert "finished one" not in told
