"""Speech to text and text to speech over REST, on a real server with scripted engines."""

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.audio_samples import wav
from tests.conftest import absent
from tests.gateways.test_rest_edge import error_of
from tests.serving import Server

pytestmark = pytest.mark.slow

SCRIPT = "This is what the script says."
FORMATS = {  # response_format -> content type, ffprobe's names of container and codec
    "mp3": ("audio/mpeg", "mp3", "mp3"),
    "wav": ("audio/wav", "wav", "pcm_s16le"),
    "opus": ("audio/ogg", "ogg", "opus"),
    "flac": ("audio/flac", "flac", "flac"),
    "aac": ("audio/aac", "aac", "aac"),
    "pcm": ("audio/pcm", "s16le", "pcm_s16le"),
}


def transcribe(client: httpx.Client, audio: bytes, name: str = "a.wav", **fields: Any) -> httpx.Response:
    return client.post("/v1/audio/transcriptions", files={"file": (name, audio)}, data={"model": "whisper-1"} | fields)


def say(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post(
        "/v1/audio/speech", json={"model": "tts-1", "voice": "alloy", "input": "one two three four"} | fields
    )


# transcription


def test_json_text_and_verbose_json(client: httpx.Client) -> None:
    answer = transcribe(client, wav(3.2))
    assert answer.json()["text"] == SCRIPT
    assert answer.json()["usage"] == {"type": "duration", "seconds": 4}
    assert transcribe(client, wav(3.2), response_format="text").text == f"{SCRIPT}\n"
    verbose = transcribe(client, wav(3.2), response_format="verbose_json").json()
    assert verbose["text"] == verbose["raw_transcript"] == SCRIPT
    assert verbose["corrections"] == []
    assert verbose["language"] == "english"
    assert verbose["detected_languages"] == ["en"]
    assert verbose["duration"] == pytest.approx(3.2, abs=0.01)
    assert len(verbose["segments"]) == 1
    assert "words" not in verbose


def test_words_have_times_inside_the_recording(client: httpx.Client) -> None:
    wanted: dict[str, Any] = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    verbose = transcribe(client, wav(3.0), **wanted).json()
    assert [word["word"] for word in verbose["words"]] == SCRIPT.split()
    times = [t for word in verbose["words"] for t in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= 3.0


def test_silence_is_empty_and_billed(client: httpx.Client) -> None:
    answer = transcribe(client, wav(2.0, level=0.0))
    assert answer.json()["text"] == ""
    assert answer.headers["X-Credits-Used"] == "0.033333"


@pytest.mark.parametrize(("seconds", "used"), [(0.5, "0.016666"), (1.0, "0.016666"), (1.01, "0.033333"), (12, "0.2")])
def test_billed_by_the_begun_second(server: Server, seconds: float, used: str) -> None:
    with server.client(server.new_key(f"seconds {seconds}", "1")) as client:
        answer = transcribe(client, wav(seconds, rate=8000))
        assert answer.headers["X-Credits-Used"] == used
        left = client.get("/v1/credits").json()
        assert answer.headers["X-Credits-Remaining"] == str(left["balance"])
        assert left["held"] == 0


@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (44_100, 1), (48_000, 6), (11_025, 1)])
def test_any_rate_and_any_channels(client: httpx.Client, rate: int, channels: int) -> None:
    answer = transcribe(client, wav(0.6, rate=rate, channels=channels))
    assert answer.json()["text"] == SCRIPT


@pytest.mark.parametrize(
    "name", ["a.wav", "a.mp3", "a.m4a", "a.flac", "a.ogg", "a.webm", "a.txt", "", "../../etc/passwd"]
)
@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 5000,
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"ID3" + b"\xff" * 3000,
        b"OggS" * 99,
        b"\x1aE\xdf\xa3" * 50,
        b"fLaC" + b"\1" * 500,
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"x",
    ],
)
def test_junk_is_told_apart_from_audio(client: httpx.Client, name: str, junk: bytes) -> None:
    answer = transcribe(client, junk, name or "x")
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "invalid_audio"
    assert error_of(answer)["param"] == "file"
    assert "X-Credits-Used" not in answer.headers


def test_an_empty_file_and_a_header_without_sound(client: httpx.Client) -> None:
    for audio in (b"", wav(0.0)):
        answer = transcribe(client, audio)
        assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_audio")


def test_a_truncated_file_says_what_is_left_of_it(client: httpx.Client) -> None:
    whole = wav(2.0)
    answer = transcribe(client, whole[: len(whole) // 2], response_format="verbose_json")
    assert answer.json()["text"] == SCRIPT
    assert answer.json()["duration"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": ""}, "missing_field", "model"),
        ({"model": "no-such-model"}, "model_not_found", "model"),
        ({"model": "tts-1"}, "model_not_found", "model"),
        ({"model": "valsea-klingon-rtt"}, "model_not_found", "model"),
        ({"language": "klingon"}, "unsupported_language", "language"),
        ({"language": "amharic"}, "unsupported_language", "language"),
        ({"model": "valsea-amharic-rtt"}, "unsupported_language", "language"),
        ({"response_format": "pdf"}, "invalid_value", "response_format"),
        ({"temperature": "hot"}, "invalid_value", "temperature"),
        ({"temperature": "1.5"}, "invalid_value", "temperature"),
        ({"timestamp_granularities[]": "syllable"}, "invalid_value", "timestamp_granularities[].0"),
        ({"prompt": "x" * 2001}, "input_too_long", "prompt"),
        ({"enable_correction": "perhaps"}, "invalid_value", "enable_correction"),
    ],
)
def test_every_wrong_field_is_named(client: httpx.Client, fields: dict[str, str], code: str, param: str) -> None:
    answer = transcribe(client, wav(0.2), **fields)
    assert answer.status_code == (404 if code == "model_not_found" else 400)
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (code, param)


@pytest.mark.parametrize("language", ["en", "EN", "english", "eng", "en-US", "singlish", "en_SG", "auto", "", None])
def test_every_spelling_of_english(client: httpx.Client, language: str | None) -> None:
    fields = {} if language is None else {"language": language}
    assert transcribe(client, wav(0.5), **fields).json()["text"] == SCRIPT


def test_missing_fields_are_named(client: httpx.Client) -> None:
    no_file = client.post("/v1/audio/transcriptions", data={"model": "whisper-1"})
    no_model = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.2))})
    no_form = client.post("/v1/audio/transcriptions", json={"model": "whisper-1"})
    assert (error_of(no_file)["code"], error_of(no_file)["param"]) == ("missing_field", "file")
    assert (error_of(no_model)["code"], error_of(no_model)["param"]) == ("missing_field", "model")
    assert no_form.status_code == 400
    not_a_file = client.post("/v1/audio/transcriptions", data={"model": "whisper-1", "file": "a.wav"})
    assert (not_a_file.status_code, error_of(not_a_file)["param"]) == (400, "file")


def test_a_broken_multipart_body_is_a_clear_error(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/audio/transcriptions",
        content=b"--x\r\nContent-Disposition: form-data; na",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 400
    assert error_of(answer)["code"] in {"invalid_value", "missing_field"}


def test_subtitles_open_in_ffmpeg(client: httpx.Client, tmp_path: Path) -> None:
    for fmt, begins in (("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")):
        answer = transcribe(client, wav(3.0), response_format=fmt)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.text.startswith(begins)
        assert SCRIPT in answer.text
        path = tmp_path / f"subtitles.{fmt}"
        path.write_text(answer.text)
        assert probe(path, [])["streams"][0]["codec_name"] == {"srt": "subrip", "vtt": "webvtt"}[fmt]


def test_events_while_it_is_recognized(client: httpx.Client) -> None:
    tones = wav(1.0)[44:] + b"\0" * 64_000 + wav(1.0)[44:]
    sound = wav(0.0)[:40] + len(tones).to_bytes(4, "little") + tones
    answer = transcribe(client, sound, stream="true")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert "X-Credits-Remaining" in answer.headers
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:2]) == events[2]["text"] == f"{SCRIPT} {SCRIPT}"
    assert events[2]["usage"] == {"type": "duration", "seconds": 4}


def test_a_streamed_answer_that_cannot_begin_is_an_error_of_its_own(client: httpx.Client) -> None:
    answer = transcribe(client, b"no audio at all", stream="true")
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_audio")


# speech


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_is_what_it_says(client: httpx.Client, tmp_path: Path, fmt: str) -> None:
    answer = say(client, response_format=fmt)
    content_type, container, codec = FORMATS[fmt]
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == content_type
    path = tmp_path / f"out.{fmt}"
    path.write_bytes(answer.content)
    probed = probe(path, ["-f", "s16le", "-ar", "24000", "-ch_layout", "mono"] if fmt == "pcm" else [])
    stream = probed["streams"][0]
    assert (stream["codec_name"], stream["channels"]) == (codec, 1)
    assert container in probed["format"]["format_name"]
    decoded = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            *(["-f", "s16le", "-ar", "24000"] if fmt == "pcm" else []),
            "-i",
            path,
            "-f",
            "s16le",
            "-ar",
            "24000",
            "-ac",
            "1",
            "-",
        ],
        capture_output=True,
        check=True,
    )
    assert decoded.stderr == b""
    assert len(decoded.stdout) / 48_000 == pytest.approx(1.0, abs=0.1)  # four scripted words of 250 ms


def probe(path: Path, options: list[str]) -> dict[str, Any]:
    try:
        run = subprocess.run(
            ["ffprobe", "-v", "error", *options, "-show_streams", "-show_format", "-of", "json", path],
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        absent("ffprobe", "ffprobe")
        raise
    assert run.stderr == b""
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input": "$3.50"}, 5),  # basic is the default: three dollars and fifty cents
        ({"input": "$3.50", "normalization": "no"}, 1),
        ({"input": "**3/4/2026**", "normalization": "advanced"}, 4),  # March fourth, twenty twenty-six
        ({"input": "3/4/2026", "language": "en-SG"}, 6),  # the third of April twenty twenty-six
        ({"input": "\U0001f389", "normalization": "advanced"}, 0),
    ],
)
def test_text_is_put_in_words_first(client: httpx.Client, fields: dict[str, str], words: int) -> None:
    answer = say(client, response_format="pcm", **fields)
    assert answer.status_code == 200
    assert len(answer.content) / 48_000 == pytest.approx(words * 0.25, abs=0.02)  # scripted words last 250 ms


def test_speed_shortens(client: httpx.Client) -> None:
    normal, fast = say(client, response_format="pcm").content, say(client, response_format="pcm", speed=2).content
    assert len(fast) == pytest.approx(len(normal) / 2, rel=0.05)


def test_events_hold_the_same_audio(client: httpx.Client) -> None:
    answer = say(client, response_format="pcm", stream_format="sse")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert events[-1]["type"] == "speech.audio.done"
    audio = b"".join(base64.b64decode(e["audio"]) for e in events if e["type"] == "speech.audio.delta")
    assert audio == say(client, response_format="pcm").content


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": ""}, "invalid_value", "input"),
        ({"input": " \n"}, "invalid_value", "input"),
        ({"input": "x" * 2001}, "input_too_long", "input"),
        ({"input": 7}, "invalid_value", "input"),
        ({"input": None}, "invalid_value", "input"),
        ({"voice": "nobody"}, "unsupported_voice", "voice"),
        ({"voice": "mekdes"}, "unsupported_voice", "voice"),
        ({"voice": {"id": "x"}}, "invalid_value", "voice"),
        ({"language": "amharic"}, "unsupported_voice", "voice"),
        ({"language": "klingon"}, "unsupported_language", "language"),
        ({"model": "whisper-1"}, "model_not_found", "model"),
        ({"response_format": "midi"}, "invalid_value", "response_format"),
        ({"speed": 0.24}, "invalid_value", "speed"),
        ({"speed": 4.01}, "invalid_value", "speed"),
        ({"speed": "fast"}, "invalid_value", "speed"),
        ({"audio_quality": 31}, "invalid_value", "audio_quality"),
        ({"audio_quality": 321}, "invalid_value", "audio_quality"),
        ({"normalization": "wild"}, "invalid_value", "normalization"),
        ({"stream_format": "carrier pigeon"}, "invalid_value", "stream_format"),
    ],
)
def test_every_wrong_field_of_speech_is_named(
    client: httpx.Client, fields: dict[str, Any], code: str, param: str
) -> None:
    answer = say(client, **fields)
    assert answer.status_code in (400, 404)
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (code, param)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "x" * 2000},
        {"speed": 0.25},
        {"speed": 4},
        {"audio_quality": 32},
        {"audio_quality": 320},
        {"language": "auto"},
        {"unknown": True},
    ],
)
def test_the_edges_are_inside(client: httpx.Client, fields: dict[str, Any]) -> None:
    assert say(client, **fields).status_code == 200


def test_a_voice_that_does_not_fit_names_those_that_do(client: httpx.Client) -> None:
    assert "alloy" in error_of(say(client, voice="nobody"))["message"]


def test_speech_is_billed_by_the_begun_minute_and_held_ahead(server: Server) -> None:
    with server.client(server.new_key("speech", "3")) as client:
        answer = say(client, input="word " * 200)  # 50 s
        assert answer.headers["X-Credits-Remaining"] == "2"
        assert settled(client) == 2
        say(client, input="word " * 260)  # 65 s: the second minute is begun
        assert settled(client) == 0
        refused = say(client)
        assert (refused.status_code, error_of(refused)["code"]) == (402, "insufficient_credits")


def settled(client: httpx.Client) -> float:
    """The balance once nothing is held any more: a stream is settled when its connection ends."""
    for _ in range(100):
        left = client.get("/v1/credits").json()
        if left["held"] == 0:
            return float(left["balance"])
        time.sleep(0.02)
    raise AssertionError("still held")


def test_no_credits_no_work(server: Server) -> None:
    with server.client(server.new_key("poor", "0")) as client:
        for answer in (transcribe(client, wav(0.5)), say(client)):
            assert (answer.status_code, error_of(answer)["code"]) == (402, "insufficient_credits")
    with server.client(server.new_key("short", "0.2")) as client:  # 12 s; the second hold of ten is refused
        answer = transcribe(client, wav(24, rate=8000))
        assert (answer.status_code, error_of(answer)["code"]) == (402, "insufficient_credits")
        assert client.get("/v1/credits").json() == {"balance": 0.2, "held": 0, "org": "short", "tier": "free"}


def test_a_client_that_never_reads_is_hung_up_on_and_pays_for_what_went_out(server: Server) -> None:
    import socket
    from urllib.parse import urlsplit

    key = server.new_key("never reads", "100")
    address = urlsplit(server.url)
    body = json.dumps(
        {"model": "tts-1", "voice": "alloy", "input": "word " * 390, "response_format": "pcm", "speed": 0.25}
    )
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect((address.hostname, address.port))
        peer.sendall(
            f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        with server.client(key) as client:
            deadline = time.monotonic() + 20
            while "slow reader" not in server.log and time.monotonic() < deadline:
                time.sleep(0.05)
            assert "slow reader" in server.log
            paid = 100 - settled(client)
    assert 1 <= paid <= 7
