import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.endpointing import TurnEnd, TurnEndSettings
from voxgate.conversation.turn_table import EndedBy
from voxgate.text.ending import Ending

MS = 16  # samples

ENDINGS = st.sampled_from(Ending)
PROBABILITIES = st.none() | st.floats(0, 1)


def delay_ms(words: Ending, sound: float | None, end: TurnEnd | None = None) -> float:
    end = end or TurnEnd()
    end.begin()
    end.words(words)
    if sound is not None:
        end.sound(sound)
    return end.delay / MS


@pytest.mark.parametrize(
    ("words", "sound", "expected"),
    [
        (Ending.COMPLETE, 0.95, 200),
        (Ending.COMPLETE, None, 450),
        (Ending.COMPLETE, 0.5, 450),
        (Ending.COMPLETE, 0.05, 700),
        (Ending.UNKNOWN, 0.95, 200),
        (Ending.UNKNOWN, 0.94, 700),
        (Ending.UNKNOWN, None, 700),
        (Ending.UNKNOWN, 0.06, 700),
        (Ending.UNKNOWN, 0.05, 1200),
        (Ending.OPEN, 0.95, 1200),
        (Ending.OPEN, None, 1200),
        (Ending.OPEN, 0.05, 1200),
    ],
)
def test_how_long_a_pause_must_last(words: Ending, sound: float | None, expected: float) -> None:
    assert delay_ms(words, sound) == expected


def test_who_ended_it() -> None:
    end = TurnEnd()
    end.begin()
    assert end.ended(699 * MS) is None
    assert end.ended(700 * MS) is EndedBy.SILENCE
    end.words(Ending.COMPLETE)
    end.sound(0.96)
    assert end.ended(199 * MS) is None
    assert end.ended(200 * MS) is EndedBy.CUE
    end.words(Ending.OPEN)
    assert end.ended(1199 * MS) is None
    assert end.ended(1200 * MS) is EndedBy.SILENCE


def test_it_asks_at_200_ms() -> None:
    assert not TurnEnd().asks(199 * MS)
    assert TurnEnd().asks(200 * MS)


def test_an_exact_silence_turns_everything_else_off() -> None:
    end = TurnEnd(TurnEndSettings(silence_ms=3000))
    for _ in range(10):
        end.begin()
        end.spoke(900 * MS)
        end.words(Ending.COMPLETE)
        end.sound(1.0)
        assert not end.asks(2999 * MS)
        assert end.ended(2999 * MS) is None
        assert end.ended(3000 * MS) is EndedBy.SILENCE
        end.over()


def test_cues_are_about_one_pause() -> None:
    end = TurnEnd()
    end.begin()
    end.words(Ending.COMPLETE)
    end.sound(1.0)
    end.spoke(100 * MS)
    assert end.delay == 700 * MS


def test_a_speaker_who_pauses_is_waited_for() -> None:
    end = TurnEnd()
    for _ in range(4):
        end.begin()
        end.spoke(640 * MS)
        end.over()
    assert end.usual_ms == pytest.approx(800)
    assert end.delay == 800 * MS


def test_a_speaker_who_never_pauses_is_answered_sooner() -> None:
    end = TurnEnd()
    for _ in range(20):
        end.begin()
        end.spoke(150 * MS)  # breath, no pause
        end.over()
    assert end.usual_ms == 300


def test_an_end_that_came_too_early_is_learnt_from() -> None:
    end = TurnEnd()
    for _ in range(3):
        end.begin()
        end.over()
        end.spoke(700 * MS)
    assert end.usual_ms == pytest.approx(875)


def test_old_habits_are_forgotten() -> None:
    end = TurnEnd()
    end.spoke(1000 * MS)
    for _ in range(40):
        end.begin()
        end.over()
    assert end.usual_ms == 300


def test_settings_are_in_order() -> None:
    with pytest.raises(ValueError, match="min_silence_ms"):
        TurnEnd(TurnEndSettings(usual_ms=1500))


@given(st.lists(st.integers(0, 100_000), max_size=50), ENDINGS, PROBABILITIES)
def test_it_stays_between_its_limits(pauses: list[int], words: Ending, sound: float | None) -> None:
    end = TurnEnd()
    for pause in pauses:
        end.spoke(pause)
    assert 300 <= end.usual_ms <= 1200
    assert 200 <= delay_ms(words, sound, end) <= 1200


@given(ENDINGS, st.floats(0, 1), st.floats(0, 1))
def test_a_surer_sound_never_makes_it_wait_longer(words: Ending, one: float, other: float) -> None:
    assert delay_ms(words, max(one, other)) <= delay_ms(words, min(one, other))


@given(ENDINGS, PROBABILITIES, st.integers(0, 40_000))
def test_once_over_it_stays_over(words: Ending, sound: float | None, pause: int) -> None:
    end = TurnEnd()
    end.words(words)
    if sound is not None:
        end.sound(sound)
    assert (end.ended(pause) is not None) == (pause >= end.delay)
