"""Which language a recording is heard in, over REST, with the default models and recorded speech."""

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.real import SPOKEN, recording, said
from tests.engines.moonshine_data import recorded
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

VIETNAMESE, TEXT = "vi_vivos01_006.wav", "trông thấy tàu cá đằng xa anh đã ấn còi cảnh báo"


@pytest.fixture
def client(real_server: Server) -> Iterator[httpx.Client]:
    with real_server.client() as client:
        yield client


def ask(client: httpx.Client, audio: bytes, **fields: Any) -> httpx.Response:
    form = {"model": "whisper-1", "response_format": "verbose_json"} | fields
    return client.post("/v1/audio/transcriptions", files={"file": ("audio", audio)}, data=form)


def hear(client: httpx.Client, audio: bytes, **fields: Any) -> dict[str, Any]:
    answer = ask(client, audio, **fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize(
    "fields",
    [{}, {"language": "auto"}, {"language": "vi"}, {"language": ["en", "vi"]}, {"language": "english, ja, vi"}],
    ids=str,
)
def test_vietnamese_is_heard_whether_it_is_named_or_not(
    client: httpx.Client, shared: Path, fields: dict[str, Any]
) -> None:
    told = hear(client, (shared / "audio" / VIETNAMESE).read_bytes(), **fields)
    assert (told["language"], told["detected_languages"]) == ("vietnamese", ["vi"])
    wrong, words = errors(TEXT, told["text"])
    assert wrong <= 0.36 * words
    assert "warnings" not in told


def test_the_language_in_a_models_name_counts(client: httpx.Client, shared: Path) -> None:
    told = hear(client, (shared / "audio" / VIETNAMESE).read_bytes(), model="valsea-vietnamese-rtt")
    assert told["language"] == "vietnamese"


@pytest.mark.parametrize("fields", [{}, {"language": "en"}, {"language": "vi,en"}, {"language": "singlish"}], ids=str)
def test_english_is_heard_as_english(client: httpx.Client, fields: dict[str, Any]) -> None:
    told = hear(client, recording("lights").read_bytes(), **fields)
    assert told["language"] == "english"
    assert said(told["text"]) == said(SPOKEN["lights"])
    assert "warnings" not in told


@pytest.mark.parametrize("shape", ["json", "verbose_json"])
@pytest.mark.parametrize(("language", "detected"), [("vi", "en"), ("en", "vi")])
def test_a_wrong_language_is_kept_and_warned_of(
    client: httpx.Client, shared: Path, language: str, detected: str, shape: str
) -> None:
    audio = (shared / "audio" / (VIETNAMESE if detected == "vi" else "jfk.wav")).read_bytes()
    told = hear(client, audio, language=language, response_format=shape)
    assert told["language"] in (language, {"vi": "vietnamese", "en": "english"}[language])
    (warning,) = told["warnings"]
    assert (warning["code"], warning["detected"]) == ("LANGUAGE_MISMATCH", detected)
    assert 0.8 < warning["confidence"] <= 1


def test_two_languages_in_one_recording(client: httpx.Client, shared: Path, tmp_path: Path) -> None:
    pause = np.zeros(16_000, np.float32)
    audio = np.concatenate([recorded(VIETNAMESE), pause, recorded("sense_0870.wav"), pause, recorded(VIETNAMESE)])
    path = tmp_path / "mixed.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((audio * 32767).astype("<i2").tobytes())
    told = hear(client, path.read_bytes())
    assert set(told["detected_languages"]) == {"vi", "en"}
    assert "john dashwood" in told["text"].lower()


@pytest.mark.parametrize("language", ["amharic", "so", "tigrinya", "om", "ta", "filipino", "vi,amharic"])
def test_what_is_not_heard_is_refused_with_what_is(client: httpx.Client, language: str) -> None:
    answer = ask(client, recording("question").read_bytes(), language=language)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_language", "language")
    assert "Vietnamese" in error["message"]


def test_models_say_how_well_each_language_is_heard(client: httpx.Client) -> None:
    heard = client.get("/v1/models/whisper-1").json()["languages"]
    assert heard == {
        "en": "good",
        **dict.fromkeys(("vi", "id", "ja", "ko", "zh"), "fair"),
        **dict.fromkeys(("th", "ms"), "weak"),
    }
