"""What the speaking process does: durations, silence, shape; and the model itself where it is pulled."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.engines.kokoro_model import MODEL, VOICES, folders
from voxgate.domain import Samples
from voxgate.engines.kokoro_text import MOST_IDS, SYMBOLS, Symbols
from voxgate.engines.kokoro_worker import (
    HOP,
    RATE,
    Kokoro,
    Model,
    Phrase,
    Spoken,
    audible,
    create,
    durations,
    shaped,
)
from voxgate.engines.piper_text import Pronounced
from voxgate.engines.voice_shape import LEAD_MS, TAIL_MS
from voxgate.errors import EngineError

LENGTHS = arrays(np.float32, st.integers(3, 60), elements=st.floats(0.125, 30, width=32))


def test_at_speed_one_durations_are_rounded_as_upstream_rounds_them() -> None:
    frames, reached = durations(np.array([13.4, 0.2, 2.5, 3.5], np.float32), 1.0)
    assert frames.tolist() == [13, 1, 2, 4]
    assert reached == 1.0


@given(LENGTHS, st.floats(0.25, 4))
def test_the_wanted_speed_is_met_where_frames_allow_it(lengths: Samples, speed: float) -> None:
    usual = int(durations(lengths, 1.0)[0].sum())
    frames, reached = durations(lengths, speed)
    assert frames.min() >= 1
    assert reached == pytest.approx(usual / frames.sum())
    if frames.sum() > lengths.size and lengths.size < usual / speed:
        ties = np.unique(lengths, return_counts=True)[1].max()  # equal lengths change together
        assert abs(frames.sum() - usual / speed) <= 4 * ties + 1


@given(arrays(np.int64, st.integers(3, 60), elements=st.integers(1, 40)))
def test_what_is_made_lies_within_the_piece(frames: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    first, behind = audible(frames)
    assert 0 <= first < behind <= frames.sum() + 1


def test_silence_in_front_and_behind_is_not_made() -> None:
    frames = np.array([15, 5, 5, 9, 1])
    assert audible(frames) == (12, 31)
    assert audible(np.array([2, 5, 5, 3, 1])) == (0, 16)


def tone(seconds: float, silence: float) -> Samples:
    quiet = np.zeros(round(silence * RATE), np.float32)
    sound = 0.1 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)
    return np.concatenate([quiet, sound.astype(np.float32), quiet])


@pytest.mark.parametrize("speed", [1.0, 0.25, 4.0])
def test_a_run_goes_out_trimmed_at_its_pace_and_words_with_it(speed: float) -> None:
    audio = tone(1.0, 0.2)
    frames = audio.size // HOP
    ends = np.arange(1, frames + 1) * HOP
    read = Symbols((1,) * frames, (("one", 8, 28), ("two", 28, frames)), 3)
    spoken = shaped(read, audio, ends, 1.0, Phrase("af_heart", (), "american", speed))
    assert spoken.samples.size / RATE == pytest.approx(1 / speed + (LEAD_MS + TAIL_MS) / 1000 / speed, rel=0.02)
    (one, start, middle), (two, _, end) = spoken.words
    assert (one, two, spoken.dropped) == ("one", "two", 3)
    assert start / RATE == pytest.approx(LEAD_MS / 1000 / speed, abs=0.01)
    assert middle / RATE == pytest.approx((0.5 + LEAD_MS / 1000) / speed, abs=0.01)
    assert end / RATE == pytest.approx((1 + LEAD_MS / 1000) / speed, abs=0.01)  # not in the silence behind


def test_a_silent_run_is_nothing() -> None:
    read = Symbols((1, 1), (("one", 0, 2),), 0)
    spoken = shaped(read, np.zeros(2 * HOP, np.float32), np.array([HOP, 2 * HOP]), 1.0, Phrase("af_sky", (), "", 1))
    assert spoken.samples.size == 0
    assert spoken.words == (("one", 0, 0),)


@pytest.fixture(scope="module")
def model() -> Model:
    found = folders()
    return Model(found[MODEL], found[VOICES])


A = SYMBOLS["a"]


def wanted() -> bool:
    return False


@pytest.mark.slow
def test_the_most_ids_run_and_one_more_is_refused(model: Model) -> None:
    with pytest.raises(EngineError, match="511"):
        model.speak((A,) * (MOST_IDS + 1), "af_heart", 1.0, wanted)
    made = model.speak((A,) * MOST_IDS, "af_heart", 1.5, wanted)
    assert made is not None
    assert made[0].size > 5 * RATE


@pytest.mark.slow
@pytest.mark.parametrize("ids", [(), (0,), (-1,), (178,), (A, 256)])
def test_ids_the_model_does_not_know_are_refused(model: Model, ids: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="ids"):
        model.speak(ids, "af_heart", 1.0, wanted)


@pytest.mark.slow
def test_the_style_is_the_row_of_the_count(model: Model) -> None:
    table = np.fromfile(folders()[VOICES] / "bf_emma.bin", "<f4").reshape(510, 256)
    for ids, row in ((1, 0), (7, 6), (510, 509), (600, 509)):
        np.testing.assert_array_equal(model.style("bf_emma", ids)[0], table[row])


@pytest.mark.slow
def test_the_same_ids_give_the_same_audio_and_the_ends_lie_in_it(model: Model) -> None:
    ids = tuple(SYMBOLS[symbol] for symbol in "həlˈO.")
    one, two = (model.speak(ids, "af_heart", 1.0, wanted) for _ in range(2))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1].size == len(ids)
    assert 0 <= one[1].min() <= one[1].max() <= one[0].size
    assert one[0].size % HOP == 0


@pytest.mark.slow
def test_a_run_that_nobody_wants_is_stopped_in_its_middle_and_the_session_works_on(model: Model) -> None:
    leave = threading.Event()
    timer = threading.Timer(0.3, leave.set)
    timer.start()
    assert model.speak((A,) * MOST_IDS, "af_heart", 0.7, leave.is_set) is None  # 30 s of speech: 15 s of work
    late = time.perf_counter()
    timer.join()
    assert model.speak((A,) * 3, "af_heart", 1.0, wanted) is not None
    assert time.perf_counter() - late < 5
    assert model.speak((A,) * 3, "af_heart", 1.0, lambda: True) is None


@pytest.mark.slow
def test_a_worker_says_phrases() -> None:
    found = folders()
    worker = create(str(found[MODEL]), str(found[VOICES]))
    assert isinstance(worker, Kokoro)
    said = Pronounced("həlˈoʊ", ".", (("Hello.", "həlˈoʊ"),))
    results = list(worker.run(Phrase("bm_george", (said,), "british", 1.0), wanted))
    assert [type(result) for result in results] == [Spoken]
    assert results[0].samples.size > RATE / 5
    assert list(worker.run(Phrase("bm_george", (said,), "british", 1.0), lambda: True)) == []


def test_a_folder_without_the_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"text\.onnx"):
        Model(tmp_path, tmp_path)
