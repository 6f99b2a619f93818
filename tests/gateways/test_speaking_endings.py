"""How speeches and their sessions end, when their audio leaves, and what each of them costs to the last credit."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.speech_client import Client, SpeechHouse, house
from tests.inside import inside, listening
from tests.serving import SCRIPTED
from voxgate.domain import Speech, Utterance
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.services.switchboard import Switchboard
from voxgate.testing.scripted import ScriptedTextToSpeech

pytestmark = pytest.mark.slow

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
    async def nothing_held() -> bool:
        return (await server.balance(key))[1] == 0

    await until(nothing_held)


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


# what it costs


async def test_minutes_begin_once_a_session_not_once_a_speech(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW_WORDS + UNPACED) as server, server.client() as client:
        session = await client.start()
        assert await server.balance() == (100, 0), "nothing is held for a session that says nothing"
        used = []
        for _ in range(3):
            await client.send("speech.create", input=words(5))
            used.append((await client.speech()).end["creditsUsed"])
        assert used == [1, 0, 1]
        assert await server.balance() == (98, 2)
        await client.send("session.stop")
        [closed], code = await client.closed()
        assert (closed["durationMs"], closed["creditsUsed"], code) == (75_000, 2, 1000)
        assert await server.balance() == (98, 0)
        assert await server.usage(session) == [({"audio_ms": 75_000}, "2")]


@pytest.mark.parametrize(("count", "credits_used"), [(12, 1), (13, 2)])
async def test_a_minute_is_one_and_what_goes_beyond_is_two(tmp_path: Path, count: int, credits_used: int) -> None:
    async with house(tmp_path, SLOW_WORDS + UNPACED) as server, server.client() as client:
        await client.start()
        await client.send("speech.create", input=words(count))
        assert (await client.speech()).end["creditsUsed"] == credits_used


@pytest.mark.parametrize("how", ["close", "vanish", "stop and close"])
async def test_who_leaves_pays_for_what_was_sent(tmp_path: Path, how: str) -> None:
    async with house(tmp_path, SLOW_WORDS + PACED) as server:
        async with server.client() as client:
            session = await speaking(client, 24)
            assert (await server.balance()) == (99, 1)
            if how == "vanish":
                client.wire.transport.abort()
            else:
                if how == "stop and close":
                    await client.send("session.stop")
                await client.wire.close()
        await settled(server)
        [(units, credits_)] = await server.usage(session)
        assert 500 <= units["audio_ms"] <= 5_000
        assert units["audio_ms"] % 500 == 0
        assert credits_ == "1"
        assert await server.balance() == (99, 0)


async def test_a_key_that_ends_ends_its_session(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW_WORDS + PACED) as server:
        accounts = server.inside.server.accounts
        key = await accounts.create_key("acme")
        async with server.client(key.key) as client:
            session = await speaking(client)
            await accounts.revoke_key(key.info.id)
            events, code = await client.closed()
            assert [event["code"] for event in events] == ["UNAUTHORIZED"]
            assert code == 1008
        [(units, credits_)] = await server.usage(session)
        assert 500 <= units["audio_ms"] <= 5_000
        assert credits_ == "1"
        assert await server.balance() == (99, 0)


async def test_a_server_that_stops_says_so_and_bills_what_was_sent(tmp_path: Path) -> None:
    async with inside(tmp_path, SCRIPTED + SLOW_WORDS + PACED, ports=frozenset({"tts"})) as server:
        async with listening(server.server.app) as url:
            here = SpeechHouse(server, url.replace("http", "ws", 1))
            connection = here.client()
            client = await connection.__aenter__()
            session = await speaking(client)
        events, code = await client.closed()
        assert [event["type"] for event in events] == ["error"]
        assert code == 1001
        await connection.__aexit__(None, None, None)
        [(_, credits_)] = await here.usage(session)
        assert credits_ == "1"
        assert await here.balance() == (99, 0)


async def test_a_session_that_lasts_too_long_ends(tmp_path: Path) -> None:
    limits = "[limits]\nspeech_ahead_s = 0.3\nsession_s = 0.6\n"
    async with house(tmp_path, SLOW_WORDS + limits) as server, server.client() as client:
        session = await speaking(client)
        events, code = await client.closed()
        assert [event.get("reason") or event["code"] for event in events] == ["SESSION_TIMEOUT"]
        assert code == 1008
        await settled(server)
        assert [credits_ for _, credits_ in await server.usage(session)] == ["1"]


async def test_an_engine_that_dies_in_mid_speech_ends_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def dying(opened: Opens, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        async def pieces() -> AsyncIterator[Speech]:
            async with opened(utterance) as source:
                for _ in range(3):
                    yield await anext(source)
            raise EngineError("it died", engine="scripted_tts")

        yield pieces()

    wrapped(monkeypatch, dying)
    async with house(tmp_path, SLOW_WORDS) as server, server.client() as client:
        session = await speaking(client)
        events, code = await client.closed()
        assert [event["code"] for event in events] == ["ENGINE_ERROR"]
        assert code == 1011
        assert await server.usage(session) == [({"audio_ms": 1500}, "1")]


@pytest.mark.parametrize(
    ("failure", "code", "close"), [("fail_every", "ENGINE_ERROR", 1011), ("busy_every", "RATE_LIMITED", 1013)]
)
async def test_a_speech_that_cannot_begin_costs_nothing(tmp_path: Path, failure: str, code: str, close: int) -> None:
    config = f"[engines.scripted_tts]\n{failure} = 1\n"
    async with house(tmp_path, config) as server, server.client() as client:
        session = await client.start()
        await client.send("speech.create", input="word")
        events, closed_with = await client.closed()
        assert [event.get("code") for event in events] == [None, code]
        assert closed_with == close
        assert await server.usage(session) == []
        assert await server.balance() == (100, 0)


# credits


async def test_no_credits_no_session(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        key = await server.inside.new_key("poor", "0.999999")
        async with server.client(key) as client:
            await client.send("session.start", voice="alloy")
            events, code = await client.closed()
            assert [event["code"] for event in events] == ["INSUFFICIENT_CREDITS"]
            assert code == 1008


async def test_what_is_free_needs_no_credits(tmp_path: Path) -> None:
    async with house(tmp_path, "[prices]\nspeech_credits_per_minute = 0\n") as server:
        key = await server.inside.new_key("poor", "0")
        async with server.client(key) as client:
            session = await client.start()
            await client.send("speech.create", input="word")
            assert (await client.speech()).end["creditsUsed"] == 0
            await client.send("session.stop")
            await client.closed()
        assert await server.usage(session, key) == [({"audio_ms": 250}, "0")]


async def test_the_last_paid_minute_is_spoken_and_the_end_announced(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW_WORDS + UNPACED + "[prices]\nspeech_credits_per_minute = 0.25\n") as server:
        key = await server.inside.new_key("poor", "0.3")
        async with server.client(key) as client:
            session = await speaking(client, 36)
            events, code = await client.closed()
        assert [event["type"] for event in events] == ["session.expiring", "error"]
        assert (events[0]["reason"], events[0]["secondsLeft"]) == ("credits", 0)
        assert (events[1]["code"], code) == ("INSUFFICIENT_CREDITS", 1008)
        assert audio_ms(b"".join(client._frames["speech_1"])) == 60_000
        assert await server.usage(session, key) == [({"audio_ms": 60_000}, "0.25")]
        assert await server.balance(key) == (0.05, 0)


async def test_a_paid_minute_is_sent_to_its_end_wherever_pieces_begin(tmp_path: Path) -> None:
    slow = "[engines.scripted_tts]\nword_ms = 1_900\nrate = 22_050\n"
    async with house(tmp_path, slow + UNPACED) as server:
        key = await server.inside.new_key("poor", "1")
        async with server.client(key) as client:
            session = await speaking(client, 7)
            first = (await client.speech()).end["durationMs"]
            await client.send("speech.create", input=words(36))
            _, code = await client.closed()
        assert code == 1008
        assert await server.usage(session, key) == [({"audio_ms": 60_000}, "1")]
        sent = first + audio_ms(b"".join(client._frames["speech_2"]))
        assert sent == pytest.approx(60_000, abs=40), "all but what is in the resampler, which 0.1 s would not fit in"


async def test_credits_that_end_soon_are_announced_while_there_is_time(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW_WORDS + UNPACED) as server:
        key = await server.inside.new_key("poor", "1")
        async with server.client(key) as client:
            await client.start()
            await client.send("speech.create", input=words(8))
            await client.speech()
            expiring = await client.until("session.expiring")
            assert (expiring["reason"], expiring["secondsLeft"]) == ("credits", 20)
            await client.send("speech.create", input=words(5))
            events, code = await client.closed()
            assert [event["type"] for event in events] == ["speech.started", "error"], "announced once"
            assert code == 1008


async def test_credits_that_others_took_meanwhile(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        key = await server.inside.new_key("poor", "1")
        async with server.client(key) as first, server.client(key) as second:
            await first.start()
            await second.start()
            await first.send("speech.create", input="word")
            await first.speech()
            await second.send("speech.create", input="word")
            events, code = await second.closed()
            assert [event["type"] for event in events] == ["error"], "nothing was begun"
            assert (events[0]["code"], code) == ("INSUFFICIENT_CREDITS", 1008)


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


async def settled_after_hold(server: SpeechHouse) -> None:
    async def something_held() -> bool:
        return (await server.balance())[1] > 0

    await until(something_held)
    await settled(server)


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
