"""`enable_correction` over REST, on a real server whose recognizer says what people say."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.audio_samples import wav
from tests.serving import SCRIPTED, Server
from voxgate.domain import Correction
from voxgate.text.correct import apply

pytestmark = pytest.mark.slow

RAW = "Um, i meet the the team on monday, it costs twenty five dollars lah"
TEXT = "I meet the team on Monday, it costs $25 lah"
SETTINGS = f'[engines.scripted_stt]\ntext = "{RAW}"\n[engines.scripted_stt.languages]\nen = "good"\nvi = "fair"\n'


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = Server(tmp_path_factory.mktemp("correction"), SCRIPTED + SETTINGS)
    with running.client() as client:
        yield client
    assert running.stop() == 0
    assert "twenty five" not in running.log


def twice() -> bytes:
    """Two utterances with a pause of two seconds between them."""
    tones = wav(1.0)[44:] + b"\0" * 64_000 + wav(1.0)[44:]
    return wav(0.0)[:40] + len(tones).to_bytes(4, "little") + tones


def transcribe(client: httpx.Client, **fields: Any) -> httpx.Response:
    form = {"model": "whisper-1", "language": "en"} | fields
    answer = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", twice())}, data=form)
    assert answer.status_code == 200, answer.text
    return answer


def test_applying_the_corrections_to_the_raw_transcript_gives_the_text(client: httpx.Client) -> None:
    verbose = transcribe(client, response_format="verbose_json", **{"timestamp_granularities[]": "word"}).json()
    assert verbose["raw_transcript"] == f"{RAW} {RAW}"
    corrections = [Correction(**each) for each in verbose["corrections"]]
    assert apply(verbose["raw_transcript"], corrections) == verbose["text"]
    assert verbose["text"] == f"{TEXT} {TEXT}"
    assert all(verbose["raw_transcript"][each.start : each.end] == each.original for each in corrections)
    assert all(a.end <= b.start for a, b in pairwise(corrections))
    assert {each.type for each in corrections} == {"filler", "casing", "repetition", "number"}
    assert [segment["text"] for segment in verbose["segments"]] == [TEXT, TEXT]
    assert [word["word"] for word in verbose["words"]] == RAW.split() * 2


def test_without_correction_the_text_is_the_raw_one(client: httpx.Client) -> None:
    verbose = transcribe(client, response_format="verbose_json", enable_correction="false").json()
    assert verbose["text"] == verbose["raw_transcript"] == f"{RAW} {RAW}"
    assert verbose["corrections"] == []


def test_every_shape_carries_the_corrected_text(client: httpx.Client) -> None:
    assert transcribe(client).json()["text"] == f"{TEXT} {TEXT}"
    assert transcribe(client, response_format="text").text == f"{TEXT} {TEXT}\n"
    assert "costs $25 lah" in " ".join(transcribe(client, response_format="srt").text.split())
    streamed = transcribe(client, stream="true").text
    assert f'"text":"{TEXT} {TEXT}"' in streamed
    assert f'"delta":" {TEXT}"' in streamed
    assert f'"delta":"{RAW}"' in transcribe(client, stream="true", enable_correction="false").text


@pytest.mark.parametrize("fields", [{"language": "vi"}, {"language": "vietnamese"}])
def test_each_language_has_its_own_rules(client: httpx.Client, fields: dict[str, str]) -> None:
    text = transcribe(client, **fields).json()["text"]
    assert text == f"I meet the the team on monday, it costs twenty five dollars lah {RAW[4:]}"


def test_singlish_is_heard_as_english_and_corrected_as_itself(client: httpx.Client) -> None:
    for fields in ({"language": "singlish"}, {"model": "valsea-singlish-rtt", "language": ""}):
        assert transcribe(client, **fields).json()["text"] == f"{TEXT} {TEXT}"
