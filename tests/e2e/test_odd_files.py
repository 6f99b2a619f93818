"""Recordings nobody should send and somebody will: hours of silence, one sample, a mixing desk, a film."""

import io
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.audio_samples import wav
from tests.conftest import absent
from tests.serving import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def client(real_server: Server) -> Iterator[httpx.Client]:
    with real_server.client() as client:
        yield client


def make(path: Path, *options: str) -> bytes:
    """A file by ffmpeg."""
    try:
        subprocess.run(["ffmpeg", "-v", "error", *options, str(path)], check=True)
    except FileNotFoundError:
        absent("ffmpeg", "ffmpeg")
    return path.read_bytes()


def ask(client: httpx.Client, audio: bytes) -> httpx.Response:
    return client.post("/v1/audio/transcriptions", files={"file": ("a", audio)}, data={"model": "whisper-1"})


def silence(hours: int) -> tuple[str, ...]:
    return "-f", "lavfi", "-i", f"anullsrc=r=16000:cl=mono:d={hours * 3600}", "-c:a", "flac"


def test_nothing_is_invented_in_an_hour_of_silence(client: httpx.Client, tmp_path: Path) -> None:
    answer = ask(client, make(tmp_path / "hour.flac", *silence(1)))
    assert (answer.status_code, answer.json()["text"]) == (200, "")
    assert answer.headers["X-Credits-Used"] == "60"


def test_ten_hours_are_too_many(client: httpx.Client, tmp_path: Path) -> None:
    before = client.get("/v1/credits").json()
    answer = ask(client, make(tmp_path / "hours.flac", *silence(10)))
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == ("input_too_long", "file")
    assert client.get("/v1/credits").json() == before


def test_one_sample_is_a_recording_that_says_nothing(client: httpx.Client) -> None:
    answer = ask(client, wav(1 / 16_000))
    assert (answer.status_code, answer.json()["text"]) == (200, "")


def test_forty_eight_channels_are_heard_as_one(client: httpx.Client, shared: Path) -> None:
    with wave.open(str(shared / "audio" / "sense_0880.wav")) as mono:
        samples = np.frombuffer(mono.readframes(mono.getnframes()), "<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as wide:
        wide.setnchannels(48)
        wide.setsampwidth(2)
        wide.setframerate(16_000)
        wide.writeframes(np.repeat(samples, 48).tobytes())
    assert "ill-disposed young man" in ask(client, file.getvalue()).json()["text"]


def test_of_a_film_the_sound_is_heard(client: httpx.Client, shared: Path, tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=3")
    film = make(
        tmp_path / "film.mp4", *picture, "-i", str(shared / "audio" / "sense_0880.wav"), "-c:v", "mpeg4", "-c:a", "aac"
    )
    assert "ill-disposed young man" in ask(client, film).json()["text"]
