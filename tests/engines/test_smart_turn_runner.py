from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgate.domain import Samples
from voxgate.engines.log_mel import BANDS, log_mel
from voxgate.engines.smart_turn_runner import SPAN, SmartTurnRunner, features
from voxgate.errors import Code, PeerError


def noise(samples: int, seed: int = 0) -> Samples:
    return np.asarray(np.random.default_rng(seed).standard_normal(samples) * 0.1, np.float32)


class Session:
    """A graph with one answer."""

    def __init__(self, answer: float) -> None:
        self.answer = answer
        self.seen: list[NDArray[np.float32]] = []

    def run(self, _outputs: None, inputs: dict[str, NDArray[np.float32]]) -> list[Any]:
        self.seen.append(inputs["input_features"])
        return [np.array([[self.answer]], np.float32)]


def never() -> bool:
    return False


@given(st.integers(0, 2 * SPAN))
def test_the_model_sees_eight_seconds_whatever_the_turn_lasts(samples: int) -> None:
    seen = features(noise(samples))
    assert seen.shape == (1, BANDS, 800)
    assert np.isfinite(seen).all()


def test_only_the_end_of_a_long_turn_counts() -> None:
    turn = noise(SPAN + 30_000)
    np.testing.assert_array_equal(features(turn), features(turn[-SPAN:]))


def test_a_short_turn_lies_at_the_end() -> None:
    seen = features(noise(16_000))[0]
    assert seen[:, 705:].min() > seen[:, :695].max(), "the last second of the eight is sound, the rest is not"


def test_the_level_of_a_speaker_does_not_matter() -> None:
    turn = noise(48_000)
    np.testing.assert_allclose(features(turn * np.float32(0.2)), features(turn), atol=2e-3)


def test_zeros_are_part_of_what_is_brought_to_mean_and_variance() -> None:
    """By the definition, in double precision: padded first, then levelled, then mirrored at both ends."""
    turn = noise(40_000) + np.float32(0.05)
    whole = np.concatenate([np.zeros(SPAN - 40_000), turn.astype(np.float64)])
    level = (whole - whole.mean()) / np.sqrt(whole.var() + 1e-7)
    mirrored = np.concatenate([level[200:0:-1], level, level[-2:-202:-1]])
    np.testing.assert_allclose(features(turn), log_mel(mirrored.astype(np.float32)), atol=1e-3)


@pytest.mark.parametrize(("answer", "told"), [(0.25, 0.25), (1.0000002, 1.0), (-1e-9, 0.0)])
def test_the_graph_answers_a_probability(answer: float, told: float) -> None:
    session = Session(answer)
    [found] = SmartTurnRunner(session).run(noise(16_000), never)
    assert found.probability == told
    assert found.seconds > 0
    np.testing.assert_array_equal(session.seen[0], features(noise(16_000)))


@pytest.mark.parametrize("looks", [1, 2])
def test_nothing_is_computed_for_somebody_who_has_left(looks: int) -> None:
    session, asked = Session(0.5), 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked >= looks

    assert list(SmartTurnRunner(session).run(noise(16_000), cancelled)) == []
    assert session.seen == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    turn = noise(16_000)
    turn[100] = value
    with pytest.raises(PeerError) as caught:
        list(SmartTurnRunner(Session(0.5)).run(turn, never))
    assert caught.value.code is Code.INVALID_AUDIO
