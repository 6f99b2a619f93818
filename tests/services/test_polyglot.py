import numpy as np
import pytest

from tests.services.test_hearing import Hears
from voxgate.domain import LiveRecognition, Partial, Recognition
from voxgate.errors import MisuseError
from voxgate.ports import LiveSpeechToText, SpeechToText
from voxgate.services.polyglot import Polyglot

AUDIO = np.zeros(16_000, np.float32)


async def test_each_utterance_goes_to_the_engine_that_hears_its_language() -> None:
    one, two = Hears("one", {"en": "good", "vi": "weak"}, 30.0), Hears("two", {"en": "fair", "vi": "fair"}, 25.0)
    both = Polyglot({"en": one, "vi": two})
    assert isinstance(both, SpeechToText)
    assert isinstance(both, LiveSpeechToText)
    assert both.languages == {"en": "good", "vi": "fair"}
    assert both.max_seconds == 25
    assert [(await both.recognize(Recognition(AUDIO, tag))).text for tag in ("vi", "en", "vi")] == ["two", "one", "two"]
    told: list[Partial] = []
    for tag in ("vi", "en"):
        async with both.open(LiveRecognition(tag), told.append):
            pass
    assert [partial.text for partial in told] == ["two vi", "one en"]


async def test_a_language_nobody_was_named_for_is_our_fault() -> None:
    only = Polyglot({"en": Hears("one", {"en": "good", "th": "weak"})})
    with pytest.raises(MisuseError, match="th"):
        await only.recognize(Recognition(AUDIO, "th"))
    with pytest.raises(MisuseError, match="th"):
        only.open(LiveRecognition("th"), lambda _: None)
