"""What tests of the speech socket share: long words that cost nothing, and waiting until money has come to rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.gateways.speech_client import Client, SpeechHouse
from voxgate.domain import Speech, Utterance
from voxgate.testing.scripted import ScriptedTextToSpeech

SLOW_WORDS = """
[engines.scripted_tts]
word_ms = 5_000
piece_audio_ms = 500
"""
"""A word is five seconds, twelve are a minute; they cost nothing to make."""
UNPACED = "[limits]\nspeech_ahead_s = 100_000\n"
PACED = "[limits]\nspeech_ahead_s = 0.3\nkey_check_s = 0.05\n"
"""So little that a speech of a minute is under way for as long as a test may want it."""

A_WHILE_S = 30


def words(count: int) -> str:
    return " ".join(["word"] * count)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so; it is polled, and a test that waits in vain fails."""
    async with asyncio.timeout(A_WHILE_S):
        while not await condition():
            await asyncio.sleep(0.01)


async def settled(server: SpeechHouse, key: str | None = None) -> None:
    """Wait until no credits are held."""

    async def nothing_held() -> bool:
        return (await server.balance(key))[1] == 0

    await until(nothing_held)


async def settled_after_hold(server: SpeechHouse) -> None:
    """Wait until some were, and are no more."""

    async def something_held() -> bool:
        return (await server.balance())[1] > 0

    await until(something_held)
    await settled(server)


async def speaking(client: Client, count: int = 12, **options: Any) -> str:
    """Begin a speech and hear its first audio; the session's id."""
    session = await client.start(**options)
    await client.send("speech.create", input=words(count))
    await client.until("speech.started")
    audio = await client.wire.recv()
    assert isinstance(audio, bytes)
    client._frames["speech_1"].append(audio)
    return session


def audio_ms(file: bytes) -> float:
    """Of a WAV that was cut anywhere: 44 bytes of header, 48 bytes a millisecond."""
    return (len(file) - 44) / 48


Opens = Callable[[Utterance], AbstractAsyncContextManager[AsyncIterator[Speech]]]


def wrapped(monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Opens, Utterance], Any]) -> None:
    """Put something around what the scripted voice does."""
    original = ScriptedTextToSpeech.open
    monkeypatch.setattr(
        ScriptedTextToSpeech, "open", lambda self, utterance: wrap(lambda u: original(self, u), utterance)
    )
