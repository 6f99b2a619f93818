"""Live transcription: which language is heard, audio as browsers and telephones send it, and how late finals are."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.gateways.live_client import SCRIPT, Client, house, silence, speech
from tests.recordings import cut, opus_packets, packed
from voxgate.domain import Guess, Samples
from voxgate.testing.scripted import ScriptedSpeechToText

pytestmark = pytest.mark.slow

TWO_LANGUAGES = '[engines.scripted_stt]\nlanguages = { en = "good", vi = "fair" }\n'
VIETNAMESE = (Guess("vi", 0.95), Guess("en", 0.05))

LISTEN = {"turn_detection": None, "partials": "off"}
"""All that is said is one utterance, ended by a commit, whatever it sounds like to a detector of loudness."""


@pytest.fixture
def told_apart(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The scripted recognizer takes everything for Vietnamese; among which languages it was asked."""
    asked: list[Sequence[str]] = []

    async def identify(_: ScriptedSpeechToText, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        asked.append(among)
        return VIETNAMESE

    monkeypatch.setattr(ScriptedSpeechToText, "identify", identify, raising=False)
    return asked


async def say(client: Client, times: int) -> None:
    """Utterances of three seconds, each of which can tell its language."""
    for _ in range(times):
        await client.play(speech(3.0), silence(1.0), size=6_400)


# languages


async def test_a_language_that_the_audio_contradicts_is_told_once_and_kept(
    tmp_path: Path, told_apart: list[Sequence[str]]
) -> None:
    async with house(tmp_path, TWO_LANGUAGES) as server, server.client() as client:
        await client.start(language="english")
        await say(client, 3)
        await client.stop()
        [warning] = client.of("warning")
        assert (warning["code"], warning["detected"]) == ("LANGUAGE_MISMATCH", "vi")
        assert warning["confidence"] == pytest.approx(0.95)
        finals = client.of("transcript.final")
        assert [final["language"] for final in finals] == ["en"] * 3
        assert client.told.index(warning) < client.told.index(finals[1])


@pytest.mark.parametrize("language", ["vietnamese", "en, vi", ["en", "vi"]])
async def test_audio_that_contradicts_nothing_brings_no_warning(
    tmp_path: Path, told_apart: list[Sequence[str]], language: str | list[str]
) -> None:
    async with house(tmp_path, TWO_LANGUAGES) as server, server.client() as client:
        await client.start(language=language)
        await say(client, 2)
        await client.stop()
        assert client.of("warning") == []
        assert [final["language"] for final in client.of("transcript.final")] == ["vi"] * 2
        assert told_apart, "a language was looked at"


# encodings


@pytest.mark.parametrize(
    ("encoding", "messages"),
    [
        ("opus", lambda: cut(packed("ogg", "libopus"), 300)),
        ("opus", lambda: [packed("ogg", "libopus")]),
        ("opus_packets", opus_packets),
    ],
    ids=["an Ogg stream in pieces", "an Ogg stream at once", "packets"],
)
async def test_opus_is_heard_for_as_long_as_it_lasts(
    tmp_path: Path, encoding: str, messages: Callable[[], list[bytes]]
) -> None:
    seconds = len(packed("s16le", "pcm_s16le", rate=16_000)) / 32_000
    async with house(tmp_path) as server, server.client() as client:
        await client.start(encoding=encoding, **LISTEN)
        for message in messages():
            await client.wire.send(message)
        await client.send("audio.commit")
        assert (await client.until("transcript.final"))["text"] == SCRIPT
        [closed] = await client.stop()
        assert closed["durationMs"] == pytest.approx(seconds * 1000, abs=25), "a packet of 20 ms, and its lead"


async def test_opus_goes_on_behind_what_is_damaged(tmp_path: Path) -> None:
    packets = opus_packets()
    async with house(tmp_path) as server, server.client() as client:
        await client.start(encoding="opus_packets", **LISTEN)
        for number, packet in enumerate(packets):
            if number == len(packets) // 2:
                await client.wire.send(b"\xff" * 40)
            await client.append(packet)
        assert await client.error() == ("INVALID_AUDIO", "audio")
        await client.send("audio.commit")
        assert (await client.until("transcript.final"))["text"] == SCRIPT
        [closed] = await client.stop()
        assert closed["durationMs"] == len(packets) * 20


# how late finals are


@pytest.mark.parametrize("ending", ["silence", "commit", "commit alone", "stop"])
async def test_each_final_that_something_decided_has_its_lag_in_the_metrics(tmp_path: Path, ending: str) -> None:
    async with house(tmp_path) as server, server.client() as client:
        await client.start(partials="off", **({"turn_detection": None} if ending == "commit alone" else {}))
        for _ in range(3):
            await client.play(speech(0.5))
            if ending == "silence":
                await client.play(silence(0.7))
            elif ending != "stop":
                await client.send("audio.commit")
        await client.stop()
        finals = len(client.of("transcript.final"))
        assert finals == (1 if ending == "stop" else 3)
        async with server.inside.client() as http:
            lines = (await http.get("/metrics")).text.splitlines()
        counted = [line for line in lines if line.startswith("voxgate_stage_seconds_count") and "live_final" in line]
        assert [float(line.rpartition(" ")[2]) for line in counted] == [finals]
