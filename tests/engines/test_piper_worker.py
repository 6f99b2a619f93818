"""The speaking process: its pure rules, and the real voice called in this process."""

import functools
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.engines.piper_voice import converted_voice
from voxgate.domain import Samples
from voxgate.engines.piper_text import Pronounced
from voxgate.engines.piper_worker import (
    FIRST_FRAMES,
    MOST_WINDOWS,
    Piece,
    Piper,
    Spoken,
    create,
    durations,
    windows,
)
from voxgate.engines.voice_shape import LEVEL_DBFS, active_rms
from voxgate.engines.worker import WINDOW
from voxgate.errors import EngineError

WORDS = (("Your", "jʊɹ"), ("appointment", "ɐpˈɔɪntmənt"), ("is", "ɪz"), ("at", "æt"), ("three.", "θɹˈiː"))
SENTENCE = (Pronounced(" ".join(ipa for _, ipa in WORDS), ".", WORDS),)


@given(st.integers(1, 20_000))
def test_windows_cover_every_frame_once_and_are_few(frames: int) -> None:
    found = list(windows(frames))
    assert found[0][0] == 0
    assert found[-1][1] == frames
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert found[0][1] <= FIRST_FRAMES
    assert len(found) <= MOST_WINDOWS
    assert len(found) + 1 < WINDOW  # with the last result: a reader that reads nothing holds no thread


_length = st.floats(0.0625, 12, width=32)
lengths = st.lists(_length, min_size=1, max_size=120).map(lambda each: np.array(each, np.float32))


@given(lengths, st.floats(0.2, 1.3))
def test_every_id_keeps_a_frame_and_the_speed_is_told_as_it_is(values: NDArray[np.float32], speed: float) -> None:
    frames, reached = durations(values, speed)
    usual = np.ceil(values).sum()
    assert reached == pytest.approx(usual / frames.sum())
    assert (frames >= 1).all()
    at_the_floor = (frames == 1).all()
    # Ids of the same length change together, in the worst case all of them.
    assert at_the_floor or abs(frames.sum() - usual / speed) <= values.size / 2 + 1


@given(st.integers(0, 1000), st.floats(0.2, 1.3))
def test_with_lengths_as_they_are_the_wanted_speed_is_met_to_a_frame(seed: int, speed: float) -> None:
    values = np.random.default_rng(seed).gamma(1.5, 2.0, 80).astype(np.float32)
    frames, _ = durations(values, speed)
    assert abs(frames.sum() - np.ceil(values).sum() / speed) <= 1


def test_normal_speed_is_the_models_own() -> None:
    frames, reached = durations(np.array([0.2, 1.0, 2.5], np.float32), 1.0)
    assert (frames.tolist(), reached) == ([1, 1, 3], 1.0)


def test_a_piece_without_any_length_has_one_frame() -> None:
    frames, _ = durations(np.zeros(5, np.float32), 1.0)
    assert frames.tolist() == [0, 0, 0, 0, 1]


@functools.cache
def engine() -> Piper:
    return create({"joe": str(converted_voice())}, cores=1)


def speak(piece: Piece, cancelled: Callable[[], bool] = bool) -> list[Spoken]:
    return list(engine().run(piece, cancelled))


def joined(spoken: list[Spoken]) -> Samples:
    return np.concatenate([each.samples for each in spoken])


@pytest.mark.slow
def test_windows_leave_no_seam() -> None:
    model = engine()._models["joe"]
    ids = (1, 0, *np.ravel([[each, 0] for each in range(14, 80)]).tolist(), 2)
    prepared = model.prepare(ids, 1.0)
    whole = model.vocode(model.flow(prepared.prior))
    parts = list(engine()._audio(model, prepared, lambda: 0.0, bool))
    assert len(parts) > 4
    assert parts[0].size == FIRST_FRAMES * model.hop
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


@pytest.mark.slow
def test_durations_say_the_samples_exactly() -> None:
    model = engine()._models["joe"]
    prepared = model.prepare((1, 0, 20, 0, 61, 0, 2), 0.7)
    assert model.vocode(model.flow(prepared.prior)).size == prepared.ends[-1] * model.hop


@pytest.mark.slow
def test_a_sentence_is_spoken_at_the_common_level_with_its_words() -> None:
    spoken = speak(Piece("joe", SENTENCE, 1.0, 1.0))
    audio = joined(spoken)
    assert active_rms(audio) == pytest.approx(LEVEL_DBFS, abs=3.0)  # single sentences vary by 1.5 dB (deviation)
    assert np.abs(audio).max() < 1
    words = [word for each in spoken for word in each.words]
    assert [word for word, _, _ in words] == [word for word, _ in WORDS]
    edges = [edge for _, start, end in words for edge in (start, end)]
    assert edges == sorted(edges)
    assert edges[-1] <= audio.size
    position = 0
    for each in spoken:  # told with the audio in which they begin, the last one with the last
        position += each.samples.size
        assert all(start <= position for _, start, _ in each.words)


@pytest.mark.slow
def test_the_same_text_gives_the_same_audio() -> None:
    piece = Piece("joe", SENTENCE, 1.0, 1.0)
    np.testing.assert_array_equal(joined(speak(piece)), joined(speak(piece)))


@pytest.mark.slow
@pytest.mark.parametrize("pitch", [1.0, 1.15, 1.3])
@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.25, 1.5, 2.0, 3.0, 4.0])
def test_speed_is_reached_and_pitch_leaves_it_alone(speed: float, pitch: float) -> None:
    usual = joined(speak(Piece("joe", SENTENCE * 2, 1.0, 1.0))).size
    spoken = speak(Piece("joe", SENTENCE * 2, speed, pitch))
    assert usual / joined(spoken).size == pytest.approx(speed, rel=0.05)
    *_, (_, _, end) = [word for each in spoken for word in each.words]
    assert end <= joined(spoken).size
    assert end > 0.8 * joined(spoken).size


@pytest.mark.slow
def test_a_shifted_voice_is_higher() -> None:
    def centre(pitch: float) -> float:
        audio = joined(speak(Piece("joe", SENTENCE, 1.0, pitch)))
        spectrum = np.abs(np.fft.rfft(audio)) ** 2
        return float((spectrum * np.fft.rfftfreq(audio.size)).sum() / spectrum.sum())

    assert centre(1.3) / centre(1.0) == pytest.approx(1.3, rel=0.15)


@pytest.mark.slow
def test_a_cancelled_piece_stops_after_the_window_under_way() -> None:
    results = engine().run(Piece("joe", SENTENCE * 5, 1.0, 1.0), cancelled := _Flag())
    first = next(results)
    cancelled.set = True
    rest = list(results)
    assert first.samples.size
    held_back = 25 * engine()._models["joe"].hop
    assert sum(each.samples.size for each in rest) < held_back


class _Flag:
    set = False

    def __call__(self) -> bool:
        return self.set


@pytest.mark.slow
def test_ids_the_model_would_take_in_silence_are_refused(tmp_path: object) -> None:
    import json
    import shutil
    from pathlib import Path

    folder = Path(str(tmp_path)) / "voice"
    shutil.copytree(converted_voice(), folder)
    voice = json.loads((folder / "voice.json").read_text(encoding="utf-8"))
    voice["phoneme_id_map"]["a"] = [-1]
    (folder / "voice.json").write_text(json.dumps(voice), encoding="utf-8")
    with pytest.raises(EngineError, match="out of range"):
        create({"joe": str(folder)}, cores=1)
