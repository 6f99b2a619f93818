"""How live sessions end, and what each end costs: exact in the books, whatever happens."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Opcode

from tests.gateways.live_client import PATH, SCRIPT, Client, LiveHouse, house, silence, speech
from tests.gateways.socket_server import Bare
from tests.inside import inside, listening
from tests.serving import SCRIPTED
from voxgate.domain import Scope

pytestmark = pytest.mark.slow

SLOW = "[engines.scripted_stt]\ndecode_ms = 150\n"
"""Long enough for a client to be gone before a final is made."""


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in messages if message["type"] == "transcript.final"]


@asynccontextmanager
async def bare(server: LiveHouse) -> AsyncIterator[tuple[Bare, str]]:
    """A started session of a client that does nothing by itself, and its id."""
    client = await Bare.connect(f"{server.url}{PATH}?api_key={server.inside.key}")
    client.send(Opcode.TEXT, b'{"type": "session.start", "partials": "off", "speech_events": false}')
    await client.read()
    _, ready = await client.read()
    try:
        yield client, json.loads(ready)["sessionId"]
    finally:
        client.leave()
        with suppress(ConnectionError):
            await client.writer.wait_closed()


# the client ends it


async def test_a_session_that_is_stopped_is_billed_by_the_begun_second(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        for seconds, credits_ in (
            (0.0, None),
            (0.02, "0.016666"),
            (1.0, "0.016666"),
            (1.02, "0.033333"),
            (12.0, "0.2"),
        ):
            async with server.client() as client:
                session_id = await client.start()
                await client.play(silence(seconds))
                closed = (await client.stop())[-1]
                assert closed["durationMs"] == round(seconds * 1000)
                assert closed["creditsUsed"] == float(credits_ or 0)
                if credits_ is None:
                    assert await server.usage(session_id) == []
                else:
                    assert await server.billed(session_id) == ({"audio_ms": round(seconds * 1000)}, credits_)


async def test_the_books_are_written_before_the_client_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as server, server.client() as client:
        session_id = await client.start()
        await client.play(speech(2.0))
        await client.send("session.stop")
        await client.until("session.closed")
        assert await server.usage(session_id) == [({"audio_ms": 2000}, "0.033333")]
        assert await server.balance() == (99.966667, 0)


async def test_ten_seconds_are_held_at_a_time(tmp_path: Path) -> None:
    async with house(tmp_path) as server, server.client() as client:
        await client.start()
        assert (await server.balance())[1] == 0.166666
        await client.play(silence(10.0))
        await client.send("audio.commit")
        await client.until("transcript.final")
        assert (await server.balance())[1] == 0.166666
        await client.play(silence(0.02))
        await client.send("audio.commit")
        await client.until("transcript.final")
        assert (await server.balance())[1] == 0.333333


async def test_commits_alone_cost_what_was_heard(tmp_path: Path) -> None:
    async with house(tmp_path) as server, server.client() as client:
        session_id = await client.start(turn_detection=None)
        for _ in range(3):
            await client.play(speech(1.5))
            await client.send("audio.commit")
            assert (await client.until("transcript.final"))["text"]
        await client.stop()
        assert await server.billed(session_id) == ({"audio_ms": 4500}, "0.083333")


async def test_a_client_that_closes_right_after_its_stop_gets_its_final(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW) as server, bare(server) as (client, session_id):
        client.send(Opcode.BINARY, speech(1.0))
        client.send(Opcode.TEXT, b'{"type": "session.stop"}')
        client.send(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        frames = await client.rest()
        told = [json.loads(payload) for opcode, payload in frames if opcode is Opcode.TEXT]
        assert texts(told) == [SCRIPT]
        assert told[-1] == {
            "type": "session.closed", "sessionId": session_id, "durationMs": 1000, "creditsUsed": 0.016666,
        }  # fmt: skip
        assert frames[-1] == (Opcode.CLOSE, (1000).to_bytes(2, "big"))
        assert await server.billed(session_id) == ({"audio_ms": 1000}, "0.016666")


async def test_a_client_that_closes_without_a_stop_gets_it_too(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW) as server, bare(server) as (client, session_id):
        client.send(Opcode.BINARY, speech(1.0))
        client.send(Opcode.CLOSE, (1001).to_bytes(2, "big"))
        told = [json.loads(payload) for opcode, payload in await client.rest() if opcode is Opcode.TEXT]
        assert texts(told) == [SCRIPT]
        assert await server.billed(session_id) == ({"audio_ms": 1000}, "0.016666")


async def test_a_client_that_vanishes_is_billed_for_what_came(tmp_path: Path) -> None:
    async with house(tmp_path, SLOW) as server, bare(server) as (client, session_id):
        client.send(Opcode.BINARY, speech(1.5))
        client.send(Opcode.TEXT, b"junk")
        await client.read()  # the answer to what came after the audio
        client.leave()
        assert await server.billed(session_id) == ({"audio_ms": 1500}, "0.033333")


async def test_what_follows_a_stop_is_not_listened_to(tmp_path: Path) -> None:
    async with house(tmp_path) as server, server.client() as client:
        session_id = await client.start()
        await client.send("session.stop")
        await client.play(speech(1.0))
        rest, code = await client.rest()
        assert ([message["type"] for message in rest], code) == (["session.closed"], 1000)
        assert await server.usage(session_id) == []


# credits


async def test_without_credits_nothing_begins(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        key = await server.inside.new_key("poor", "0.16")
        async with server.client(key) as client:
            await client.send("session.start")
            rest, code = await client.rest()
        assert [message["code"] for message in rest] == ["INSUFFICIENT_CREDITS"]
        assert code == 1008
        assert await server.balance(key) == (0.16, 0)


async def test_where_credits_end_all_that_was_paid_is_heard_and_it_was_announced(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        key = await server.inside.new_key("almost", "0.5")
        async with server.client(key) as client:
            session_id = await client.start(partials="off", turn_detection=None)
            await client.append(silence(14.5) + speech(1.0))
            await client.append(silence(14.0))
            await client.append(speech(2.0))
            rest, code = await client.rest()
        kinds = [message["type"] for message in rest]
        assert kinds.index("session.expiring") < kinds.index("error")
        [announced] = [message for message in rest if message["type"] == "session.expiring"]
        assert announced["reason"] == "credits" and announced["secondsLeft"] <= 30
        [final] = [message for message in rest if message["type"] == "transcript.final"]
        assert final["text"].startswith(SCRIPT) and final["timestampMs"] == 30_000
        assert rest[-1]["code"] == "INSUFFICIENT_CREDITS"
        assert code == 1008
        assert await server.billed(session_id, key) == ({"audio_ms": 30_000}, "0.5")
        assert await server.balance(key) == (0, 0)


async def test_credits_that_end_soon_are_announced_while_there_is_time(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        key = await server.inside.new_key("soon", "0.4")
        async with server.client(key) as client:
            await client.start()
            announced = await client.until("session.expiring")
            assert announced == {"type": "session.expiring", "reason": "credits", "secondsLeft": 20}
            await client.stop()


async def test_free_audio_needs_no_credits(tmp_path: Path) -> None:
    async with house(tmp_path, "[prices]\ntranscription_credits_per_minute = 0\n") as server:
        key = await server.inside.new_key("poor", "0")
        async with server.client(key) as client:
            session_id = await client.start()
            await client.play(silence(15.0))
            assert (await client.stop())[-1]["creditsUsed"] == 0
        assert await server.billed(session_id, key) == ({"audio_ms": 15_000}, "0")


# keys


async def test_a_revoked_key_ends_the_session_and_what_was_heard_is_billed(tmp_path: Path) -> None:
    async with house(tmp_path, "[limits]\nkey_check_s = 0.05\n") as server:
        made = await server.inside.server.accounts.create_key("other", credits=Decimal(1))
        async with server.client(made.key) as client:
            session_id = await client.start()
            await client.play(speech(1.2))
            await client.until("input.speech_started")
            await client.send("audio.commit")
            await client.until("transcript.final")
            await server.inside.server.accounts.revoke_key(made.info.id)
            rest, code = await client.rest()
        assert rest[-1]["code"] == "UNAUTHORIZED"
        assert code == 1008
        another = (await server.inside.server.accounts.create_key("other")).key
        assert await server.billed(session_id, another) == ({"audio_ms": 1200}, "0.033333")


async def test_a_client_secret_opens_what_it_was_minted_for(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        async with server.inside.client() as http:
            minted = {
                scope: (await http.post("/v1/realtime/client_secrets", json={"scopes": [scope]})).json()["value"]
                for scope in (Scope.TRANSCRIPTION, Scope.SPEECH)
            }
        async with connect(f"{server.url}{PATH}?api_key={minted[Scope.TRANSCRIPTION]}") as wire:
            client = Client(wire)
            await client.start()
            await client.stop()
        async with connect(f"{server.url}{PATH}?api_key={minted[Scope.SPEECH]}") as wire:
            rest, code = await Client(wire).rest()
        assert ([message["code"] for message in rest], code) == (["UNAUTHORIZED"], 1008)


async def test_what_a_client_secret_was_minted_for_is_the_default(tmp_path: Path) -> None:
    async with house(tmp_path) as server:
        session = {"type": "transcription", "model": "valsea-nowhere", "words": True, "speech_events": False}
        async with server.inside.client() as http:
            secret = (await http.post("/v1/realtime/client_secrets", json={"session": session})).json()["value"]
        address = f"{server.url}{PATH}?api_key={secret}"
        async with connect(address) as wire:
            client = Client(wire)
            await client.send("session.start")
            assert await client.error() == ("UNSUPPORTED_MODEL", "model")
            await client.start(model="valsea-rtt", words=None)
            await client.play(speech(0.5))
            await client.stop()
            assert client.of("transcript.final")[0]["words"]
            assert not client.of("input.speech_started")
        async with connect(f"{address}&model=valsea-rtt") as wire:
            client = Client(wire)
            await client.start(words=False)
            await client.play(speech(0.5))
            await client.stop()
            assert "words" not in client.of("transcript.final")[0]


# engines


async def test_an_engine_that_fails_ends_the_session_although_the_client_says_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, "[engines.scripted_stt]\nfail_every = 2\n") as server, server.client() as client:
        session_id = await client.start(partials="off", stall_ms=200)
        await client.play(speech(1.0))
        await client.until("transcript.final")
        await client.play(speech(1.0))
        await client.until("input.speech_stopped")
        rest, code = await client.rest()
        assert [message["code"] for message in rest] == ["ENGINE_ERROR"]
        assert code == 1011
        assert await server.billed(session_id) == ({"audio_ms": 2000}, "0.033333")


async def test_an_engine_that_has_no_room_says_try_later(tmp_path: Path) -> None:
    async with house(tmp_path, "[engines.scripted_stt]\nbusy_every = 1\n") as server, server.client() as client:
        session_id = await client.start(partials="off")
        await client.play(speech(1.0))
        await client.send("session.stop")
        rest, code = await client.rest()
        assert [message["code"] for message in rest if message["type"] == "error"] == ["RATE_LIMITED"]
        assert code == 1013
        assert await server.billed(session_id) == ({"audio_ms": 1000}, "0.016666")


async def test_engines_that_do_not_run_are_told_of(tmp_path: Path) -> None:
    async with house(tmp_path, '[engines.whisper]\n[routing.models]\nvalsea-rtt = "whisper"\n') as server:
        async with server.client() as client:
            await client.send("session.start", model="valsea-rtt")
            rest, code = await client.rest()
        assert [message["code"] for message in rest] == ["ENGINE_ERROR"]
        assert code == 1011


# time


async def test_a_server_that_stops_says_so_and_bills_what_was_heard(tmp_path: Path) -> None:
    async with inside(tmp_path, SCRIPTED, ports=frozenset({"stt", "vad"})) as server:
        async with listening(server.server.app) as url:
            house_ = LiveHouse(server, url.replace("http", "ws", 1))
            wire = await connect(house_.url + PATH, additional_headers={"X-API-Key": server.key})
            client = Client(wire)
            session_id = await client.start(partials="off")
            await client.play(speech(1.5))
            await client.send("audio.commit")
            await client.until("transcript.final")
        rest, code = await client.rest()
        assert [message["code"] for message in rest if message["type"] == "error"] == ["ENGINE_ERROR"]
        assert code == 1001
        assert await house_.billed(session_id) == ({"audio_ms": 1500}, "0.033333")


async def test_the_longest_session_is_announced_heard_and_ended(tmp_path: Path) -> None:
    async with house(tmp_path, "[limits]\nsession_s = 2.5\n") as server, server.client() as client:
        session_id = await client.start(partials="off", stall_ms=5000)
        [announced] = client.of("session.expiring")
        assert announced["reason"] == "session"
        assert 0 <= announced["secondsLeft"] <= 2, "at once, where less is left"
        await client.play(speech(1.0))
        rest, code = await client.rest()
        assert texts(rest) == [SCRIPT]
        assert rest[-1]["code"] == "SESSION_TIMEOUT"
        assert code == 1008
        assert await server.billed(session_id) == ({"audio_ms": 1000}, "0.016666")


# anything at all


def anything(dice: random.Random) -> str | bytes:
    """A message a client might send, or should not."""
    kind = dice.choice(["session.start", "audio.append", "audio.commit", "audio.commit", "session.stop", "junk"])
    fields: dict[str, Any] = {
        "session.start": {"partials": dice.choice(["fast", "off", 5]), "turn_detection": dice.choice([None, {}, 1])},
        "audio.append": {"audio": dice.choice(["AAAA", "A", 5, "AAECAwQFBgc=" * 4000])},
    }.get(kind, {})
    messages: list[str | bytes] = [
        json.dumps({"type": kind} | fields),
        json.dumps({"type": kind} | fields),
        speech(dice.choice([0.02, 0.02, 0.3])),
        dice.randbytes(dice.randrange(700)),
        '{"type": "session.start", "partials": "off"}',
        "{" * dice.randrange(5),
    ]
    return dice.choice(messages)


async def test_random_sessions_leave_the_server_well_and_the_books_right(tmp_path: Path) -> None:
    dice = random.Random(12)
    async with house(tmp_path) as server:

        async def session() -> float:
            async with connect(server.url + PATH, additional_headers={"X-API-Key": server.inside.key}) as wire:
                client = Client(wire)
                for message in [anything(dice) for _ in range(dice.randrange(1, 12))]:
                    await wire.send(message)
                await wire.send('{"type": "session.stop"}')
                rest, code = await client.rest()
            assert code == 1000
            assert rest[-1]["type"] == "session.closed"
            return float(rest[-1]["creditsUsed"])

        used = 0.0
        for _ in range(10):
            used += sum(await asyncio.gather(*(session() for _ in range(10))))
        balance, held = await server.balance()
        assert held == 0
        assert balance == pytest.approx(100 - used, abs=1e-9)
        assert used > 0
