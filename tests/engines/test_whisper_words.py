from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.domain import Samples
from voxgate.engines.whisper_model import Aligned
from voxgate.engines.whisper_tokens import Span
from voxgate.engines.whisper_words import voice_begins, word_times

SECOND = 16_000
STEP = 320
BIAS = 1120


def audio(*pieces: tuple[float, float]) -> Samples:
    """Noise of (seconds, level), one after another."""
    random = np.random.default_rng(0)
    return np.concatenate([random.uniform(-1, 1, int(s * SECOND)) * level for s, level in pieces]).astype(np.float32)


def spans(*texts: str) -> list[Span]:
    return [Span(text, k, k) for k, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("sound", "begins"),
    [
        (audio((0.5, 0.0), (1, 0.3)), 0.5),
        (audio((0.5, 0.01), (1, 0.3)), 0.5),
        (audio((1, 0.3)), 0.0),
        (audio((1, 0.0)), 0.0),
        (audio((0.001, 0.3)), 0.0),
        (audio((0.3, 0.0), (0.01, 0.3), (0.5, 0.0), (1, 0.3)), 0.81),
    ],
)
def test_where_the_voice_begins(sound: Samples, begins: float) -> None:
    assert voice_begins(sound) == pytest.approx(begins * SECOND, abs=160)


def test_words_begin_later_than_they_are_aligned_and_end_at_pauses() -> None:
    sound = audio((0.2, 0.0), (0.8, 0.3), (0.5, 0.0), (0.5, 0.3))
    aligned = Aligned((0, 30, 70), (0.9, 0.5, 0.8))
    one, two, three = word_times(spans("one", "two", "three"), aligned, sound)
    assert one.start == 0.2 * SECOND, "the first from the audio"
    assert (one.end, two.start) == (30 * STEP + BIAS, 30 * STEP + BIAS)
    assert two.end == SECOND, "where the pause begins"
    assert three.start == 70 * STEP + BIAS
    assert three.end == len(sound)
    assert [word.confidence for word in (one, two, three)] == [0.9, 0.5, 0.8]


def test_a_word_is_as_sure_as_its_least_likely_token() -> None:
    aligned = Aligned((0, 10, 20), (0.9, 0.2, 0.8))
    (word,) = word_times([Span("unlikely", 0, 2)], aligned, audio((1, 0.3)))
    assert word.confidence == 0.2
    assert word_times([], aligned, audio((1, 0.3))) == ()


@given(st.lists(st.integers(0, 200), min_size=1, max_size=12), st.integers(0, 40_000), st.integers(0, 5))
def test_words_lie_in_the_audio_in_order(onsets: list[int], samples: int, seed: int) -> None:
    sound = np.asarray(np.random.default_rng(seed).standard_normal(samples) * 0.1, np.float32)
    aligned = Aligned(tuple(onsets), (0.5,) * len(onsets))
    found = word_times(spans(*"abcdefghijkl"[: len(onsets)]), aligned, sound)
    assert all(0 <= word.start <= word.end <= samples for word in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
