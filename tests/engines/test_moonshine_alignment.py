from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgate.engines.moonshine_alignment import FRAME, onsets, pauses, word_times
from voxgate.engines.moonshine_decoding import Floats
from voxgate.engines.moonshine_tokens import Span


def diagonal(bounds: list[int], s: int, blur: float = 0.0) -> Floats:
    """Attention [2, n + 1, s] in which row i looks at frames bounds[i] … bounds[i + 1]."""
    attention = np.full((2, len(bounds) - 1, s), blur, np.float32)
    for row, (first, last) in enumerate(pairwise(bounds)):
        attention[:, row, first:last] = 1
    return attention


def brute_force(cost: NDArray[np.float64]) -> float:
    """The cheapest walk from the first cell to the last, cell by cell."""
    total = np.full(cost.shape, np.inf)
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            before = [total[i - 1, j]] if i else []
            before += [total[i, j - 1]] if j else []
            before += [total[i - 1, j - 1]] if i and j else []
            total[i, j] = cost[i, j] + min(before, default=0.0)
    return float(total[-1, -1])


def test_tokens_begin_where_their_rows_look() -> None:
    assert onsets(diagonal([0, 10, 14, 30, 50], 50)).tolist() == [10, 14, 30]


def test_only_start_was_read() -> None:
    assert onsets(diagonal([0, 10], 10)).tolist() == []


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 12))
def test_the_walk_is_the_cheapest(seed: int, rows: int, s: int) -> None:
    attention = np.random.default_rng(seed).random((1, rows, s), np.float32)
    begins = [0, *onsets(attention).tolist()]
    centred = attention - attention.mean(axis=2, keepdims=True)
    cost = -(centred / (attention.std(axis=2, keepdims=True) + 1e-6))[0].astype(np.float64)
    assert begins == sorted(begins)
    walks = [0.0]
    for i in range(rows):
        last = s - 1 if i == rows - 1 else begins[i + 1]
        with_last = cost[i, begins[i] : last + 1].sum()
        without = cost[i, begins[i] : last].sum() if last > begins[i] and i < rows - 1 else np.inf
        walks = [walk + step for walk in walks for step in (with_last, without)]
    assert min(walks) == pytest.approx(brute_force(cost), abs=1e-4)


def noise(seconds: float, level: float = 0.3) -> Floats:
    return (np.random.default_rng(1).standard_normal(int(seconds * 16_000)) * level).astype(np.float32)


def test_pauses_are_quiet_and_long_enough() -> None:
    audio = np.concatenate([noise(0.5), noise(0.1, 0.001), noise(0.2), np.zeros(320, np.float32), noise(0.28)])
    assert pauses(audio).tolist() == [[8_000, 9_600]]
    assert pauses(np.zeros(100, np.float32)).shape == (0, 2)


def test_words_begin_and_end_at_pauses_close_by() -> None:
    audio = np.concatenate([np.zeros(4_800, np.float32), noise(0.5), np.zeros(4_800, np.float32), noise(0.5)])
    frames = len(audio) // FRAME
    attention = diagonal([0, 4_000 // FRAME, 14_000 // FRAME, frames], frames)
    words = [Span("one", 0, 0), Span("two", 1, 1)]
    assert word_times(words, attention, audio) == [(4_800, 12_800), (17_600, 25_600)]


def test_without_pauses_attention_decides() -> None:
    audio = noise(2.0)
    frames = len(audio) // FRAME
    attention = diagonal([0, 20, 40, 60, frames], frames)
    words = [Span("one", 0, 1), Span("two", 2, 2)]
    times = word_times(words, attention, audio)
    assert times == [(20 * FRAME + 320, 60 * FRAME + 320), (60 * FRAME + 320, len(audio))]


def test_no_words_no_times() -> None:
    assert word_times([], diagonal([0, 5], 5), noise(0.2)) == []


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.05, 1.5))
def test_words_are_in_order_and_inside_the_audio(seed: int, n: int, seconds: float) -> None:
    random = np.random.default_rng(seed)
    audio = noise(seconds) * (random.random(int(seconds * 16_000)) > 0.5).astype(np.float32)
    audio[len(audio) // 3 : len(audio) // 2] = 0
    attention = random.random((2, n + 1, max(1, len(audio) // FRAME)), np.float32)
    times = word_times([Span("w", k, k) for k in range(n)], attention, audio)
    assert all(0 <= start <= end <= len(audio) for start, end in times)
    assert all(one[1] <= two[0] for one, two in pairwise(times))
