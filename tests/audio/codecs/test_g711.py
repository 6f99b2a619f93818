import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recordings import likeness, packed, spoken
from voxgate.audio.codecs.g711 import from_mulaw
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0xFF, 0),
        (0x7F, 0),
        (0x80, 32_124),
        (0x00, -32_124),
        (0xFE, 8),
        (0x7E, -8),
        (0xF0, 120),
        (0xEF, 132),
        (0xCE, 988),
    ],
)
def test_codes_of_the_standard(code: int, value: int) -> None:
    assert from_mulaw(bytes([code])).tolist() == [value / 32_768]


def test_every_byte_is_a_sample_and_greater_codes_are_nearer_to_silence() -> None:
    samples = from_mulaw(bytes(range(256)))
    assert samples.dtype == np.float32
    assert np.all(np.diff(np.abs(samples[:128])) < 0)
    assert np.array_equal(samples[:128], -samples[128:])


def test_ffmpeg_reads_every_code_the_same() -> None:
    theirs = av.CodecContext.create("pcm_mulaw", "r")
    assert isinstance(theirs, av.AudioCodecContext)
    theirs.sample_rate, theirs.layout = 8_000, "mono"
    codes = bytes(range(256))
    assert np.array_equal(from_mulaw(codes), theirs.decode(av.Packet(codes))[0].to_ndarray()[0] / np.float32(32_768))


@given(st.binary(max_size=50))
def test_one_sample_a_byte(data: bytes) -> None:
    assert len(from_mulaw(data)) == len(data)


def test_ffmpegs_mu_law_sounds_as_it_did() -> None:
    data = packed("mulaw", "pcm_mulaw", rate=8_000)
    resampler = Resampler(8_000, SPEECH_RATE)
    sound = np.concatenate([resampler.feed(from_mulaw(data)), resampler.flush()])
    alike, late = likeness(sound, spoken())
    assert alike > 0.97
    assert late == 0
