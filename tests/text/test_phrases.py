import pytest

from voxgate.engines.moonshine_stt import Moonshine
from voxgate.engines.whisper_stt import LANGUAGES as WHISPER
from voxgate.text.identify import identify
from voxgate.text.phrases import Phrase, phrase


@pytest.mark.parametrize("which", Phrase)
@pytest.mark.parametrize("language", sorted({*Moonshine.languages, *WHISPER}))
def test_every_language_that_is_heard_has_them(language: str, which: Phrase) -> None:
    text, tag = phrase(which, language)
    assert tag == language.split("-")[0]
    assert identify(text, [tag, "en" if tag != "en" else "vi"], "") == tag
    assert 10 <= len(text) <= 70


def test_variants_and_others() -> None:
    assert phrase(Phrase.ASK_AGAIN, "en-SG") == phrase(Phrase.ASK_AGAIN, "en")
    assert phrase(Phrase.APOLOGY, "am") == phrase(Phrase.APOLOGY, "en")
    assert len({phrase(which, "en") for which in Phrase}) == len(Phrase)
