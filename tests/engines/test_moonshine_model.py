import threading
import time

import numpy as np
import pytest

from tests.engines.moonshine_data import VOCABULARY, model, recorded
from voxgate.engines.moonshine_decoding import Cancelled, greedy
from voxgate.engines.moonshine_model import MoonshineModel
from voxgate.engines.moonshine_tokens import Vocabulary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded() -> MoonshineModel:
    return MoonshineModel(model())


def test_a_batch_says_what_each_text_alone_would_say(loaded: MoonshineModel) -> None:
    heard = loaded.hear(recorded("lj_0013.wav"), lambda: False)
    alone = greedy(heard, 40, cancelled=lambda: False, is_number=VOCABULARY.is_number)
    step = heard.advance(None, (0,), np.array([[1]], np.int64))
    for token in alone.tokens:
        parents = range(3) if len(step.logits) == 3 else (0, 0, 0)
        assert step.logits[:, -1].argmax(axis=-1).tolist() == [token] * len(step.logits)
        step = heard.advance(step.state, parents, np.full((3, 1), token, np.int64))
    assert step.attention.shape[:3] == (3, 2, 1)


def test_a_text_can_change_its_place_in_the_batch(loaded: MoonshineModel) -> None:
    heard = loaded.hear(recorded("lj_0013.wav"), lambda: False)
    first = heard.advance(None, (0,), np.array([[1]], np.int64))
    two = heard.advance(first.state, (0, 0), np.array([[100], [200]], np.int64))
    kept = heard.advance(two.state, (0, 1), np.array([[300], [300]], np.int64))
    swapped = heard.advance(two.state, (1, 0), np.array([[300], [300]], np.int64))
    np.testing.assert_allclose(swapped.logits[::-1], kept.logits, atol=1e-4)
    assert not np.allclose(kept.logits[0], kept.logits[1], atol=0.1)


def test_a_prefix_read_at_once_leads_to_the_same_text(loaded: MoonshineModel) -> None:
    heard = loaded.hear(recorded("sense_0880.wav"), lambda: False)
    free = greedy(heard, 40, cancelled=lambda: False, is_number=VOCABULARY.is_number)
    forced = greedy(heard, 40, cancelled=lambda: False, is_number=VOCABULARY.is_number, prefix=free.tokens[:6])
    assert forced.tokens == free.tokens
    np.testing.assert_allclose(forced.attention, free.attention, atol=0.1)
    assert Vocabulary.read(model() / "tokenizer.bin").text(free.tokens).startswith("He was not an ill-disposed")


def test_encoding_stops_soon_after_the_caller_left_and_the_session_stays_usable(loaded: MoonshineModel) -> None:
    left = threading.Event()
    threading.Timer(0.1, left.set).start()
    started = time.perf_counter()
    with pytest.raises(Cancelled):
        loaded.hear(np.tile(recorded("jfk.wav"), 6), left.is_set)
    assert time.perf_counter() - started < 2.0
    assert loaded.hear(recorded("lj_0013.wav"), lambda: False)


def test_a_failure_that_is_no_cancellation_is_told(loaded: MoonshineModel) -> None:
    with pytest.raises(Exception, match="input_values"):
        loaded.hear(np.zeros((3, 4), np.float32), lambda: False)
