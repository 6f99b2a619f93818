import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.audio.framing import Pcm16Reader, Windows, from_pcm16, to_pcm16


@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
@settings(deadline=None)
def test_pcm_survives_the_way_there_and_back(data: bytes) -> None:
    assert to_pcm16(from_pcm16(data)) == data


def test_what_is_beyond_full_scale_is_clipped() -> None:
    assert (
        to_pcm16(np.array([-2, -1, 0, 1, 2], np.float32))
        == np.array([-32768, -32768, 0, 32767, 32767], "<i2").tobytes()
    )


def test_half_a_sample_is_no_pcm() -> None:
    with pytest.raises(ValueError, match="multiple"):
        from_pcm16(b"abc")


@given(st.binary(max_size=400), st.lists(st.integers(0, 9), max_size=200))
@settings(deadline=None)
def test_pieces_cut_anywhere_give_the_same_samples(data: bytes, sizes: list[int]) -> None:
    reader = Pcm16Reader()
    got = []
    rest = data
    for size in sizes:
        got.append(reader.feed(rest[:size]))
        rest = rest[size:]
    got.append(reader.feed(rest))
    assert np.array_equal(np.concatenate(got), from_pcm16(data[: len(data) // 2 * 2]))


@given(st.lists(st.integers(0, 1500), max_size=20), st.integers(1, 600))
@settings(deadline=None)
def test_windows_hold_every_sample_once_and_in_order(sizes: list[int], size: int) -> None:
    windows = Windows(size)
    audio = np.arange(sum(sizes), dtype=np.float32)
    got, at = [], 0
    for count in sizes:
        got += windows.feed(audio[at : at + count])
        at += count
        assert windows.pending < size
    pending = windows.pending
    last = windows.flush()
    assert (last is None) == (pending == 0)
    joined = np.concatenate([*got, *([] if last is None else [last[:pending]])] or [np.zeros(0, np.float32)])
    assert np.array_equal(joined, audio)
    assert all(len(window) == size for window in got)
    assert last is None or not last[pending:].any()


def test_a_window_has_a_size() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Windows(0)
