"""How sessions of the speech socket end, and what they cost to the last credit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateways.speech_client import SpeechHouse, house
from tests.gateways.speeches import PACED, SLOW_WORDS, UNPACED, Opens, audio_ms, settled, speaking, words, wrapped
from tests.inside import inside, listening
from tests.serving import SCRIPTED
from voxgate.domain import Speech, Utterance
from voxgate.errors import EngineError

pytestmark = pytest.mark.slow


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
