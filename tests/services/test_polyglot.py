import numpy as np
import pytest

from tests.services.test_hearing import Hears
from voxgate.domain import Recognition
from voxgate.errors import MisuseError
from voxgate.ports import SpeechToText
from voxgate.services.polyglot import Polyglot

AUDIO = np.zeros(16_000, np.float32)


async def test_each_utterance_goes_to_the_engine_that_hears_its_language() -> None:
    one, two = Hears("one", {"en": "good", "vi": "weak"}, 30.0), Hears("two", {"en": "fair", "vi": "fair"}, 25.0)
    both = Polyglot({"en": one, "vi": two})
    assert isinstance(both, SpeechToText)
    assert both.languages == {"en": "good", "vi": "fair"}
    assert both.max_seconds == 25
    assert [(await both.recognize(Recognition(AUDIO, tag))).text for tag in ("vi", "en", "vi")] == ["two", "one", "two"]


async def test_a_language_nobody_was_named_for_is_our_fault() -> None:
    with pytest.raises(MisuseError, match="th"):
        await Polyglot({"en": Hears("one", {"en": "good", "th": "weak"})}).recognize(Recognition(AUDIO, "th"))
