"""Live transcription, asked by a client of its own: the rules of the session."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.gateways.live_client import FRAME, PATH, SCRIPT, Client, LiveHouse, house, silence, speech
from voxgate.domain import LiveRecognition, Partial

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent.parent / "golden" / "live"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveHouse]:
    async with house(tmp_path) as server:
        yield server


@pytest.fixture
async def client(server: LiveHouse) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


# whole conversations


def steps(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.wire")))
async def test_golden_wire(server: LiveHouse, name: str) -> None:
    headers = {"Authorization": f"Bearer {server.inside.key}"}
    async with connect(server.url + PATH, additional_headers=headers) as wire:
        client = Client(wire)
        for step, text in steps(GOLDEN / f"{name}.wire"):
            match step:
                case ">":
                    await wire.send(text)
                case ">>":
                    kind, seconds = text.split()
                    await client.play({"speech": speech, "silence": silence}[kind](float(seconds)))
                case "<":
                    wanted, got = json.loads(text), await client.next()
                    assert list(got) == list(wanted)
                    assert got == {name: got[name] if value == "*" else value for name, value in wanted.items()}
                case "x":
                    with pytest.raises(ConnectionClosed) as closed:
                        await wire.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == int(text)


# beginnings


async def test_a_start_may_be_sent_before_anything_came(server: LiveHouse) -> None:
    async with connect(server.url + PATH, additional_headers={"X-API-Key": server.inside.key}) as wire:
        client = Client(wire)
        await client.send("session.start")
        await client.play(speech(1.0))
        await client.send("session.stop")
        rest, code = await client.rest()
    assert [message["type"] for message in rest][:2] == ["session.created", "session.ready"]
    assert (rest[-1]["durationMs"], code) == (1000, 1000)


async def test_audio_between_start_and_ready_is_heard(client: Client) -> None:
    await client.send("session.start")
    await client.play(speech(1.0))
    await client.until("session.ready")
    rest = await client.stop()
    assert rest[-1]["durationMs"] == 1000
    assert [final["text"] for final in client.of("transcript.final")] == [SCRIPT]


async def test_ids_are_one_a_session(server: LiveHouse) -> None:
    async with server.client() as one, server.client() as two:
        ids = [await one.start(), await two.start()]
        assert [one.told[0]["sessionId"], two.told[0]["sessionId"]] == ids
        assert len(set(ids)) == 2
        assert all(name.startswith("rtt_") for name in ids)
        assert "valsea-rtt" in one.told[0]["supported_models"]
        assert "tts-1" not in one.told[0]["supported_models"]


async def test_every_model_that_is_offered_can_be_used(server: LiveHouse) -> None:
    async with server.client() as client:
        offered = client.told[0]["supported_models"]
    for model in offered:
        async with server.client() as client:
            await client.start(model=model)
            await client.stop()


async def test_the_address_may_name_the_model(server: LiveHouse) -> None:
    async with server.client(query="?model=valsea-nowhere") as client:
        await client.send("session.start")
        assert await client.error() == ("UNSUPPORTED_MODEL", "model")
        await client.start(model="valsea-singlish-rtt")


@pytest.mark.parametrize("query", ["?model=gpt-realtime", "?model=gpt-realtime-mini&x=1", ""])
async def test_the_other_dialect_is_refused_in_words(server: LiveHouse, query: str) -> None:
    offered = None if query else [Subprotocol("realtime"), Subprotocol("openai-beta.realtime-v1")]
    headers = {"X-API-Key": server.inside.key}
    async with connect(server.url + PATH + query, additional_headers=headers, subprotocols=offered) as wire:
        assert wire.subprotocol == (None if query else "realtime")  # or browsers would break off unread
        rest, code = await Client(wire).rest()
    assert [(message["type"], message["code"]) for message in rest] == [("error", "UNSUPPORTED_MODEL")]
    assert "not spoken here yet" in rest[0]["message"]
    assert code == 1008


# audio


@pytest.mark.parametrize("size", [1, 3, 639, 4096, 8191])
async def test_chunks_of_any_size_say_the_same(client: Client, size: int) -> None:
    await client.start(partials="off")
    await client.play(silence(0.096), speech(0.32), silence(0.64), size=size)
    await client.stop()
    [final] = client.of("transcript.final")
    assert (final["text"], final["startMs"], final["timestampMs"]) == (SCRIPT, 0, 616)
    assert client.told[-1]["durationMs"] == 1056


async def test_appended_and_binary_audio_are_one_stream(client: Client) -> None:
    await client.start(partials="off")
    whole = speech(1.0) + silence(1.0)
    for number, at in enumerate(range(0, len(whole), 333)):
        chunk = whole[at : at + 333]
        await (client.append(chunk) if number % 2 else client.wire.send(chunk))
    assert (await client.until("transcript.final"))["timestampMs"] == 1224
    assert (await client.stop())[-1]["durationMs"] == 2000


@pytest.mark.parametrize("rate", [8000, 11_025, 48_000])
async def test_other_rates_last_as_long(client: Client, rate: int) -> None:
    await client.start(partials="off", sample_rate=rate)
    await client.play(speech(1.0, rate=rate), silence(1.0, rate=rate))
    await client.stop()
    [final] = client.of("transcript.final")
    assert final["timestampMs"] == pytest.approx(1200, abs=40)
    assert client.told[-1]["durationMs"] == pytest.approx(2000, abs=1)


async def test_mulaw_is_a_byte_a_sample(client: Client) -> None:
    await client.start(partials="off", encoding="mulaw")
    await client.play((bytes([0x00]) * 10 + bytes([0x80]) * 10) * 400, bytes([0xFF] * 8000))
    await client.stop()
    assert [final["text"] for final in client.of("transcript.final")] == [SCRIPT]
    assert client.told[-1]["durationMs"] == pytest.approx(2000, abs=1)


@pytest.mark.parametrize("encoding", ["opus", "opus_packets"])
async def test_junk_is_invalid_audio_and_the_session_goes_on(client: Client, encoding: str) -> None:
    await client.start(encoding=encoding)
    await client.wire.send(b"\xff" * 500)
    assert await client.error() == ("INVALID_AUDIO", "audio")
    await client.send("audio.commit")
    assert (await client.until("transcript.final"))["text"] == ""


async def test_a_message_that_is_too_large_is_dropped_alone(tmp_path: Path) -> None:
    async with house(tmp_path, "[limits]\nsocket_message_bytes = 2_000\n") as server, server.client() as client:
        await client.start()
        await client.play(silence(1.0), size=2000)
        await client.wire.send(bytes(2001))
        assert await client.error() == ("MESSAGE_TOO_LARGE", None)
        assert (await client.stop())[-1]["durationMs"] == 1000


# segments


async def test_partials_grow_and_end_in_the_final_of_their_segment(client: Client) -> None:
    await client.start()
    await client.play(speech(2.0), silence(1.0), speech(2.0), silence(1.0))
    await client.stop()
    told = [message for message in client.told if message["type"].startswith("transcript.")]
    segments = [message["segmentId"] for message in told]
    assert segments == sorted(segments)
    for name in ("seg_1", "seg_2"):
        *partials, final = [message for message in told if message["segmentId"] == name]
        assert final["isFinal"] and final["type"] == "transcript.final"
        assert len(partials) > 2
        assert all(not each["isFinal"] and SCRIPT.startswith(each["text"]) for each in partials)
        ends = [each["timestampMs"] for each in partials]
        assert ends == sorted(ends) and ends[-1] <= final["timestampMs"]
        assert {each["startMs"] for each in partials} == {final["startMs"]}
        assert {each["language"] for each in (*partials, final)} == {"en"}


async def test_partials_can_be_calm_or_off(server: LiveHouse) -> None:
    shown = {}
    for partials in ("fast", "calm", "off"):
        async with server.client() as client:
            await client.start(partials=partials)
            await client.play(speech(1.0))
            await client.send("audio.commit")
            await client.until("transcript.final")
            shown[partials] = [message["text"] for message in client.of("transcript.partial")]
    assert shown["off"] == []
    assert shown["fast"][-1].startswith(shown["calm"][-1]) and shown["fast"] != shown["calm"]


@pytest.mark.parametrize(("pause_s", "finals"), [(0.44, 1), (0.60, 2)])
async def test_a_pause_ends_a_segment_at_silence_ms(client: Client, pause_s: float, finals: int) -> None:
    await client.start(turn_detection={"silence_ms": 500}, partials="off")
    await client.play(speech(0.96), silence(pause_s), speech(0.96))
    await client.stop()
    assert len(client.of("transcript.final")) == finals


async def test_a_commit_ends_a_segment_at_once(client: Client) -> None:
    await client.start(turn_detection={"silence_ms": 5000}, partials="off")
    await client.play(speech(1.0))
    await client.send("audio.commit")
    final = await client.until("transcript.final")
    assert (final["text"], final["timestampMs"]) == (SCRIPT, 1000)


@pytest.mark.parametrize(("encoding", "rate"), [("pcm16", 8000), ("pcm16", 48_000)])
async def test_a_commit_covers_all_that_came_before_it(client: Client, encoding: str, rate: int) -> None:
    await client.start(encoding=encoding, sample_rate=rate, partials="off")
    await client.play(speech(1.0, rate=rate))
    await client.send("audio.commit")
    assert (await client.until("transcript.final"))["timestampMs"] == pytest.approx(1000, abs=1)


async def test_each_commit_has_exactly_one_final(client: Client) -> None:
    await client.start(partials="off")
    for _ in range(3):
        await client.send("audio.commit")
    await client.play(speech(1.0), silence(1.0))
    await client.send("audio.commit")
    await client.send("audio.commit")
    await client.stop()
    finals = client.of("transcript.final")
    assert [final["text"] for final in finals] == ["", "", "", SCRIPT, "", ""]
    assert len({final["segmentId"] for final in finals}) == 6


async def test_audio_that_stops_arriving_ends_a_segment(client: Client) -> None:
    await client.start(stall_ms=200)
    await client.play(speech(1.0))
    assert (await client.until("transcript.final"))["text"] == SCRIPT
    assert [message["type"] for message in client.told].count("input.speech_stopped") == 1


async def test_with_detection_off_neither_silence_nor_a_stall_ends_anything(client: Client) -> None:
    await client.start(turn_detection=None, stall_ms=200, partials="off")
    await client.play(speech(1.0), silence(2.0))
    await asyncio.sleep(0.4)
    await client.send("audio.commit")
    assert (await client.until("transcript.final"))["text"] == SCRIPT
    assert len(client.of("transcript.final")) == 1


async def test_edges_of_speech_unless_they_are_declined(server: LiveHouse) -> None:
    for wanted in (True, False):
        async with server.client() as client:
            await client.start(speech_events=wanted)
            await client.play(silence(0.992), speech(0.96), silence(0.992))
            await client.stop()
            edges = [*client.of("input.speech_started"), *client.of("input.speech_stopped")]
            assert [edge["timestampMs"] for edge in edges] == ([742, 2152] if wanted else [])


async def test_a_threshold_nobody_reaches_hears_nobody(client: Client) -> None:
    await client.start(turn_detection={"threshold": 0.99})
    await client.play(speech(0.5))
    await client.stop()
    assert len(client.of("transcript.final")) == 1  # what is loud has probability 1 for scripted ears


async def test_words_on_request(server: LiveHouse) -> None:
    for wanted in (True, False):
        async with server.client() as client:
            await client.start(words=wanted, partials="off")
            await client.play(silence(0.992), speech(2.016), silence(0.992))
            final = await client.until("transcript.final")
            assert ("words" in final) == wanted
    async with server.client() as client:
        await client.start(words=True, partials="off")
        await client.play(silence(0.992), speech(2.016), silence(0.992))
        final = await client.until("transcript.final")
    words = final["words"]
    assert [word["word"] for word in words] == SCRIPT.split()
    times = [time for word in words for time in (word["startMs"], word["endMs"])]
    assert times == sorted(times)
    assert times[0] >= final["startMs"] and times[-1] <= final["timestampMs"]
    assert {word["confidence"] for word in words} == {1.0}


async def test_corrections_lead_from_the_raw_text_to_the_text(tmp_path: Path) -> None:
    said = '[engines.scripted_stt]\ntext = "um I have twenty five apples"\n'
    finals: dict[bool, dict[str, Any]] = {}
    async with house(tmp_path, said) as server:
        for corrected in (True, False):
            async with server.client() as client:
                await client.start(enable_correction=corrected, partials="off")
                await client.play(speech(1.0))
                finals[corrected] = next(m for m in await client.stop() if m["type"] == "transcript.final")
    plain, final = finals[False], finals[True]
    assert plain["text"] == plain["raw_text"] == final["raw_text"] == "um I have twenty five apples"
    assert plain["corrections"] == []
    assert final["text"] == "I have 25 apples"
    rebuilt, at = "", 0
    for made in final["corrections"]:
        assert final["raw_text"][made["start"] : made["end"]] == made["original"]
        rebuilt += final["raw_text"][at : made["start"]] + made["corrected"]
        at = made["end"]
    assert rebuilt + final["raw_text"][at:] == final["text"]


async def test_hints_reach_the_engine_and_no_more_than_are_allowed(
    server: LiveHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    stt: Any = server.inside.server.room.switchboard.ears("valsea-rtt", "en").stt
    asked: list[Any] = []
    opened = stt.open

    def open_(request: LiveRecognition, told: Callable[[Partial], None]) -> Any:
        asked.append(request)
        return opened(request, told)

    monkeypatch.setattr(stt, "open", open_)
    async with server.client() as client:
        await client.start(hint_text=", ".join(f"Name{number}" for number in range(20)), language=["english"])
        await client.play(speech(0.5))
        await client.stop()
    assert [request.hints for request in asked] == [tuple(f"Name{number}" for number in range(16))]
    assert {request.language for request in asked} == {"en"}


# pace


async def test_audio_may_run_ahead_so_far_and_then_comes_in_real_time(tmp_path: Path) -> None:
    async with house(tmp_path, "[limits]\naudio_ahead_s = 0.5\n") as server, server.client() as client:
        await client.start(stall_ms=200, partials="off")
        began = asyncio.get_running_loop().time()
        await client.play(speech(1.5), size=48_000)
        rest = await client.stop()
        assert 0.9 < asyncio.get_running_loop().time() - began < 5
    assert [m["text"] for m in rest if m["type"] == "transcript.final"] == [SCRIPT]  # not taken for a stall
    assert rest[-1]["durationMs"] == 1500


async def test_a_message_of_a_minute_is_taken_in_pieces(client: Client) -> None:
    await client.start(sample_rate=8000, partials="off")
    await client.append(speech(25.0, rate=8000))
    rest = await client.stop()
    assert rest[-1]["durationMs"] == pytest.approx(25_000, abs=1)


async def test_frames_in_real_time_are_told_while_they_come(client: Client) -> None:
    await client.start()
    for _ in range(30):
        await client.wire.send(speech(0.02)[:FRAME])
        await asyncio.sleep(0.02)
    assert (await client.until("transcript.partial"))["text"] == "This"
