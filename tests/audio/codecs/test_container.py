import io
import struct
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxgate.audio.codecs.container import BLOCK, decode
from voxgate.audio.codecs.encoder import open_encoder
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError


def tone(rate: int, seconds: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 300 * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def wav(data: bytes, *, rate: int = 16_000, channels: int = 1, bits: int = 16, form: int = 1) -> bytes:
    """A WAV file whose header says exactly this, sensible or not."""
    frame = channels * bits // 8
    fmt = struct.pack("<HHIIHH", form, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt \x10\0\0\0"
        + fmt
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


def container(name: str, codec: str, path: Path, *, rate: int = 16_000, video: bool = False) -> bytes:
    """Two seconds of the tone, packed by PyAV; with `video`, ten frames of grey come before the audio track."""
    options = {"page_duration": "200000"} if name == "ogg" else {}
    with av.open(str(path), "w", format=name, options=options) as out:
        if video:
            picture = out.add_stream("mjpeg", rate=5)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        track = out.add_stream(codec, rate=rate)
        assert isinstance(track, av.AudioStream)
        track.layout = "mono"
        if video:
            assert isinstance(picture, av.VideoStream)
            for number in range(10):
                grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
                grey.pts = number
                out.mux(picture.encode(grey))
            out.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(rate, 2)[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path.read_bytes()


def read(data: bytes, max_seconds: float = 600) -> Samples:
    return np.concatenate(list(decode(io.BytesIO(data), max_seconds=max_seconds)))


def refusal(data: bytes, max_seconds: float = 600) -> PeerError:
    with pytest.raises(PeerError) as caught:
        read(data, max_seconds)
    assert caught.value.param == "file"
    return caught.value


CONTAINERS = [
    ("mp4", "aac", 16_000),
    ("mov", "pcm_s16le", 16_000),
    ("matroska", "flac", 48_000),
    ("webm", "libopus", 48_000),
    ("ogg", "libopus", 48_000),
    ("ogg", "flac", 16_000),
    ("flac", "flac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("adts", "aac", 48_000),
    ("aiff", "pcm_s16be", 22_050),
    ("wav", "pcm_s24le", 96_000),
    ("wav", "pcm_mulaw", 8_000),
    ("wav", "pcm_f64le", 16_000),
    ("caf", "pcm_s16be", 16_000),
    ("au", "pcm_s16be", 16_000),
    ("mpegts", "aac", 48_000),
]


@pytest.mark.parametrize(("name", "codec", "rate"), CONTAINERS)
def test_any_container_becomes_speech(name: str, codec: str, rate: int, tmp_path: Path) -> None:
    audio = read(container(name, codec, tmp_path / "file", rate=rate))
    assert 2.0 - 0.03 <= len(audio) / SPEECH_RATE <= 2.0 + 0.12
    assert audio.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(audio))
    assert abs(float(np.fft.rfftfreq(len(audio), 1 / SPEECH_RATE)[int(spectrum.argmax())]) - 300) < 2


@pytest.mark.parametrize(("name", "codec", "rate"), CONTAINERS)
def test_half_a_file_is_half_the_speech_or_a_clear_refusal(name: str, codec: str, rate: int, tmp_path: Path) -> None:
    data = container(name, codec, tmp_path / "file", rate=rate)
    if name in ("mp4", "mov"):  # their table of contents comes last
        assert refusal(data[: len(data) // 2]).code is Code.INVALID_AUDIO
    else:
        assert 0.6 < len(read(data[: len(data) // 2])) / SPEECH_RATE < 1.4


def test_blocks_have_a_second_each() -> None:
    data = wav(bytes(2 * (3 * SPEECH_RATE + 5)))
    assert [len(block) for block in decode(io.BytesIO(data), max_seconds=9)] == [BLOCK] * 3 + [5]


def test_video_and_its_pictures_are_passed_over(tmp_path: Path) -> None:
    data = container("matroska", "flac", tmp_path / "file", video=True)
    assert len(read(data)) == pytest.approx(2 * SPEECH_RATE, abs=400)


@pytest.mark.parametrize(
    ("form", "bits", "values"),
    [
        (1, 8, np.array([192, 64], np.uint8)),
        (1, 16, np.array([16384, -16384], "<i2")),
        (1, 32, np.array([1 << 30, -(1 << 30)], "<i4")),
        (1, 64, np.array([1 << 62, -(1 << 62)], "<i8")),
        (3, 32, np.array([0.5, -0.5], "<f4")),
        (3, 64, np.array([0.5, -0.5], "<f8")),
    ],
)
def test_every_sample_format_has_its_full_scale_at_one(form: int, bits: int, values: "np.ndarray[Any, Any]") -> None:
    audio = read(wav(np.tile(values, 4000).tobytes(), bits=bits, form=form))
    assert np.allclose(audio, np.tile([0.5, -0.5], 4000), atol=1e-3)


def test_samples_that_are_no_numbers_are_silence() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1e30, 0.25], "<f4")
    assert read(wav(values.tobytes(), bits=32, form=3)).tolist() == [0, 0, 0, 1, 0.25]


def test_stereo_at_8_khz_is_averaged() -> None:
    left, right = tone(8_000, 1), np.zeros(8_000, np.float32)
    data = (np.stack([left, right], axis=1) * 32_000).astype("<i2").tobytes()
    audio = read(wav(data, rate=8_000, channels=2))
    assert len(audio) == SPEECH_RATE
    assert float(np.max(np.abs(audio))) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("channels", [3, 6, 48])
def test_many_channels(channels: int) -> None:
    data = np.full(4800 * channels, 8192, "<i2").tobytes()
    audio = read(wav(data, rate=48_000, channels=channels))
    assert len(audio) == 1600
    assert audio[400:1200] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(("rate", "count"), [(1, 10), (100, 300), (11_025, 11_025), (192_000, 192_000)])
def test_odd_rates(rate: int, count: int) -> None:
    assert len(read(wav(bytes([144]) * count, rate=rate, bits=8))) == pytest.approx(SPEECH_RATE * count / rate, abs=2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"hello world " * 1000,
        bytes(range(256)) * 50,
        b"RIFF",
        wav(b""),
        wav(b"abcd", rate=0),
        wav(b"abcd", channels=0),
        wav(b"abcd", rate=4_000_000_000),
        wav(b"abcd" * 1000, channels=65_535, bits=8),
        b"OggS" + bytes(100),
        b"fLaC" + bytes(100),
        b"ID3\x04\0\0\0\0\0\x0a" + bytes(100),
        b"\0\0\0\x1cftypM4A " + bytes(100),
        b"\x1a\x45\xdf\xa3" + bytes(100),
    ],
)
def test_what_is_no_audio_is_refused_in_plain_words(data: bytes) -> None:
    refused = refusal(data)
    assert refused.code is Code.INVALID_AUDIO
    assert refused.message.startswith("The file ")
    assert refused.message.endswith(".")


def test_a_file_without_an_audio_track_says_so(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "file"), "w", format="matroska") as out:
        picture = out.add_stream("mjpeg", rate=5)
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        out.mux(picture.encode(av.VideoFrame(64, 48, "yuvj420p")))
        out.mux(picture.encode(None))
    assert refusal((tmp_path / "file").read_bytes()).message == "The file has no audio track."


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {path}\n",
        '<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>{path}</BaseURL></AdaptationSet></Period></MPD>',
    ],
)
def test_a_file_cannot_make_the_server_read_other_files(playlist: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(bytes(32_000)))
    assert refusal(playlist.format(path=secret).encode()).code is Code.INVALID_AUDIO


def test_longer_than_allowed_is_refused() -> None:
    data = wav(bytes(2 * SPEECH_RATE * 3))
    assert refusal(data, max_seconds=2).code is Code.INPUT_TOO_LONG
    assert len(read(data, max_seconds=3)) == 3 * SPEECH_RATE


@pytest.mark.parametrize(("name", "codec"), [("flac", "flac"), ("mp4", "aac"), ("ogg", "libopus"), ("webm", "libopus")])
def test_a_container_that_knows_its_length_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str
) -> None:
    data = container(name, codec, tmp_path / f"two-seconds.{name}", rate=48_000)
    monkeypatch.setattr("voxgate.audio.codecs.container._samples", lambda *_: pytest.fail("it was decoded"))
    assert refusal(data, max_seconds=1.5).code is Code.INPUT_TOO_LONG


def test_a_small_file_that_grows_is_stopped_at_the_limit() -> None:
    blocks = 0
    with pytest.raises(PeerError, match="longer than"):
        for _ in decode(io.BytesIO(wav(b"\x90" * 1_000_000, rate=1, bits=8)), max_seconds=20):
            blocks += 1
    assert blocks <= 20


def test_python_reads_what_it_wrote_itself() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SPEECH_RATE)
        out.writeframes((tone(SPEECH_RATE, 1) * 32_767).astype("<i2").tobytes())
    assert np.allclose(read(file.getvalue()), tone(SPEECH_RATE, 1), atol=1e-3)


def goldens() -> Iterator[bytes]:
    for fmt in ("mp3", "opus", "flac", "aac", "wav"):
        made = open_encoder(fmt, SPEECH_RATE)
        yield made.feed(tone(SPEECH_RATE, 0.5)) + made.close()


GOLDENS = list(goldens())


@given(
    st.sampled_from(GOLDENS),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=30),
    st.floats(0, 1),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damage_is_decoded_around_or_refused_never_anything_else(
    golden: bytes, damage: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(golden[: int(len(golden) * keep)])
    for where, value in damage:
        if data:
            data[int(where * len(data))] = value
    try:
        audio = read(bytes(data))
    except PeerError as refused:
        assert refused.code in (Code.INVALID_AUDIO, Code.INPUT_TOO_LONG)
    else:
        assert len(audio)
        assert np.isfinite(audio).all()
        assert float(np.max(np.abs(audio))) <= 1


@given(st.binary(max_size=3000))
@settings(max_examples=60, deadline=None)
def test_junk_is_refused_or_decoded_never_anything_else(data: bytes) -> None:
    try:
        audio = read(data)
    except PeerError as refused:
        assert refused.code in (Code.INVALID_AUDIO, Code.INPUT_TOO_LONG)
    else:
        assert np.isfinite(audio).all()


@pytest.mark.parametrize("layout", ["5.1", "7.1", "hexadecagonal"])
def test_every_plane_of_a_planar_frame_counts(layout: str) -> None:
    """In a process of its own: read carelessly, eight planes and more are stray memory, and mostly SIGSEGV."""
    code = f"""
import av, numpy as np
from voxgate.audio.codecs.container import _mono
quarters = np.full((1, 960 * av.AudioLayout({layout!r}).nb_channels), 0.25, "<f4")
packed = av.AudioFrame.from_ndarray(quarters, "flt", {layout!r})
packed.sample_rate = 48_000
(planar,) = av.AudioResampler(format="fltp").resample(packed)
mono = _mono(planar)
assert mono.shape == (960,) and np.allclose(mono, 0.25), mono
"""
    subprocess.run([sys.executable, "-c", code], check=True)
