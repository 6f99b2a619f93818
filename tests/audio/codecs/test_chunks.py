import io

import av
import numpy as np
import pytest

from tests.recordings import likeness, spoken
from voxgate.audio.codecs.chunks import (
    CHUNK_FORMATS,
    encode_chunk,
)
from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError


def played(file: bytes) -> Samples:
    """What a player hears, at ENCODED_RATE."""
    pieces, rate = [], 0
    with av.open(io.BytesIO(file), "r") as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray().reshape(-1)
            pieces.append(values / np.float32(32_768) if values.dtype == np.int16 else values)
            rate = frame.sample_rate
    resampler = Resampler(rate, ENCODED_RATE)
    return np.concatenate([resampler.feed(np.concatenate(pieces)), resampler.flush()])


def chunked() -> list[Samples]:
    """The recording at ENCODED_RATE, in chunks of uneven lengths."""
    resampler = Resampler(SPEECH_RATE, ENCODED_RATE)
    whole = np.concatenate([resampler.feed(spoken()), resampler.flush()])
    return np.split(whole, np.arange(7001, len(whole), 11_003))


@pytest.mark.parametrize("fmt", CHUNK_FORMATS)
@pytest.mark.parametrize("count", [240, 575, 4800, 7001, 14_400])
def test_a_chunk_plays_for_exactly_as_long_as_it_is(fmt: Format, count: int) -> None:
    samples = (0.3 * np.sin(2 * np.pi * 440 * np.arange(count) / ENCODED_RATE)).astype(np.float32)
    assert len(played(encode_chunk(fmt, samples))) == count


@pytest.mark.parametrize("fmt", CHUNK_FORMATS)
def test_chunks_one_after_the_other_are_the_speech(fmt: Format) -> None:
    chunks = chunked()
    sound = np.concatenate([played(encode_chunk(fmt, chunk)) for chunk in chunks])
    alike, late = likeness(sound, np.concatenate(chunks))
    assert alike > 0.98
    assert late == 0


def test_quality_is_a_wish() -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 14_400).astype(np.float32)
    assert len(encode_chunk("mp3", samples, 160)) > 1.5 * len(encode_chunk("mp3", samples, 32))


@pytest.mark.parametrize("fmt", ["aac", "flac", "pcm", "mp4"])
def test_formats_that_do_not_play_in_chunks_are_refused(fmt: str) -> None:
    with pytest.raises(PeerError) as refused:
        encode_chunk(fmt, np.zeros(100, np.float32))
    assert refused.value.code is Code.UNSUPPORTED_FORMAT
    assert refused.value.param == "output_format"
