import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.domain import Samples
from voxgate.engines.moonshine_decoding import Decoded, Ending
from voxgate.engines.moonshine_guards import LEAD_SAMPLES, TAIL_SAMPLES, lead_in, padded, prepare, unclear
from voxgate.engines.moonshine_tokens import Span


def tone(seconds: float, level: float = 0.3) -> Samples:
    return np.asarray(level * np.sin(np.arange(int(seconds * 16_000)) * 0.2), np.float32)


def decoded(log_probs: list[float]) -> Decoded:
    n = len(log_probs) - 1
    return Decoded(
        tuple(range(5, 5 + n)), np.array(log_probs, np.float32), np.zeros((2, n + 1, 9), np.float32), Ending.SAID
    )


def test_ordinary_audio_is_left_as_it_is() -> None:
    audio = tone(2)
    prepared = prepare(audio)
    np.testing.assert_array_equal(prepared.audio, audio)
    assert prepared.offset == 0


def test_short_audio_is_padded() -> None:
    prepared = prepare(tone(0.4))
    assert len(prepared.audio) == 6_400 + LEAD_SAMPLES + TAIL_SAMPLES
    assert prepared.offset == -LEAD_SAMPLES
    assert not prepared.audio[:LEAD_SAMPLES].any()
    assert not prepared.audio[-TAIL_SAMPLES:].any()


def test_padding_again_moves_the_offset_again() -> None:
    assert padded(prepare(tone(0.4))).offset == -2 * LEAD_SAMPLES


def test_a_long_lead_in_is_cut_to_300_ms() -> None:
    audio = np.concatenate([tone(1.5, 0.001), tone(2)])
    prepared = prepare(audio)
    assert prepared.offset == 24_000 - 4_800
    np.testing.assert_array_equal(prepared.audio, audio[19_200:])


def test_a_noisy_lead_in_stays() -> None:
    assert lead_in(np.concatenate([tone(1.5, 0.02), tone(2)])) == 0


def test_a_low_level_is_raised_and_no_further_than_40_db() -> None:
    assert np.abs(prepare(tone(2, 0.01)).audio).max() == pytest.approx(10 ** (-12 / 20), rel=0.01)
    assert np.abs(prepare(tone(2, 0.000_01)).audio).max() == pytest.approx(0.001, rel=0.01)
    np.testing.assert_array_equal(prepare(tone(2, 0.04)).audio, tone(2, 0.04))


@pytest.mark.parametrize("samples", [1, 100, 319, 16_000])
def test_silence_stays_silence(samples: int) -> None:
    assert not prepare(np.zeros(samples, np.float32)).audio.any()


@given(st.integers(1, 40_000), st.integers(0, 40_000), st.floats(1e-6, 1.0))
def test_offsets_lead_back_to_the_original(samples: int, silence: int, level: float) -> None:
    audio = np.concatenate([np.zeros(silence, np.float32), tone(samples / 16_000, level)])
    prepared = prepare(audio)
    loud = int((np.abs(prepared.audio) > 0).argmax()) if prepared.audio.any() else 0
    original = int((np.abs(audio) > 0).argmax()) if audio.any() else 0
    if audio.any():
        assert loud + prepared.offset == original
    assert prepared.audio.dtype == np.float32
    assert prepared.audio.flags.c_contiguous


def test_an_unlikely_text_is_doubted() -> None:
    assert not unclear(decoded([-0.1, -0.4, -0.1]), [])
    assert unclear(decoded([-1.5, -0.4, -0.1]), [])


def test_an_empty_text_is_not_doubted() -> None:
    assert not unclear(decoded([-3.0]), [])


def test_hinted_words_do_not_make_their_sentence_doubtful() -> None:
    said = decoded([-0.1, -6.0, -3.0, -0.1])
    assert unclear(said, [])
    assert not unclear(said, [Span("Voxgate", 1, 2)])


def test_a_text_of_nothing_but_hints_is_judged_by_them() -> None:
    assert unclear(decoded([-6.0, -3.0, -0.1]), [Span("Voxgate", 0, 1)])
