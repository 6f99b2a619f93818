import io
import json
import subprocess
from typing import Any

import numpy as np
import pytest

from voxgate.audio.codecs.container import decode
from voxgate.audio.codecs.encoder import open_encoder
from voxgate.audio.codecs.formats import ENCODED_RATE, Format, bit_rate_kbit, content_type, parse_format
from voxgate.audio.codecs.sniff import Kind, sniff
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError

FILES = [Format.MP3, Format.WAV, Format.OPUS, Format.FLAC, Format.AAC]
KINDS = {
    Format.MP3: Kind.MP3,
    Format.WAV: Kind.WAV,
    Format.OPUS: Kind.OGG,
    Format.FLAC: Kind.FLAC,
    Format.AAC: Kind.AAC,
}
CODEC_DELAY_S = 0.11
"""MP3 and AAC streams carry their encoder's start-up and the rest of the last frame."""


def speech(rate: int, seconds: float) -> Samples:
    """A tone that swells and fades three times a second."""
    time = np.arange(int(rate * seconds)) / rate
    sound: Samples = (0.5 * np.sin(2 * np.pi * 300 * time) * np.sin(np.pi * 3 * time) ** 2).astype(np.float32)
    return sound


def encode(fmt: Format, rate: int = 22_050, seconds: float = 2.0, quality: int | None = None) -> list[bytes]:
    """The output for every 20 ms of input, and that of `close`."""
    made, samples, step = open_encoder(fmt, rate, quality), speech(rate, seconds), rate // 50
    return [*(made.feed(samples[at : at + step]) for at in range(0, len(samples), step)), made.close()]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("fmt", FILES)
def test_the_outputs_joined_are_one_file_that_holds_the_speech(fmt: Format, rate: int) -> None:
    data = b"".join(encode(fmt, rate))
    assert sniff(data[:64]) is KINDS[fmt]
    back = np.concatenate(list(decode(io.BytesIO(data), max_seconds=60)))
    assert 2.0 - 0.005 <= len(back) / SPEECH_RATE <= 2.0 + CODEC_DELAY_S
    wanted = speech(SPEECH_RATE, 2.0)  # LAME scales by 0.95
    match = np.correlate(back, wanted[: len(wanted) - 4000], mode="valid" if len(back) >= len(wanted) else "full")
    assert float(match.max()) > 0.94 * float(np.dot(wanted[:-4000], wanted[:-4000]))


@pytest.mark.parametrize("fmt", list(Format))
def test_bytes_leave_while_speech_goes_on(fmt: Format) -> None:
    sizes = [len(piece) for piece in encode(fmt)]
    assert any(sizes[:6]), "nothing within 120 ms"
    assert all(any(sizes[at : at + 5]) for at in range(6, len(sizes) - 5)), "nothing for 100 ms"


def test_pcm_is_bare_samples_at_24_khz() -> None:
    data = b"".join(encode(Format.PCM, ENCODED_RATE, 1.0))
    assert len(data) == 2 * ENCODED_RATE
    assert np.allclose(np.frombuffer(data, "<i2") / 32_768, speech(ENCODED_RATE, 1.0), atol=1e-4)


@pytest.mark.parametrize("fmt", list(Format))
def test_a_stream_without_speech_can_be_closed(fmt: Format) -> None:
    assert isinstance(open_encoder(fmt, 22_050).close(), bytes)


@pytest.mark.parametrize("fmt", list(Format))
def test_too_loud_is_clipped_not_wrapped(fmt: Format) -> None:
    made = open_encoder(fmt, ENCODED_RATE)
    loud = made.feed(np.full(ENCODED_RATE // 4, 3.0, np.float32)) + made.close()
    if fmt is Format.PCM:
        assert np.frombuffer(loud, "<i2").min() == 32_767
        return
    back = np.concatenate(list(decode(io.BytesIO(loud), max_seconds=9)))
    assert float(back[1600:2400].mean()) > 0.5 or fmt in (Format.MP3, Format.OPUS, Format.AAC)  # these remove DC
    assert float(back.min()) > -1


@pytest.mark.parametrize(
    ("fmt", "wanted", "taken"),
    [
        (Format.MP3, None, 64),
        (Format.MP3, 32, 32),
        (Format.MP3, 192, 160),
        (Format.MP3, 320, 160),
        (Format.OPUS, None, 32),
        (Format.OPUS, 320, 256),
        (Format.AAC, 128, 128),
        (Format.AAC, 256, 144),
        (Format.FLAC, 128, 0),
        (Format.WAV, 320, 0),
        (Format.PCM, None, 0),
    ],
)
def test_the_nearest_bit_rate_is_taken(fmt: Format, wanted: int | None, taken: int) -> None:
    assert bit_rate_kbit(fmt, wanted) == taken


@pytest.mark.parametrize("quality", [32, 64, 128, 192, 256, 320])
@pytest.mark.parametrize("fmt", [Format.MP3, Format.OPUS, Format.AAC])
def test_every_quality_works(fmt: Format, quality: int) -> None:
    data = b"".join(encode(fmt, quality=quality))
    assert sum(map(len, decode(io.BytesIO(data), max_seconds=9))) > 1.9 * SPEECH_RATE


def test_a_better_quality_is_a_larger_file() -> None:
    for fmt in (Format.MP3, Format.OPUS, Format.AAC):
        assert len(b"".join(encode(fmt, quality=128))) > 1.4 * len(b"".join(encode(fmt, quality=32)))


def test_names_of_formats() -> None:
    assert parse_format(" MP3 ") is Format.MP3
    with pytest.raises(PeerError, match="use one of mp3, wav, opus, flac, aac, pcm") as caught:
        open_encoder("midi", 24_000)
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_FORMAT, "response_format")


@pytest.mark.parametrize("fmt", list(Format))
def test_the_content_type_is_known_before_and_after(fmt: Format) -> None:
    assert open_encoder(fmt, 24_000).content_type == content_type(fmt)
    assert content_type(fmt).startswith("audio/")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fmt", "name", "rate"),
    [
        (Format.MP3, "mp3", 24_000),
        (Format.WAV, "pcm_s16le", 24_000),
        (Format.OPUS, "opus", 48_000),
        (Format.FLAC, "flac", 24_000),
        (Format.AAC, "aac", 24_000),
    ],
)
def test_ffprobe_and_ffmpeg_find_nothing_wrong(fmt: Format, name: str, rate: int) -> None:
    data = b"".join(encode(fmt, seconds=5))
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-"], input=data, capture_output=True, check=True
    )
    stream: dict[str, Any] = json.loads(probe.stdout)["streams"][0]
    assert (stream["codec_name"], int(stream["sample_rate"]), stream["channels"]) == (name, rate, 1)
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", "-", "-f", "s16le", "-ar", "16000", "-"],
        input=data,
        capture_output=True,
        check=True,
    )
    assert probe.stderr == decoded.stderr == b""
    assert 5 - 0.005 <= len(decoded.stdout) / 2 / SPEECH_RATE <= 5 + CODEC_DELAY_S
