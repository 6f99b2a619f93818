import io
import itertools

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recordings import likeness, spoken
from voxgate.audio.codecs.chunks import (
    CHUNK_FORMATS,
    FIRST_MAX_SAMPLES,
    MAX_SAMPLES,
    MIN_SAMPLES,
    ChunkCutter,
    encode_chunk,
    quietest,
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


def chunked(sizes: list[int]) -> list[Samples]:
    cutter, at, chunks = ChunkCutter(SPEECH_RATE), 0, []
    for size in [*sizes, len(spoken())]:
        chunks += cutter.feed(spoken()[at : at + size])
        at += size
    return [*chunks, *cutter.flush()]


def test_speech_is_cut_into_chunks_that_are_neither_short_nor_long() -> None:
    chunks = chunked([1600] * 30)
    assert MIN_SAMPLES <= len(chunks[0]) <= FIRST_MAX_SAMPLES
    assert all(MIN_SAMPLES <= len(chunk) <= MAX_SAMPLES for chunk in chunks)
    resampler = Resampler(SPEECH_RATE, ENCODED_RATE)
    assert np.array_equal(np.concatenate(chunks), np.concatenate([resampler.feed(spoken()), resampler.flush()]))


@given(st.lists(st.integers(0, 9000), max_size=20))
def test_how_the_speech_is_fed_changes_nothing(sizes: list[int]) -> None:
    assert list(map(len, chunked(sizes))) == list(map(len, chunked([])))


@given(st.integers(0, 3 * ENCODED_RATE))
def test_speech_of_any_length_is_there_in_full(count: int) -> None:
    cutter = ChunkCutter(ENCODED_RATE)
    chunks = [*cutter.feed(np.ones(count, np.float32)), *cutter.flush()]
    assert sum(map(len, chunks)) == count
    assert all(0 < len(chunk) <= MAX_SAMPLES for chunk in chunks)
    assert all(len(chunk) >= MIN_SAMPLES for chunk in chunks[:-1])
    if count >= FIRST_MAX_SAMPLES + MIN_SAMPLES:
        assert len(chunks[-1]) >= MIN_SAMPLES


def test_cuts_lie_where_it_is_quiet() -> None:
    chunks = chunked([])
    loudness = float(np.sqrt(np.mean(np.square(np.concatenate(chunks)))))
    edges = [np.concatenate([before[-120:], after[:120]]) for before, after in itertools.pairwise(chunks)]
    assert np.median([float(np.sqrt(np.mean(np.square(edge)))) for edge in edges]) < loudness / 2
    assert max(float(abs(after[0])) for after in chunks[1:]) < 0.01


@given(st.integers(5000, 7000), st.integers(0, 2000))
def test_the_pause_is_found(pause: int, first: int) -> None:
    samples = np.sin(np.arange(12_000, dtype=np.float32))
    samples[pause : pause + 480] = 0
    assert pause <= quietest(samples, 4800 - first, 7800) <= pause + 480


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 50))
def test_a_cut_is_never_outside_of_its_bounds(first: int, more: int, behind: int) -> None:
    samples = np.ones(first + more + behind, np.float32)
    assert first <= quietest(samples, first, first + more) <= first + more


@pytest.mark.parametrize("fmt", CHUNK_FORMATS)
@pytest.mark.parametrize("count", [240, 575, 4800, 7001, 14_400])
def test_a_chunk_plays_for_exactly_as_long_as_it_is(fmt: Format, count: int) -> None:
    samples = (0.3 * np.sin(2 * np.pi * 440 * np.arange(count) / ENCODED_RATE)).astype(np.float32)
    assert len(played(encode_chunk(fmt, samples))) == count


@pytest.mark.parametrize("fmt", CHUNK_FORMATS)
def test_chunks_one_after_the_other_are_the_speech(fmt: Format) -> None:
    chunks = chunked([])
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
