import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.moonshine_data import PIECES, VOCABULARY, Next, Script, says, tokens
from voxgate.engines.moonshine_decoding import (
    Cancelled,
    Decoded,
    Ending,
    greedy,
    log_softmax,
    looping,
    token_limit,
    without_loop,
)


def decode(script: Script, limit: int = 20, **options: object) -> Decoded:
    options = {"cancelled": lambda: False, "is_number": VOCABULARY.is_number, **options}
    return greedy(script, limit, **options)  # type: ignore[arg-type]


def test_the_most_likely_tokens_until_the_model_ends() -> None:
    script = Script(says("▁hello", "▁New", "▁York"))
    decoded = decode(script)
    assert decoded.tokens == tokens("▁hello", "▁New", "▁York")
    assert decoded.ending is Ending.SAID
    assert decoded.log_probs.shape == (4,)
    assert script.passes == [(1, 1)] * 4


def test_attention_is_that_of_the_step_that_reads_the_token() -> None:
    decoded = decode(Script(says("▁hello", "▁New")))
    assert decoded.attention.shape == (1, 3, len(PIECES))
    assert decoded.attention[0].argmax(axis=1).tolist() == [1, *tokens("▁hello", "▁New")]


def test_log_probs_are_the_models() -> None:
    decoded = decode(Script(lambda text: {"</s>": 1.0} if text else {"▁hello": 2.0, "▁New": 1.0}))
    assert decoded.log_probs[0] == pytest.approx(-math.log(1 + math.exp(-1)), abs=1e-5)
    assert decoded.mean_log_prob == pytest.approx(float(decoded.log_probs.mean()))


def test_a_forced_prefix_is_read_in_one_pass_and_scored() -> None:
    script = Script(says("▁hello", "▁New", "▁York"))
    free, forced = decode(Script(script.next_after)), decode(script, prefix=tokens("▁hello", "▁New"))
    assert script.passes == [(1, 3), (1, 1)]
    assert forced.tokens == free.tokens
    np.testing.assert_allclose(forced.log_probs, free.log_probs, atol=1e-6)
    np.testing.assert_array_equal(forced.attention, free.attention)


def test_the_limit_ends_a_text() -> None:
    decoded = decode(Script(lambda text: {"▁New": 5.0} if text.endswith("York") else {"▁York": 5.0}), limit=3)
    assert (decoded.ending, len(decoded.tokens), decoded.attention.shape[1]) == (Ending.CAPPED, 3, 4)


def test_a_loop_ends_a_text() -> None:
    decoded = decode(Script(lambda text: {"▁hello": 5.0}))
    assert (decoded.ending, decoded.tokens) == (Ending.LOOPED, tokens("▁hello") * 4)


def test_ending_at_once_can_be_forbidden_and_only_at_once() -> None:
    def reluctant(text: str) -> Next:
        return {"</s>": 9.0, "▁hello": 5.0}

    assert decode(Script(reluctant)).tokens == ()
    assert decode(Script(reluctant), never_empty=True).tokens == tokens("▁hello")


def test_a_cancelled_text_is_not_finished() -> None:
    script = Script(says("▁hello", "▁New", "▁York"))
    with pytest.raises(Cancelled):
        decode(script, cancelled=lambda: len(script.passes) == 2)
    assert len(script.passes) == 2


@pytest.mark.parametrize(("seconds", "limit"), [(0, 4), (1, 10), (30, 199)])
def test_the_limit_follows_the_length(seconds: float, limit: int) -> None:
    assert token_limit(seconds) == limit


def digit(token: int) -> bool:
    return token >= 100


@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(4, 6))
def test_a_pattern_said_four_times_is_a_loop_and_is_cut_to_one(before: list[int], pattern: list[int], n: int) -> None:
    said = before + pattern * n
    length = looping(said, digit)
    assert 0 < length <= len(pattern)
    kept = said[: without_loop(said, length)]
    assert not looping(kept, digit)
    assert kept == said[: len(kept)]


@pytest.mark.parametrize(
    ("said", "length"),
    [([], 0), ([1, 1, 1], 0), ([1, 1, 1, 1], 1), ([1, 2] * 3, 0), ([1, 2] * 4, 2), ([100] * 7, 0), ([100] * 8, 1)],
)
def test_what_counts_as_a_loop(said: list[int], length: int) -> None:
    assert looping(said, digit) == length


def test_log_softmax_sums_to_one_and_survives_large_numbers() -> None:
    rows = log_softmax(np.array([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]], np.float32))
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, rtol=1e-5)
