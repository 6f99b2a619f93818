"""Speech in, speech out: the three calls one after another, with real engines and real recordings."""

import csv
import io
import json
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.audio_samples import wav
from tests.e2e.real import SENTENCE, SPOKEN, level, recording, resident_mib, said, until
from tests.serving import Server
from voxgate.text.wer import digits, errors, wer

pytestmark = pytest.mark.slow

PLAIN = "espeak/en-us+f2"
"""A voice that costs next to nothing, so that ten minutes of speech take seconds."""


@pytest.fixture
def client(real_server: Server) -> Iterator[httpx.Client]:
    with real_server.client() as client:
        yield client


def hear(client: httpx.Client, audio: bytes, **fields: Any) -> dict[str, Any]:
    """What `/v1/audio/transcriptions` answers, as verbose_json."""
    answer = client.post(
        "/v1/audio/transcriptions",
        files={"file": ("audio", audio)},
        data={"model": "whisper-1", "response_format": "verbose_json"} | fields,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def speech(text: str, **fields: Any) -> dict[str, Any]:
    """The body of a speech request."""
    return {"model": "tts-1", "voice": "onyx", "input": text, "response_format": "wav"} | fields


def converse(client: httpx.Client) -> tuple[str, str]:
    """Ask the recorded question; (the answer as written, the answer as it was heard again)."""
    asked = hear(client, recording("question").read_bytes())["text"]
    assert said(asked) == said(SPOKEN["question"])
    messages = [
        {"role": "system", "content": "You are a helpful voice assistant. Answer in one short English sentence."},
        {"role": "user", "content": asked},
    ]
    chat = client.post(
        "/v1/chat/completions", json={"model": "valsea-fast", "messages": messages, "temperature": 0}
    ).json()
    answer = chat["choices"][0]["message"]["content"]
    spoken = client.post("/v1/audio/speech", json=speech(answer))
    assert spoken.status_code == 200
    return answer, hear(client, spoken.content)["text"]


def test_a_question_is_heard_answered_and_spoken(client: httpx.Client) -> None:
    answer, heard = converse(client)
    assert answer.strip()
    wrong, words = errors(answer, heard)
    assert wrong <= max(2, words // 10), f"{answer!r} was heard as {heard!r}"


def test_two_clients_at_once_each_get_their_own(client: httpx.Client) -> None:
    def ask(name: str) -> list[str]:
        return said(hear(client, recording(name).read_bytes())["text"])

    def answer(text: str) -> list[str]:
        return said(hear(client, client.post("/v1/audio/speech", json=speech(text)).content)["text"])

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, name) for name in ("question", "lights")]
        answered = [pool.submit(answer, SPOKEN[name]) for name in ("question", "lights")]
        for futures in (asked, answered):
            assert [f.result() for f in futures] == [said(SPOKEN["question"]), said(SPOKEN["lights"])]


def test_recorded_english_is_understood(client: httpx.Client, shared: Path) -> None:
    with (shared / "audio" / "transcripts.tsv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["language"] == "en"]
    heard = {
        row["file"]: hear(client, (shared / "audio" / row["file"]).read_bytes(), language="en")["text"] for row in rows
    }
    numbers = heard.pop("digits_10001.wav")
    assert digits(numbers) == "100019021001803"
    rate = wer([(row["transcript"], heard[row["file"]]) for row in rows if row["file"] in heard])
    assert len(heard) == 11
    assert rate <= 0.06


def test_nothing_is_heard_in_silence(client: httpx.Client) -> None:
    for audio in (wav(3.0, level=0.0), wav(0.05, level=0.0)):
        assert hear(client, audio)["text"] == ""
        assert hear(client, audio)["segments"] == []


def test_nothing_is_heard_in_an_office(client: httpx.Client, shared: Path) -> None:
    assert hear(client, (shared / "audio" / "noise_office.wav").read_bytes())["text"] == ""


def test_words_lie_inside_the_recording_and_in_order(client: httpx.Client) -> None:
    for name in SPOKEN:
        heard = hear(client, recording(name).read_bytes(), **{"timestamp_granularities[]": "word"})
        words = heard["words"]
        assert [word["word"] for word in words] == heard["text"].split()
        times = [time for word in words for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= heard["duration"]
        assert all(0 <= word["confidence"] <= 1 for word in words)


def test_a_prompt_brings_rare_words_and_leaves_others_alone(client: httpx.Client) -> None:
    rare = {"prometheus", "grafana", "kubernetes"}
    names = recording("rare-words").read_bytes()
    assert not rare & set(said(hear(client, names)["text"]))
    assert rare <= set(said(hear(client, names, prompt="Prometheus, Grafana, Kubernetes")["text"]))
    for name in ("question", "lights"):
        heard = hear(client, recording(name).read_bytes(), prompt="Prometheus, Grafana, Kubernetes")
        assert said(heard["text"]) == said(SPOKEN[name])


def test_every_voice_that_is_listed_speaks_with_a_sound_of_its_own(client: httpx.Client) -> None:
    listed = client.get("/v1/audio/voices").json()["data"]
    assert {voice["id"] for voice in listed if not voice["available"]} == {"ubax", "muuse"}  # Somali: nothing speaks it
    sounds: dict[bytes, str] = {}
    for voice in listed:
        body = speech("Good morning.", voice=voice["id"], response_format="pcm")
        if voice["available"]:
            answer = client.post("/v1/audio/speech", json=body | {"language": voice["languages"][0]})
            assert (answer.status_code, voice["id"]) == (200, voice["id"])
            assert 0.3 * 48_000 < len(answer.content) < 4 * 48_000
            if voice["languages"] == ["en"] and voice["gender"] == "female":
                assert answer.content not in sounds, f"{voice['id']} is {sounds[answer.content]}"
                sounds[answer.content] = voice["id"]
    assert len(sounds) == 4


def memory_mib(server: Server) -> float:
    """Memory of the server and its workers."""
    return sum(resident_mib(pid) for pid in (server.process.pid, *server.children()))


def long_text(characters: int) -> str:
    return (" ".join(SPOKEN.values()) + " ") * (1 + characters // 100)


def test_ten_thousand_characters_are_spoken_in_flat_memory(real_server: Server, client: httpx.Client) -> None:
    client.post("/v1/audio/speech", json=speech(SENTENCE, voice=PLAIN))
    before = memory_mib(real_server)
    body = speech(long_text(10_000)[:10_000], voice=PLAIN, response_format="pcm")
    count = 0
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            count += len(piece)
    assert count / 48_000 > 400  # seconds; a fast reader of English takes 10,000 characters in nine minutes
    assert memory_mib(real_server) - before < 150


def test_who_hangs_up_in_the_middle_ends_the_work(real_server: Server, client: httpx.Client) -> None:
    client.post("/v1/audio/speech", json=speech(SENTENCE))
    before = memory_mib(real_server)
    wanted = 60 * 48_000  # a minute of audio, of about nine
    with client.stream("POST", "/v1/audio/speech", json=speech(long_text(10_000)[:10_000])) as answer:
        assert answer.status_code == 200
        count = 0
        for piece in answer.iter_raw():
            count += len(piece)
            if count > wanted:
                break
        assert level(real_server, "active", "piper") == 1
        assert memory_mib(real_server) - before < 150
    until(lambda: level(real_server, "active", "piper") == level(real_server, "active", "piper-espeak") == 0)
    until(lambda: client.get("/v1/credits").json()["held"] == 0)


def test_first_audio_comes_long_before_the_last(
    client: httpx.Client, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    took, shares = [], []
    for _ in range(5):
        began = time.perf_counter()
        with client.stream("POST", "/v1/audio/speech", json=speech(SENTENCE)) as answer:
            body = iter(answer.iter_raw())
            piece = next(body)
            took.append((time.perf_counter() - began) * 1000)
            whole = piece + b"".join(body)
        last = (time.perf_counter() - began) * 1000
        shares.append(took[-1] / last)
    with wave.open(io.BytesIO(whole)) as reader:
        assert reader.getframerate() == 24_000
    assert min(shares) < 0.5, "of a quiet moment: a busy machine may keep the first byte waiting and not the others"
    median = sorted(took)[2]
    record_property("first_byte_ms", json.dumps([round(ms) for ms in took]))
    with capsys.disabled():
        print(
            f"\nfirst byte of WAV for 99 characters: {median:.0f} ms (median of {len(took)}, this machine, this load)"
        )
