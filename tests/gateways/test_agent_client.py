"""One client of the voice agent: audio in any shape, states in which it vanishes, limits that end it."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Sequence
from itertools import accumulate

import numpy as np
import pytest
import pytest_asyncio

from tests.gateways.agent_client import House, Talk, house
from tests.recordings import packed, spoken
from voxgate.audio.framing import to_pcm16
from voxgate.calls import (
    AudioIn,
    Dropped,
    EndIn,
    EndReason,
    ReplyText,
    StateOut,
    TextIn,
)
from voxgate.domain import SPEECH_RATE, Tier
from voxgate.errors import EngineError

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all the tests: they need sessions of their own, not servers."""
    async with house(tmp_path_factory.mktemp("agent")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(server: House) -> str:
    return await server.new_key("owners")


def webm() -> bytes:
    """What Chromium records."""
    return packed("webm", "libopus", (("live", "1"),))


def heard(talk: Talk) -> int:
    """Samples that the conversation was given."""
    return sum(len(what.samples) for what in talk.heard if isinstance(what, AudioIn))


def in_pieces(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Cut into pieces of these sizes, over and over."""
    ends = list(accumulate(sizes[at % len(sizes)] for at in range(len(data) // min(sizes) + 1)))
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < len(data)]


# audio in any shape


@pytest.mark.parametrize(
    "sizes", [(1,), (3, 1, 7), (640,), (4_095, 1), (100_000,), (0x100000 * 3 // 4 - 200,)], ids=str
)
@pytest.mark.parametrize("encoded", [True, False])
async def test_chunks_of_any_size(server: House, key: str, sizes: tuple[int, ...], encoded: bool) -> None:
    """Odd ones too: a sample may begin in one and end in the next."""
    seconds = 0.05 if min(sizes) < 100 else 2
    sound = np.resize(spoken(), int(seconds * SPEECH_RATE))
    async with server.started(key) as (client, talk):
        for piece in in_pieces(to_pcm16(sound), sizes):
            audio = base64.b64encode(piece).decode() if encoded else piece
            await client.emit("audio_chunk", {"audio": audio, "format": "pcm16", "sample_rate": 16000})
        await client.emit("end_session")
        await client.until("session_ended")
        got = np.concatenate([what.samples for what in talk.heard if isinstance(what, AudioIn)])
        assert np.allclose(got, sound, atol=1e-4)


async def test_recordings_and_labels_that_change_in_mid_session(server: House, key: str) -> None:
    """Chromium's, then Firefox's, then bare samples, then Chromium's again; one of them is cut off in the middle."""
    dice = random.Random(5)
    plain = to_pcm16(spoken())
    chromium, firefox = webm(), packed("ogg", "libopus")
    half = chromium[: len(chromium) // 2]
    async with server.started(key) as (client, talk):
        for data, label in [(chromium, "pcm16"), (firefox, "pcm16"), (half, "pcm16"), (chromium, "audio/webm")]:
            for piece in in_pieces(data, [dice.randint(200, 4_000) for _ in range(20)]):
                await client.emit("audio_chunk", {"audio": piece, "format": label, "sample_rate": 16000})
        for piece in in_pieces(plain, [3_200]):
            await client.emit("audio_chunk", {"audio": piece, "format": "pcm16", "sample_rate": 16000})
        await client.emit("end_session")
        await client.until("session_ended")
        assert heard(talk) == pytest.approx(4.5 * len(spoken()), rel=0.05)


@pytest.mark.parametrize(
    "audio",
    ["", "====", "not base64 at all", "AAA", "data:audio/webm;base64,%%%", "\u00e4\u00f6\u00fc", None, 5, [1, 2], {}],
    ids=repr,
)
async def test_junk_in_place_of_audio_ends_nothing(server: House, key: str, audio: object) -> None:
    async with server.started(key) as (client, talk):
        await client.emit("audio_chunk", {"audio": audio})
        if audio != "":
            kind, code, param = await client.error()
            assert kind in ("audio_error", "validation_error")
            assert (code, param) in [("invalid_audio", "audio"), ("invalid_value", "audio"), ("missing_field", "audio")]
        await client.emit("audio_chunk", {"audio": to_pcm16(spoken()[:1600])})
        await client.emit("text", {"text": "Still here?"})
        await talk.until(lambda: TextIn("Still here?") in talk.heard)
        assert heard(talk) >= 1500


async def test_garbage_in_a_recording_costs_what_it_destroyed(server: House, key: str) -> None:
    damaged = bytearray(webm())
    middle = len(damaged) // 2
    damaged[middle : middle + 300] = random.Random(7).randbytes(300)
    async with server.started(key) as (client, talk):
        for piece in in_pieces(bytes(damaged), [1_000]):
            await client.emit("audio_chunk", {"audio": piece, "format": "pcm16"})
        for piece in in_pieces(webm(), [1_000]):  # the button is pressed again
            await client.emit("audio_chunk", {"audio": piece, "format": "pcm16"})
        await client.emit("text", {"text": "Still here?"})
        await talk.until(lambda: TextIn("Still here?") in talk.heard)
        assert heard(talk) > 1.2 * len(spoken())


# a client that vanishes


@pytest.mark.parametrize("state", ["listening", "hearing", "thinking", "speaking", "paused"])
async def test_whoever_vanishes_in_whatever_state_is_waited_for(server: House, key: str, state: str) -> None:
    async with server.started(key, output_format="pcm16") as (client, talk):
        talk.say(StateOut(state), ReplyText(1, "Once "))
        await client.until("response_delta")
        await client.io.disconnect()
        await talk.until(lambda: talk.heard == [Dropped()])


async def test_a_client_that_vanishes_while_it_waits_to_be_heard(server: House, key: str) -> None:
    """Its audio fills what may wait; the conversation fails meanwhile: nobody waits for ever."""
    async with server.started(key) as (client, talk):
        talk.hearing.clear()
        for _ in range(20):
            await client.emit("audio_chunk", {"audio": bytes(2 * SPEECH_RATE // 2)})
        talk.failure = EngineError("it burns", engine="x")
        await asyncio.sleep(0.2)
        talk.hearing.set()
        told = [(await client.next()) for _ in range(2)]
        assert [name for name, _ in told] == ["error", "session_ended"]
        assert told[0][1]["code"] == "engine_error"
        await client.emit("start_session", {"voice": "alloy"})
        while (name := (await client.next())[0]) != "session_started":
            assert name == "error"  # of what was sent before, and finds no session


async def test_who_leaves_before_a_session_or_while_it_begins_leaves_no_client_behind(server: House, key: str) -> None:
    async with server.client(key) as client:
        await client.until("connected")
    async with server.client(key) as client:
        await client.until("connected")
        await client.emit("start_session", {"voice": "alloy"})
    async with asyncio.timeout(10):
        while server.agent._clients:
            await asyncio.sleep(0.01)


# what ends it


async def test_a_session_that_has_lasted_too_long_is_announced_and_ended(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    limits = "[limits]\nsession_s = 2.0\nsession_expiring_s = 1.9\n"
    async with house(tmp_path_factory.mktemp("long"), limits) as server:
        made = await server.new_key("talkers")
        async with server.started(made) as (client, talk):
            told = await client.until("session_expiring")
            assert told["reason"] == "session"
            assert told["secondsLeft"] in (0, 1)
            assert await client.error() == ("session_error", "session_timeout", None)
            await client.left()
            await talk.until(lambda: talk.heard == [EndIn(EndReason.SERVER)])


async def test_who_says_nothing_is_asked_to_leave(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = "[limits]\nsocket_idle_s = 2.0\n"
    async with house(tmp_path_factory.mktemp("idle"), limits) as server:
        made = await server.new_key("quiet")
        async with server.started(made) as (client, _):
            assert (await client.until("session_expiring"))["reason"] == "idle"
            assert await client.error() == ("session_error", "session_timeout", None)
            await client.left()


async def test_a_key_that_is_revoked_ends_what_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = "[limits]\nkey_check_s = 0.1\n"
    async with house(tmp_path_factory.mktemp("revoked"), limits) as server:
        accounts = server.inside.server.accounts
        made = await accounts.create_key("leavers", tier=Tier.OWNER)
        async with server.started(made.key) as (client, talk):
            await accounts.revoke_key(made.info.id)
            assert await client.error() == ("authentication_error", "invalid_api_key", None)
            await client.left()
            await talk.until(lambda: talk.heard == [EndIn(EndReason.SERVER)])
