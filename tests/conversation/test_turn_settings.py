import pytest
from pydantic import ValidationError

from voxgate.conversation.endpointing import TurnEnd, TurnEndSettings
from voxgate.conversation.history import HistorySettings
from voxgate.conversation.interruption import InterruptionSettings
from voxgate.conversation.turn_settings import TurnSettings


def test_each_part_has_its_own_defaults() -> None:
    settings = TurnSettings()
    assert settings.end(None) == TurnEndSettings()
    assert settings.interruption(8) == InterruptionSettings()
    assert settings.history == HistorySettings()
    assert settings.end(300).silence_ms == 300
    assert settings.interruption(3).windows == 3


@pytest.mark.parametrize(
    "wrong",
    [{"ask_ms": 800}, {"usual_silence_ms": 1300}, {"sound_open": 0.99}, {"speculate": "maybe"}, {"grace_s": -1}],
)
def test_what_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TurnSettings.model_validate(wrong)


def test_what_is_accepted_works() -> None:
    TurnEnd(TurnSettings(ask_ms=100, min_silence_ms=100, usual_silence_ms=100, max_silence_ms=100).end(None))
