"""The voice agent's namespace, asked by python-socketio's own client."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest
import pytest_asyncio

from tests.gateways.agent_client import PATIENCE_S, House, Talk, house
from tests.recordings import cut, packed, spoken
from voxgate.audio.codecs.container import decode
from voxgate.audio.framing import to_pcm16
from voxgate.calls import (
    AudioEnd,
    AudioIn,
    AudioOut,
    Control,
    ControlDone,
    ControlIn,
    Dropped,
    EndIn,
    EndReason,
    OnWire,
    PlayedIn,
    ReplyInterrupted,
    ReplyText,
    ReplyWhole,
    Returned,
    StateOut,
    TextIn,
    TranscriptOut,
)
from voxgate.domain import SPEECH_RATE

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RATE = 24_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all the tests: they need sessions of their own, not servers."""
    async with house(tmp_path_factory.mktemp("agent")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(server: House) -> str:
    return await server.new_key("owners")


def sound(reply: int = 1, index: int = 0, seconds: float = 0.2) -> AudioOut:
    samples = 0.3 * np.sin(np.arange(int(seconds * RATE)) * 0.1).astype(np.float32)
    return AudioOut(reply, index, samples, RATE)


# start_session


async def test_a_session_starts_with_the_connections_voice_and_the_published_fields(server: House, key: str) -> None:
    async with server.client(query=f"?api_key={key}&voice=mekdes") as client:
        await client.until("connected")
        fields = {"language": "am", "instructions": "Be kind.", "vad_threshold": 600, "interrupt_threshold": 8}
        await client.emit("start_session", fields)
        told = await client.until("session_started")
        talk = server.talks[-1]
        assert told == {
            "session_id": talk.request.call,
            "voice": "mekdes",
            "language": "am",
            "output_format": "mp3",
            "sample_rate": RATE,
        }
        asked = talk.request
        assert (talk.voice, asked.language, asked.instructions) == ("mekdes", "am", "Be kind.")
        assert (asked.loudness_gate, asked.interrupt_windows, asked.silence_ms, asked.stall_ms) == (600, 8, None, 700)
        assert (asked.pieces, asked.rate, asked.echo_guard) == (True, RATE, False)


async def test_everything_that_may_be_asked_for(server: House, key: str) -> None:
    wanted = {"vad_threshold": 0, "interrupt_threshold": 15, "silence_ms": 400, "stall_ms": 900, "echo_guard": True}
    async with server.started(key, output_format="pcm16", language="auto", greeting="Hi.", **wanted) as (_, talk):
        asked = talk.request
        assert (asked.language, asked.greeting, asked.pieces, asked.echo_guard) == ("auto", "Hi.", False, True)
        assert (asked.loudness_gate, asked.interrupt_windows, asked.silence_ms, asked.stall_ms) == (0, 15, 400, 900)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"interrupt_threshold": 16}, "invalid_value", "interrupt_threshold"),
        ({"vad_threshold": "loud"}, "invalid_value", "vad_threshold"),
        ({"output_format": "flac"}, "unsupported_format", "output_format"),
        ({"language": "klingon"}, "unsupported_language", "language"),
        ({"voice": "mute"}, "unsupported_voice", "voice"),
    ],
)
async def test_a_bad_start_is_one_error_and_a_good_one_may_follow(
    server: House, key: str, fields: dict[str, object], code: str, param: str
) -> None:
    async with server.client(key) as client:
        await client.until("connected")
        await client.emit("start_session", {"voice": "alloy", **fields})
        assert await client.error() == ("validation_error", code, param)
        await client.start()
        assert not client.passed


async def test_a_session_at_a_time(server: House, key: str) -> None:
    async with server.started(key) as (client, talk):
        await client.emit("start_session", {"voice": "alloy"})
        assert await client.error() == ("session_error", "session_already_started", None)
        await client.emit("end_session")
        assert await client.until("session_ended") == {"session_id": talk.request.call, "status": "ended"}
        again = await client.start()
        assert again["session_id"] != talk.request.call


async def test_nothing_is_heard_before_a_session(server: House, key: str) -> None:
    async with server.client(key) as client:
        await client.until("connected")
        for event in ("audio_chunk", "control", "text", "end_session"):
            await client.emit(event, {"audio": "", "action": "pause", "text": "x"})
            assert await client.error() == ("session_error", "session_not_started", None)


# what is heard


async def test_what_chromium_records_is_heard_labelled_as_the_published_sample_labels_it(
    server: House, key: str
) -> None:
    recording = packed("webm", "libopus", (("live", "1"),))
    async with server.started(key) as (client, talk):
        for _ in range(2):  # the button is pressed twice
            for piece in cut(recording, 1_500):
                audio = base64.b64encode(piece).decode()
                await client.emit("audio_chunk", {"audio": audio, "format": "pcm16", "sample_rate": 16000})
        await client.emit("control", {"action": "interrupt"})
        await talk.until(lambda: ControlIn(Control.INTERRUPT) in talk.heard)
        heard = sum(len(what.samples) for what in talk.heard if isinstance(what, AudioIn))
        assert heard == pytest.approx(2 * len(spoken()), rel=0.03)


async def test_bytes_are_heard_as_they_are(server: House, key: str) -> None:
    sound = spoken()[: SPEECH_RATE // 2]
    async with server.started(key) as (client, talk):
        for piece in cut(to_pcm16(sound), 3_201):
            await client.emit("audio_chunk", {"audio": piece, "format": "pcm16", "sample_rate": 16000})
        await client.emit("end_session")
        await client.until("session_ended")
        heard = np.concatenate([what.samples for what in talk.heard if isinstance(what, AudioIn)])
        assert np.allclose(heard, sound, atol=1e-4)


async def test_what_filters_hold_back_is_heard_in_a_pause(server: House, key: str) -> None:
    async with server.started(key) as (client, talk):
        await client.emit("audio_chunk", {"audio": bytes(16_000), "format": "pcm16", "sample_rate": 8000})
        await talk.until(lambda: _heard(talk) >= SPEECH_RATE - 2)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"audio": "%%%"}, ("audio_error", "invalid_audio", "audio")),
        ({"audio": "AAAA", "format": "amr"}, ("validation_error", "invalid_value", "format")),
        ({"audio": "AAAA", "sample_rate": 4}, ("validation_error", "invalid_value", "sample_rate")),
        ({"audio": b"fLaC" + bytes(100)}, ("audio_error", "invalid_audio", "audio")),
        ({}, ("validation_error", "missing_field", "audio")),
    ],
)
async def test_bad_audio_ends_nothing(
    server: House, key: str, fields: dict[str, object], told: tuple[str, str, str]
) -> None:
    async with server.started(key) as (client, talk):
        await client.emit("audio_chunk", fields)
        assert await client.error() == told
        await client.emit("text", {"text": "Still here?"})
        await talk.until(lambda: TextIn("Still here?") in talk.heard)


async def test_an_event_above_a_mebibyte_is_told_and_ends_nothing(server: House, key: str) -> None:
    async with server.started(key) as (client, talk):
        for audio in ("A" * (1 << 20), bytes(1 << 21)):
            await client.emit("audio_chunk", {"audio": audio})
            assert (await client.error())[:2] == ("validation_error", "too_large")
        await client.emit("text", {"text": "Still here?"})
        await talk.until(lambda: TextIn("Still here?") in talk.heard)


async def test_controls_and_positions_reach_the_conversation_and_are_answered(server: House, key: str) -> None:
    async with server.started(key, output_format="pcm16") as (client, talk):
        await client.emit("control", {"action": "pause"})
        await talk.until(lambda: talk.heard == [ControlIn(Control.PAUSE)])
        talk.say(ControlDone(Control.PAUSE), ControlDone(Control.INTERRUPT, "nothing is said"))
        assert await client.until("control_ack") == {"action": "pause", "status": "executed"}
        assert await client.until("control_ack") == {
            "action": "interrupt",
            "status": "ignored",
            "reason": "nothing is said",
        }
        talk.say(sound(3))
        told = await client.until("audio_chunk")
        await client.emit("playback", {"response_id": told["response_id"], "played_ms": 100})
        await talk.until(lambda: talk.heard[-1] == PlayedIn(3, 2_400))


# what is told


@pytest.mark.parametrize("output_format", ["mp3", "wav", "opus"])
async def test_each_chunk_is_a_file(server: House, key: str, output_format: str) -> None:
    async with server.started(key, output_format=output_format) as (client, talk):
        talk.say(StateOut("speaking"), ReplyText(1, "Hi."), sound(1, 0, 0.3), sound(1, 1, 0.5))
        talk.say(ReplyWhole(1, "Hi.", False, "en"), AudioEnd(1, 2))
        assert await client.until("state") == {"state": "speaking"}
        assert await client.until("response_delta") == {"text": "Hi.", "response_id": "resp_1"}
        for index, seconds in enumerate((0.3, 0.5)):
            told = await client.until("audio_chunk")
            assert (told["index"], told["format"], told["sample_rate"], told["response_id"]) == (
                index,
                output_format,
                RATE,
                "resp_1",
            )
            played = sum(map(len, decode(io.BytesIO(base64.b64decode(told["audio"])), max_seconds=10)))
            assert played / SPEECH_RATE == pytest.approx(seconds, abs=0.03)
        told = await client.until("response")
        assert told == {"text": "Hi.", "response_id": "resp_1", "interrupted": False, "language": "en"}
        assert await client.until("audio_end") == {"total_chunks": 2, "response_id": "resp_1"}
        assert not client.passed


async def test_pcm_is_a_stream_and_the_conversation_learns_when_the_first_of_it_left(server: House, key: str) -> None:
    async with server.started(key, output_format="pcm16") as (client, talk):
        chunks = [sound(1, 0, 0.1), sound(1, 1, 0.1)]
        talk.say(*chunks)
        told = [await client.until("audio_chunk") for _ in chunks]
        assert [base64.b64decode(chunk["audio"]) for chunk in told] == [to_pcm16(chunk.samples) for chunk in chunks]
        await talk.until(lambda: bool(talk.heard))
        assert [type(what) for what in talk.heard] == [OnWire]


async def test_nothing_of_a_reply_follows_its_interruption(server: House, key: str) -> None:
    async with server.started(key, output_format="mp3") as (client, talk):
        talk.say(TranscriptOut(1, "Stop.", True, "en"), *(sound(1, index, 0.5) for index in range(20)))
        talk.say(ReplyInterrupted(1, "Once upon"), AudioEnd(1, 20), ReplyText(2, "Yes?"))
        assert await client.until("interrupted") == {"response_id": "resp_1", "spoken_text": "Once upon"}
        sent = [name for name, _ in client.passed].count("audio_chunk")
        assert sent < 20
        assert await client.next() == ("audio_end", {"total_chunks": sent, "response_id": "resp_1"})
        assert (await client.next())[0] == "response_delta"


# a connection that breaks


async def test_a_conversation_goes_on_over_a_new_connection(server: House, key: str) -> None:
    async with server.started(key, output_format="pcm16") as (client, talk):
        session_id = talk.request.call
        await client.io.disconnect()
        await talk.until(lambda: talk.heard == [Dropped()])
        talk.say(sound(1), ReplyText(1, "Where are you?"))
    async with server.client(key, auth={"resume": session_id}) as client:
        assert (await client.until("connected"))["resumed"] is True
        begun = await client.until("session_started")
        assert (begun["session_id"], begun["output_format"]) == (session_id, "pcm16")
        assert await client.next() == ("response_delta", {"text": "Where are you?", "response_id": "resp_1"})
        await talk.until(lambda: talk.heard[-1] == Returned())
        await client.emit("text", {"text": "Here."})
        await talk.until(lambda: talk.heard[-1] == TextIn("Here."))
        await client.emit("end_session")
        await client.until("session_ended")
        assert talk.heard[-1] == EndIn(EndReason.CLIENT)


async def test_who_comes_back_takes_the_place_of_a_connection_that_seems_to_live(server: House, key: str) -> None:
    async with server.started(key) as (old, talk), server.client(key, auth={"resume": talk.request.call}) as new:
        assert (await new.until("connected"))["resumed"] is True
        await old.left()
        await talk.until(lambda: talk.heard == [Dropped(), Returned()])
        talk.say(StateOut("listening"))
        assert await new.until("state") == {"state": "listening"}


async def test_nobody_takes_a_conversation_of_somebody_else(server: House, key: str) -> None:
    stranger = await server.new_key("strangers")
    async with server.started(key) as (_, talk):
        for name in (talk.request.call, "agent_0123456789"):
            async with server.client(stranger, auth={"resume": name}) as client:
                assert (await client.until("connected"))["resumed"] is False
                assert await client.error() == ("session_error", "session_not_started", "resume")
                await client.start()
        assert talk.heard == []


# what the namespace does not fall for


async def test_events_that_are_named_like_the_librarys_own(server: House, key: str) -> None:
    async with server.started(key) as (client, talk):
        await client.io.emit("connect", ({"asgi.scope": {}}, {}), namespace="/v1/audio/agent")
        await client.io.emit("disconnect", namespace="/v1/audio/agent")
        await client.io.emit("dance", namespace="/v1/audio/agent")
        assert await client.error() == ("validation_error", "invalid_value", None)
        await client.emit("text", {"text": "Still here?"})
        await talk.until(lambda: talk.heard == [TextIn("Still here?")])


async def test_who_is_not_heard_is_not_read(server: House, key: str) -> None:
    """Twenty seconds at once, within what may be sent ahead: what the conversation does not take waits before it."""
    second = to_pcm16(spoken()[:SPEECH_RATE])
    async with server.started(key) as (client, talk):
        talk.hearing.clear()
        for _ in range(20):
            await client.emit("audio_chunk", {"audio": second})
        call = server.agent.calls._held[talk.request.call]
        async with asyncio.timeout(PATIENCE_S):
            while call._room.is_set():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        waiting = sum(len(what.samples) for what in call._inputs if isinstance(what, AudioIn))
        assert waiting < 4 * SPEECH_RATE
        talk.hearing.set()
        await talk.until(lambda: _heard(talk) >= 19.9 * SPEECH_RATE)


def _heard(talk: Talk) -> int:
    return sum(len(what.samples) for what in talk.heard if isinstance(what, AudioIn))


async def test_two_hundred_clients_that_never_start(server: House, key: str) -> None:
    """They cost no conversation, and keep out nobody but their own key's next."""
    crowd = await server.new_key("a crowd")
    async with AsyncExitStack() as stack:
        before = len(server.agent.calls)
        for _ in range(200):
            client = await stack.enter_async_context(server.client(crowd))
            await client.until("connected")
        assert len(server.agent.calls) == before
        async with server.client(crowd) as one_too_many:
            assert (await one_too_many.error())[:2] == ("session_error", "rate_limited")
            await one_too_many.left()
        async with server.started(key) as (client, talk):
            await client.emit("text", {"text": "Hello."})
            await talk.until(lambda: talk.heard == [TextIn("Hello.")])
