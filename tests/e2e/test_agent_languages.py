"""Conversations in the languages of the table with the default models, and a language model that is told which.

A recorded Vietnamese speaker; other languages by typed turns, since there are no recordings of them here.
"""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import SHARED, absent
from tests.e2e.agent import Client
from tests.e2e.live import clip, silence
from tests.e2e.real import start, stop
from tests.e2e.upstream import upstream
from tests.recordings import cut
from tests.serving import Server
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

SPEAKER = (
    ("vi_vivos01_006", "trông thấy tàu cá đằng xa anh đã ấn còi cảnh báo"),
    ("vi_vivos01_011", "hấp dẫn nhất là cuộc thi bơi thuyền truyền thống"),
)
WRITTEN = {
    "id": ("Selamat pagi, apa yang bisa saya lakukan untuk Anda hari ini?", "Selamat pagi, saya baik-baik saja."),
    "ja": ("今日の天気はどうですか。", "今日はとても良い天気です。"),
    "ko": ("오늘 날씨가 어떻습니까?", "오늘은 날씨가 아주 좋습니다."),
    "zh": ("今天天气怎么样？", "今天天气非常好。"),
}
"""Language -> what is written in it, and what is answered."""
VIETNAMESE = "Xin chào, hôm nay trời rất đẹp."
ANSWERS = {"Indonesian": WRITTEN["id"][1], "English": "The weather is very nice today."}
"""What is answered where the instructions name a language, whatever was said."""
JAPANESE = """
[routing]
tts = ["piper", "espeak", "kana"]
[engines]
kana = {plugin = "scripted_tts", languages = ["ja"]}
[voices.aliases]
kana = {gender = "neutral", use = ["kana/tone"]}
"""
"""No default engine speaks Japanese (espeak-ng reads kanji as "Chinese letter"), so that a scripted one does here."""


def answer(messages: list[dict[str, Any]]) -> str:
    """In the language that is asked for, else in that of the question."""
    if messages[0]["role"] == "system":
        told = [text for name, text in ANSWERS.items() if f"Answer in {name}" in messages[0]["content"]]
        if told:
            return told[0]
    asked = messages[-1]["content"]
    return next((answered for question, answered in WRITTEN.values() if question in asked), VIETNAMESE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The default models, but for the language model."""
    with upstream(answer) as environment:
        running = start(tmp_path_factory.mktemp("languages"), JAPANESE, environment)
        yield running
        stop(running)


def seconds_of(client: Client, response: str) -> float:
    """How long a reply was spoken."""
    chunks = [told["audio"] for told in client.of("audio_chunk") if told["response_id"] == response]
    return sum(len(base64.b64decode(chunk)) for chunk in chunks) / 48_000


async def say(client: Client, name: str) -> None:
    if not (SHARED / "audio" / f"{name}.wav").exists():
        absent("shared", "shared/audio")
    before = len(client.of("latency"))
    await client.talk(list(cut(clip(SHARED / "audio" / f"{name}.wav") + silence(0.3), 3_200)), 0.1)
    await client.until("latency", before + 1)


async def test_a_vietnamese_speaker_holds_a_conversation(server: Server) -> None:
    """Nobody names the language: it is told from the sound, and answered in."""
    client = Client()
    await client.connect(server, voice="valsea-default")
    await client.emit("start_session", output_format="pcm16")
    await client.until("session_started")
    assert client.of("session_started")[0]["language"] is None
    for number, (name, text) in enumerate(SPEAKER, 1):
        await say(client, name)
        final = [told for told in client.of("transcription") if told["is_final"]][-1]
        wrong, words = errors(text, final["text"])
        assert wrong <= 0.5 * words, final
        assert final["language"] == "vi"
        response = client.of("response")[-1]
        assert (response["text"].strip(), response["language"]) == (VIETNAMESE, "vi")
        assert seconds_of(client, f"resp_{number}") > 1.5
    assert client.of("error") == []
    await client.io.disconnect()


async def written(client: Client, question: str, number: int) -> dict[str, Any]:
    """The answer to a turn that is written, once it was spoken."""
    await client.emit("text", text=question)
    await client.until("latency", number)
    response: dict[str, Any] = client.of("response")[-1]
    assert seconds_of(client, response["response_id"]) > 0.2
    return response


async def test_what_is_written_is_answered_in_its_language(server: Server) -> None:
    """Turn by turn, each in another; what the voice does not speak is answered in English."""
    client = Client()
    await client.connect(server, voice="valsea-default")
    await client.emit("start_session", output_format="pcm16")
    for number, (tag, (question, answered)) in enumerate(WRITTEN.items(), 1):
        response = await written(client, question, number)
        spoken = (ANSWERS["English"], "en") if tag == "ja" else (answered, tag)
        assert (response["text"].strip(), response["language"]) == spoken
    assert client.of("error") == []
    await client.io.disconnect()


@pytest.mark.parametrize(
    ("voice", "language", "question", "answered"),
    [
        ("kana", "", *WRITTEN["ja"]),
        ("kana", "japanese", *WRITTEN["ja"]),
        ("valsea-default", "indonesian", WRITTEN["ko"][0], ANSWERS["Indonesian"]),
    ],
    ids=["by-voice", "by-both", "by-language"],
)
async def test_a_voice_and_a_language_that_are_asked_for(
    server: Server, voice: str, language: str, question: str, answered: str
) -> None:
    client = Client()
    await client.connect(server, voice=voice)
    await client.emit("start_session", output_format="pcm16", language=language or None)
    tag = "id" if language == "indonesian" else "ja"
    response = await written(client, question, 1)
    assert client.of("session_started")[0]["language"] == (tag if language else None)
    assert (response["text"].strip(), response["language"]) == (answered, tag)
    await client.io.disconnect()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"language": "am"}, "unsupported_language", ["amharic", "english", "vietnamese"]),
        ({"language": "so"}, "unsupported_language", ["somali", "english"]),
        ({"language": "tamil"}, "unsupported_language", ["tamil", "english"]),
        ({"language": "klingon"}, "unsupported_language", ["klingon"]),
        ({"voice": "mekdes", "language": "am"}, "unsupported_language", ["amharic", "pip install", "voxgate check"]),
        ({"language": "ja"}, "unsupported_voice", ["japanese", "kana"]),
        ({"voice": "valsea-male", "language": "so"}, "unsupported_language", ["somali"]),
        ({"voice": "alloy", "language": "vi"}, "unsupported_voice", ["alloy", "valsea-neutral"]),
    ],
    ids=str,
)
async def test_what_cannot_be_heard_or_said_is_refused_naming_why(
    server: Server, options: dict[str, str], code: str, words: list[str]
) -> None:
    client = Client()
    await client.connect(server, voice="valsea-default")
    await client.emit("start_session", **options)
    await client.until("error")
    (error,) = client.of("error")
    assert error["code"] == code
    assert [word for word in words if word not in error["message"].lower()] == []
    await client.emit("start_session")
    await client.until("session_started")
    await client.io.disconnect()
