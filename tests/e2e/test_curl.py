"""curl, as the README and the reference show it, and FFmpeg's own view of every format of real speech."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import absent
from tests.e2e.real import SPOKEN, recording, said
from tests.serving import Server
from voxgate.app import HELLO

pytestmark = pytest.mark.slow

SENTENCE = SPOKEN["lights"]
PCM = ("-f", "s16le", "-ar", "24000", "-ch_layout", "mono")


def curl(command: str, folder: Path) -> str:
    """What a shell that was given this line prints."""
    if shutil.which("curl") is None:
        absent("curl", "curl")
    ran = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_line_that_serve_prints_works_as_pasted(real_server: Server) -> None:
    [line] = re.findall(r"^\s*(curl .*)$", real_server.out, re.MULTILINE)
    answer = json.loads(curl(line, real_server.folder))
    assert said(answer["text"]) == said(HELLO)


def test_the_reference_line_works(real_server: Server) -> None:
    line = f"""curl -s -X POST {real_server.url}/v1/audio/transcriptions \\
-H "Authorization: Bearer {real_server.key}" \\
-F file=@{shlex.quote(str(recording("lights")))} \\
-F model=valsea-transcribe \\
-F language=english"""
    assert said(json.loads(curl(line, real_server.folder))["text"]) == said(SENTENCE)


def speak(server: Server, path: Path, **fields: Any) -> Path:
    """Speech, fetched by curl into a file."""
    body = json.dumps({"model": "tts-1", "voice": "onyx", "input": SENTENCE} | fields)
    curl(
        f"curl -s --fail-with-body {server.url}/v1/audio/speech -H 'Authorization: Bearer {server.key}' "
        f"-H 'Content-Type: application/json' -d {shlex.quote(body)} -o {shlex.quote(str(path))}",
        path.parent,
    )
    return path


def probe(path: Path, *options: str) -> tuple[dict[str, Any], float]:
    """(the one stream FFmpeg sees, seconds of audio it decodes); FFmpeg must have no complaint."""
    if shutil.which("ffprobe") is None or shutil.which("ffmpeg") is None:
        absent("ffprobe", "ffprobe")
    seen = subprocess.run(
        ["ffprobe", "-v", "warning", *options, "-show_streams", "-of", "json", path], capture_output=True, check=True
    )
    decoded = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "warning", *options, "-i", path, "-f", "s16le", "-ar", "24000", "-ac", "1", "-"],
        capture_output=True,
        check=True,
    )
    assert b"rror" not in seen.stderr + decoded.stderr
    [stream] = json.loads(seen.stdout)["streams"]
    return stream, len(decoded.stdout) / 48_000


@pytest.mark.parametrize(
    ("fmt", "codec", "fields"),
    [
        ("mp3", "mp3", {"audio_quality": 32}),
        ("mp3", "mp3", {"audio_quality": 128, "voice": "nova"}),
        ("mp3", "mp3", {"audio_quality": 320, "speed": 1.5}),
        ("opus", "opus", {"audio_quality": 32, "voice": "echo"}),
        ("opus", "opus", {"audio_quality": 256, "voice": "aria"}),
        ("aac", "aac", {"audio_quality": 64, "voice": "shimmer"}),
        ("aac", "aac", {"audio_quality": 192, "speed": 0.5}),
        ("flac", "flac", {"voice": "fable"}),
        ("flac", "flac", {"voice": "valsea-female", "speed": 3}),
        ("wav", "pcm_s16le", {"voice": "valsea-default", "speed": 0.7}),
        ("wav", "pcm_s16le", {"voice": "alloy", "speed": 1.3}),
        ("pcm", "pcm_s16le", {"voice": "andrew"}),
    ],
)
def test_every_format_of_real_speech_is_sound(
    real_server: Server, tmp_path: Path, fmt: str, codec: str, fields: dict[str, Any]
) -> None:
    options = PCM if fmt == "pcm" else ()
    stream, seconds = probe(speak(real_server, tmp_path / f"out.{fmt}", response_format=fmt, **fields), *options)
    assert (stream["codec_name"], stream["channels"]) == (codec, 1)
    speed = fields.pop("speed", 1)
    _, as_spoken = probe(speak(real_server, tmp_path / "plain.wav", response_format="wav", **fields))
    assert 1.5 < as_spoken < 6
    assert seconds == pytest.approx(as_spoken / speed, rel=0.08, abs=0.15)


@pytest.mark.parametrize(("asked", "met"), [(32, 32), (64, 64), (128, 128), (256, 160), (320, 160)])
def test_quality_is_the_bit_rate(real_server: Server, tmp_path: Path, asked: int, met: int) -> None:
    """MPEG-2 layer III, which 24 kHz is, ends at 160 kbit/s (ISO/IEC 13818-3)."""
    stream, _ = probe(speak(real_server, tmp_path / "out.mp3", audio_quality=asked))
    assert int(stream["bit_rate"]) == met * 1000


@pytest.mark.parametrize("fmt", ["mp3", "opus", "aac", "flac", "wav"])
def test_what_was_encoded_is_understood_again(real_server: Server, tmp_path: Path, fmt: str) -> None:
    path = speak(real_server, tmp_path / f"again.{fmt}", response_format=fmt)
    heard = curl(
        f"curl -s {real_server.url}/v1/audio/transcriptions -H 'X-API-Key: {real_server.key}' "
        f"-F model=whisper-1 -F response_format=text -F file=@{shlex.quote(str(path))}",
        tmp_path,
    )
    assert said(heard) == said(SENTENCE)
