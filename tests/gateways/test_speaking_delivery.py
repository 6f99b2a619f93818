"""How speeches are cancelled, when their audio leaves, and what of them reaches the engine."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.speech_client import house
from tests.gateways.speeches import (
    A_WHILE_S,
    PACED,
    SLOW_WORDS,
    Opens,
    audio_ms,
    settled_after_hold,
    speaking,
    words,
    wrapped,
)
from voxgate.domain import Speech, Utterance
from voxgate.errors import Code, PeerError, RefusedError
from voxgate.services.switchboard import Switchboard

pytestmark = pytest.mark.slow


# cancelling


async def test_a_cancelled_speech_is_over_at_once_and_billed_as_far_as_it_went(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW_WORDS + PACED) as server, server.client() as client:
        session = await speaking(client)
        await client.send("speech.create", input="word", speechId="waits")
        await client.send("speech.cancel")
        cut = client.ended(await client.until("speech.cancelled"))
        never = client.ended(await client.until("speech.cancelled"))
        assert cut.end["durationMs"] == audio_ms(cut.file) > 0
        assert cut.end["creditsUsed"] == 1
        assert (never.id, never.file) == ("waits", b"")
        assert (never.end["durationMs"], never.end["creditsUsed"]) == (0, 0)
        await client.send("speech.cancel")
        assert await client.error() == ("NOTHING_TO_CANCEL", None)
        await client.send("session.stop")
        [closed], _ = await client.closed()
        assert closed["durationMs"] == cut.end["durationMs"]
        assert await server.usage(session) == [({"audio_ms": cut.end["durationMs"]}, "1")]


async def test_one_that_waits_can_be_taken_out(tmp_path: Path) -> None:
    config = "[engines.scripted_tts]\nword_ms = 500\n[limits]\nspeech_ahead_s = 0.3\n"
    async with house(tmp_path, config) as server, server.client() as client:
        await speaking(client, 2)
        for name in ("out", "last"):
            await client.send("speech.create", input="word", speechId=name)
        await client.send("speech.cancel", speechId="out")
        assert (await client.until("speech.cancelled"))["speechId"] == "out"
        assert (await client.speech()).id == "speech_1"
        assert (await client.speech()).id == "last"


async def test_the_next_one_follows_without_waiting_for_audio_that_was_thrown_away(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW_WORDS + "[limits]\nspeech_ahead_s = 30\n") as server, server.client() as client:
        await speaking(client, 12)
        for _ in range(59):  # with the first, all of 30 s that may be ahead
            client._frames["speech_1"].append(await client.wire.recv(decode=False))
        await client.send("speech.create", input=words(5), speechId="next")
        await client.send("speech.cancel", speechId="speech_1")
        assert (await client.until("speech.cancelled"))["durationMs"] >= 30_000
        async with asyncio.timeout(A_WHILE_S):
            assert (await client.speech()).end["durationMs"] == 25_000


async def test_an_engine_that_does_not_answer_can_be_cancelled(tmp_path: Path) -> None:
    async with house(tmp_path, "[engines.scripted_tts]\nhang_every = 1\n") as server, server.client() as client:
        await client.start()
        await client.send("speech.create", input="word")
        await client.until("speech.started")
        await client.send("speech.cancel")
        end = await client.until("speech.cancelled")
        assert (end["durationMs"], end["creditsUsed"]) == (0, 0)
        await client.send("session.stop")
        await client.closed()
        assert await server.balance() == (100, 0)


async def test_a_cancel_is_told_before_the_engine_has_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = asyncio.Event()
    release = asyncio.Event()

    @asynccontextmanager
    async def slow_to_stop(opened: Opens, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        async with opened(utterance) as pieces:
            try:
                yield pieces
            finally:
                stopping.set()
                await release.wait()

    wrapped(monkeypatch, slow_to_stop)
    async with house(tmp_path, SLOW_WORDS + PACED) as server, server.client() as client:
        await speaking(client)
        await client.send("speech.create", input="word", speechId="next")
        await client.send("speech.cancel", speechId="speech_1")
        await client.until("speech.cancelled")
        async with asyncio.timeout(A_WHILE_S):
            await stopping.wait()
        release.set()
        assert (await client.until("speech.started"))["speechId"] == "next"


# when it leaves


async def test_audio_runs_only_so_far_ahead(tmp_path: Path) -> None:
    config = "[engines.scripted_tts]\nword_ms = 500\n[limits]\nspeech_ahead_s = 0.5\n"
    async with house(tmp_path, config) as server, server.client() as client:
        await speaking(client, 3)
        began = time.perf_counter()
        await client.speech()
        assert time.perf_counter() - began > 1.5 - 0.5 - 0.1, "1.5 s of audio, half a second of it ahead"


async def test_a_client_that_never_reads_is_broken_off(tmp_path: Path) -> None:
    limits = "[limits]\nspeech_ahead_s = 100_000\nslow_reader_s = 0.3\nspeech_input_characters = 10_000\n"
    async with house(tmp_path, SLOW_WORDS + limits) as server:
        async with server.client() as client:
            session = await client.start()
            client.wire.transport.pause_reading()
            await client.send("speech.create", input=words(1_500))  # 2 h: 360 MB
            await settled_after_hold(server)
            client.wire.transport.abort()
        [(units, _)] = await server.usage(session)
        assert units["audio_ms"] < 1_000_000, "what was not taken was not made"


async def test_who_listens_is_not_idle(tmp_path: Path) -> None:
    config = "[engines.scripted_tts]\nword_ms = 1_500\n[limits]\nspeech_ahead_s = 0.1\nsocket_idle_s = 0.5\n"
    config += "session_expiring_s = 0.1\n"
    async with house(tmp_path, config) as server, server.client() as client:
        await speaking(client, 1)
        await client.speech()
        events, code = await client.closed()
        assert [event["code"] for event in events if event["type"] == "error"] == ["SESSION_TIMEOUT"]
        assert code == 1008


# what reaches the engine


async def test_each_text_is_said_in_its_own_language_at_the_session_s_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Utterance] = []

    def noting(opened: Opens, utterance: Utterance) -> Any:
        said.append(utterance)
        return opened(utterance)

    wrapped(monkeypatch, noting)
    config = '[engines.scripted_tts]\nlanguages = ["en", "vi"]\n'
    async with house(tmp_path, config) as server:
        async with server.client() as client:
            await client.start(speed=1.5)
            for text in ("Hôm nay trời đẹp quá.", "It is a fine day, for $2."):
                await client.send("speech.create", input=text)
                await client.speech()
        async with server.client() as client:
            await client.start(language="vietnamese", normalization="no")
            await client.send("speech.create", input="It is 5.")
            await client.speech()
    assert [(one.language, one.speed) for one in said] == [("vi", 1.5), ("en", 1.5), ("vi", 1.0)]
    assert [one.text for one in said[1:]] == ["It is a fine day, for two dollars.", "It is 5."]


async def test_a_voice_that_its_licence_forbids_is_one_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise RefusedError("not licensed for commercial use")

    async with house(tmp_path) as server, server.client() as client:
        with monkeypatch.context() as patched:
            patched.setattr(Switchboard, "mouth", forbidden)
            await client.send("session.start", voice="alloy")
            assert await client.error() == ("UNSUPPORTED_VOICE", "voice")
        await client.start()


async def test_what_an_engine_refuses_ends_that_speech_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(opened: Opens, utterance: Utterance) -> Any:
        if utterance.text == "never":
            raise PeerError("not that", code=Code.UNSUPPORTED_VOICE, param="voice")
        return opened(utterance)

    wrapped(monkeypatch, refusing)
    async with house(tmp_path) as server, server.client() as client:
        await client.start()
        for text in ("never", "word"):
            await client.send("speech.create", input=text)
        assert await client.error() == ("UNSUPPORTED_VOICE", "voice")
        assert (await client.until("speech.cancelled"))["speechId"] == "speech_1"
        assert (await client.speech()).id == "speech_2"
