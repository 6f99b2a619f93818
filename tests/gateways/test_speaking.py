"""The speech socket, asked by a client of its own."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from tests.gateways.speech_client import QUICK, Client, SpeechHouse, house
from voxgate.audio.codecs.container import decode
from voxgate.domain import SPEECH_RATE, Scope

GOLDEN = Path(__file__).parent.parent / "golden" / "speech"

CODEC_S = 0.11
"""MP3 and AAC streams carry their encoder's start-up and the rest of the last frame."""


pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SpeechHouse]:
    """One for all the tests: they need sessions of their own, not servers."""
    config = QUICK + "[limits]\nspeech_input_characters = 200\nspeech_queue = 2\n"
    async with house(tmp_path_factory.mktemp("speaking"), config) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: SpeechHouse) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


def seconds(file: bytes) -> float:
    return sum(map(len, decode(io.BytesIO(file), max_seconds=60))) / SPEECH_RATE


# whole conversations


def steps(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.wire")))
async def test_golden_wire(server: SpeechHouse, name: str) -> None:
    """`>` is sent, `<` is received, `<<` is audio so many ms long, `x` is the code of the close."""
    query = f"?api_key={server.inside.key}" if not name.startswith("token") else ""
    async with connect(f"{server.url}/v1/realtime/tts{query}") as wire:
        session = None
        ahead: list[str | bytes] = []
        for step, text in steps(GOLDEN / f"{name}.wire"):
            text = text.replace("KEY", server.inside.key)
            if step == ">":
                await wire.send(text)
            elif step == "<":
                wanted, got = json.loads(text), json.loads(ahead.pop() if ahead else await wire.recv())
                session = session or got.get("sessionId")
                if "message" in wanted:
                    assert wanted.pop("message") in got.pop("message")
                if "sessionId" in wanted:
                    wanted["sessionId"] = session
                assert got == wanted
                assert list(got) == list(wanted)
            elif step == "<<":
                file = b""
                while isinstance(frame := await wire.recv(), bytes):
                    file += frame
                ahead.append(frame)
                wanted_s = float(text.split()[0]) / 1000
                assert wanted_s - 0.001 <= seconds(file) <= wanted_s + CODEC_S
            else:
                await wire.wait_closed()
                assert wire.close_code == int(text)
        assert session is None or session.startswith("tts_")


# files


@pytest.mark.parametrize("speed", [0.25, 1, 4])
@pytest.mark.parametrize("fmt", ["mp3", "wav", "opus", "flac", "aac", "pcm"])
async def test_frames_joined_are_one_file_as_long_as_it_says(client: Client, fmt: str, speed: float) -> None:
    await client.start(response_format=fmt, speed=speed, audio_quality=33)
    await client.send("speech.create", input="one two three, four")
    for text in ("One two. ", "Three, four"):
        await client.send("speech.append", text=text)
    await client.send("speech.commit")
    whole, pieces = await client.speech(), await client.speech()
    assert whole.end["durationMs"] == 1000 / speed
    assert pieces.end["durationMs"] == pytest.approx((1000 + 260) / speed, abs=1)
    for speech in (whole, pieces):
        told_s = speech.end["durationMs"] / 1000
        if fmt == "pcm":
            assert len(speech.file) == 48 * speech.end["durationMs"]
            assert np.abs(np.frombuffer(speech.file, "<i2")).max() > 10_000
        else:
            assert told_s - 0.005 <= seconds(speech.file) <= told_s + CODEC_S
        assert speech.frames > 1


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["mp3", "wav", "opus"])
async def test_ffprobe_finds_nothing_wrong(client: Client, fmt: str, tmp_path: Path) -> None:
    await client.start(response_format=fmt)
    await client.send("speech.create", input="one two three four")
    file = tmp_path / f"speech.{fmt}"
    file.write_bytes((await client.speech()).file)
    probe = await asyncio.create_subprocess_exec(
        *("ffprobe", "-v", "error", "-of", "json", "-count_packets", "-show_streams", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaints = await probe.communicate()
    [stream] = json.loads(out)["streams"]
    assert (stream["codec_type"], stream["channels"], complaints) == ("audio", 1, b"")


async def test_a_speak_is_heard_in_the_voice_and_format_it_names(client: Client) -> None:
    await client.start(response_format="wav")
    await client.send("speak", text="one", audio_format="mp3")
    await client.send("speech.create", input="one")
    assert (await client.speech()).file[:2] in (b"\xff\xf3", b"\xff\xfb")
    assert (await client.speech()).file[:4] == b"RIFF"


async def test_a_text_with_nothing_to_say_is_an_empty_file(client: Client) -> None:
    await client.start()
    await client.send("speech.append", text=" ")
    await client.send("speech.commit")
    speech = await client.speech()
    assert (speech.end["durationMs"], speech.end["creditsUsed"]) == (0, 0)
    assert speech.file[:4] == b"RIFF"


async def test_normalization_is_done(client: Client) -> None:
    durations = []
    for level in ("no", "basic"):
        await client.send("session.start", voice="alloy", response_format="wav", normalization=level)
        if level == "basic":
            break
        await client.until("session.ready")
        await client.send("speech.create", input="$3.50")
        durations.append((await client.speech()).end["durationMs"])
    assert await client.error() == ("SESSION_ALREADY_STARTED", "type")
    assert durations == [250]


async def test_basic_normalization_makes_words_of_money(client: Client) -> None:
    await client.start(normalization="basic")
    await client.send("speech.create", input="$3.50")
    assert (await client.speech()).end["durationMs"] == 250 * len("three dollars and fifty cents".split())


# the order of things


async def test_a_clause_is_spoken_before_the_text_is_complete(client: Client) -> None:
    await client.start()
    await client.send("speech.append", text="One two three. And then")
    await client.until("speech.started")
    audio = await client.wire.recv()
    assert isinstance(audio, bytes)
    client._frames["speech_1"].append(audio)
    await client.send("speech.append", text=" four.")
    await client.send("speech.commit")
    assert (await client.speech()).end["durationMs"] == 6 * 250 + 260


async def test_speeches_come_in_order_even_when_the_first_is_still_written(client: Client) -> None:
    await client.start()
    await client.send("speech.append", text="One.", speechId="written")
    await client.send("speech.create", input="two", speechId="queued")
    await client.send("speech.append", text=" Three.")
    await client.send("speech.commit")
    assert [(await client.speech()).id for _ in range(2)] == ["written", "queued"]


async def test_stop_speaks_what_waits_and_what_was_written(client: Client) -> None:
    await client.start()
    await client.send("speech.create", input="one")
    await client.send("speech.append", text="Two three")
    await client.send("session.stop")
    await client.speech()
    assert (await client.speech()).end["durationMs"] == 500
    events, code = await client.closed()
    assert [event["type"] for event in events] == ["session.closed"]
    assert (events[0]["durationMs"], events[0]["creditsUsed"], code) == (750, 1, 1000)


async def test_stop_at_once_costs_nothing(server: SpeechHouse, client: Client) -> None:
    await client.send("session.stop")
    events, code = await client.closed()
    assert [(event["type"], event["durationMs"], event["creditsUsed"]) for event in events] == [
        ("session.closed", 0, 0)
    ]
    assert code == 1000
    assert await server.usage(events[0]["sessionId"]) == []


async def test_too_many_texts_are_refused_and_the_session_goes_on(tmp_path: Path) -> None:
    config = "[engines.scripted_tts]\nhang_every = 1\n[limits]\nspeech_queue = 2\n"
    async with house(tmp_path, config) as server, server.client() as client:
        await client.start()
        for _ in range(4):
            await client.send("speech.create", input="one")
        assert await client.error() == ("RATE_LIMITED", "input")
        await client.send("speech.cancel")
        cancelled = [(await client.until("speech.cancelled"))["speechId"] for _ in range(3)]
        assert cancelled == ["speech_1", "speech_2", "speech_3"]


async def test_a_text_at_the_limit_is_spoken_and_one_beyond_is_not(client: Client) -> None:
    await client.start()
    await client.send("speech.create", input="x" * 201)
    assert await client.error() == ("INPUT_TOO_LONG", "input")
    await client.send("speech.create", input="x" * 200)
    await client.speech()


# what does not fit


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"voice": "nobody"}, ("UNSUPPORTED_VOICE", "voice")),
        ({"language": "vietnamese"}, ("UNSUPPORTED_VOICE", "voice")),
        ({"language": "klingon"}, ("UNSUPPORTED_LANGUAGE", "language")),
        ({"model": "nothing"}, ("UNSUPPORTED_MODEL", "model")),
        ({"model": "valsea-rtt"}, ("UNSUPPORTED_MODEL", "model")),
        ({"response_format": "midi"}, ("UNSUPPORTED_FORMAT", "response_format")),
        ({"audio_quality": 31}, ("INVALID_MESSAGE", "audio_quality")),
        ({"speed": 4.01}, ("INVALID_MESSAGE", "speed")),
        ({"normalization": "some"}, ("INVALID_MESSAGE", "normalization")),
    ],
)
async def test_a_start_that_fails_leaves_the_session_to_be_started(
    client: Client, options: dict[str, Any], answer: tuple[str, str]
) -> None:
    await client.send("session.start", **{"voice": "alloy", **options})
    assert await client.error() == answer
    await client.start()
    await client.send("speech.create", input="one")
    await client.speech()


async def test_the_voices_that_do_are_named(client: Client) -> None:
    await client.send("speak", text="one", voice="nobody")
    error = await client.until("error")
    assert error["message"].endswith("available: alloy")
    await client.send("speak", text="one", voice="alloy")
    await client.speech()


async def test_messages_that_are_none(client: Client) -> None:
    await client.wire.send(b"\x00\x01")
    assert await client.error() == ("INVALID_MESSAGE", None)
    await client.wire.send("{")
    assert await client.error() == ("INVALID_MESSAGE", None)
    await client.wire.send(json.dumps({"token": "vg_again"}))
    assert await client.error() == ("INVALID_MESSAGE", "type")
    await client.send("speech.create", input="x")
    assert await client.error() == ("SESSION_NOT_STARTED", "type")
    await client.wire.send("x" * 1_100_000)
    assert await client.error() == ("MESSAGE_TOO_LARGE", None)
    await client.start()


async def test_a_client_secret_for_speech_opens_it_and_another_does_not(server: SpeechHouse) -> None:
    async with server.inside.client() as http:
        answers = [
            (await http.post("/v1/realtime/client_secrets", json={"scopes": [scope]})).json()
            for scope in (Scope.SPEECH, Scope.TRANSCRIPTION)
        ]
    async with server.client(answers[0]["value"]) as client:
        await client.start()
    with pytest.raises(AssertionError, match="UNAUTHORIZED"):
        async with server.client(answers[1]["value"]):
            pass


async def test_what_is_said_is_in_no_log(server: SpeechHouse) -> None:
    with capture_logs() as lines:
        async with server.client() as client:
            session = await client.start()
            await client.send("speech.create", input="a secret sentence")
            await client.speech()
            await client.send("speech.create", input=7)
            await client.error()
            await client.send("session.stop")
            await client.closed()
    logged = repr(lines)
    assert session in logged
    assert "secret sentence" not in logged
    assert server.inside.key not in logged


@pytest.mark.parametrize("dialect", ["session.start", "speak"])
async def test_what_a_client_secret_was_minted_for_is_the_default(tmp_path: Path, dialect: str) -> None:
    session = {"type": "speech", "voice": "alloy", "response_format": "wav"}
    async with house(tmp_path) as server:
        async with server.inside.client() as http:
            secret = (await http.post("/v1/realtime/client_secrets", json={"session": session})).json()["value"]
        async with server.client(secret) as client:
            if dialect == "speak":
                await client.send("speak", text="hello there")
            else:
                await client.send("session.start")
                await client.send("speech.create", input="hello there")
            assert (await client.speech()).file.startswith(b"RIFF")
