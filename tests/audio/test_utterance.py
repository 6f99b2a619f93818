import numpy as np
import pytest

from voxgate.audio.loudness import peak_dbfs
from voxgate.audio.utterance import prepare


def test_a_second_and_more_is_left_as_it_is() -> None:
    audio = np.full(16_000, 0.5, np.float32)
    prepared = prepare(audio)
    assert prepared.audio is audio
    assert (prepared.before, prepared.length) == (0, 16_000)
    assert [prepared.place(at) for at in (-1, 0, 7, 16_000, 16_001)] == [0, 0, 7, 16_000, 16_000]


def test_less_than_a_second_gets_silence_around_it() -> None:
    audio = np.full(15_999, 0.5, np.float32)
    prepared = prepare(audio)
    assert len(prepared.audio) == 1_600 + 15_999 + 3_200
    assert not prepared.audio[:1_600].any()
    assert not prepared.audio[-3_200:].any()
    assert np.array_equal(prepared.audio[1_600:-3_200], audio)
    assert [prepared.place(at) for at in (0, 1_600, 1_601, 17_599, 20_799)] == [0, 0, 1, 15_999, 15_999]


def test_what_is_quiet_is_made_louder() -> None:
    assert peak_dbfs(prepare(np.full(20_000, 0.001, np.float32)).audio) == pytest.approx(-20, abs=0.1)
    assert not prepare(np.zeros(20_000, np.float32)).audio.any()
