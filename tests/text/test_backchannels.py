import time

import pytest

from voxgate.engines.moonshine_stt import Moonshine
from voxgate.engines.whisper_stt import LANGUAGES as WHISPER
from voxgate.languages import all_languages
from voxgate.text.backchannels import MOST, is_backchannel


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Mm-hmm.", "en"),
        ("Uh-huh, yeah.", "en-SG"),
        ("Mmmmm", "en"),
        ("Okay, I see.", "en"),
        ("Dạ, vâng ạ.", "vi"),
        ("ừừ", "vi"),
        ("嗯嗯，对对", "zh"),
        ("うんうん、なるほど", "ja"),
        ("네네, 그렇군요", "ko"),
        ("อ๋อครับ", "th"),
        ("oh begitu, iya", "id"),
        ("betul tu", "ms"),
        ("እሺ", "am"),
        ("ok", "xx"),
    ],
)
def test_a_listener_listens(text: str, language: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("...", "en"),
        ("no", "en"),
        ("wait", "en"),
        ("stop", "en"),
        ("what", "en"),
        ("yeah but", "en"),
        ("okay stop", "en"),
        ("vâng", "en"),
        ("không", "vi"),
        ("khoan đã", "vi"),
        ("不是", "zh"),
        ("ううん", "ja"),
        ("아니", "ko"),
        ("ไม่", "th"),
        ("tidak", "id"),
        ("yeah", "xx"),
    ],
)
def test_a_listener_wants_something(text: str, language: str) -> None:
    assert not is_backchannel(text, language)


def test_too_many_of_them_are_impatience() -> None:
    assert is_backchannel(" ".join(["yeah"] * MOST), "en")
    assert not is_backchannel(" ".join(["yeah"] * (MOST + 1)), "en")


@pytest.mark.parametrize("language", sorted({*Moonshine.languages, *WHISPER} | {each.tag for each in all_languages()}))
def test_every_language_that_is_heard_has_its_own(language: str) -> None:
    own = {
        "en": "yeah",
        "vi": "vâng",
        "zh": "明白",
        "ja": "なるほど",
        "ko": "그래요",
        "th": "ครับ",
        "id": "betul",
        "ms": "betul",
    }
    own |= {"yue": "係", "ta": "சரி", "fil": "opo", "am": "አዎ", "ti": "እወ", "om": "tole", "so": "haa", "hi": "अच्छा"}
    own |= {"es": "claro", "fr": "d’accord", "de": "genau", "it": "certo", "pt": "entendi"}
    assert is_backchannel(own[language.split("-")[0]], language)


def test_a_long_text_costs_nothing() -> None:
    began = time.perf_counter()
    assert not is_backchannel("yeah " * 100_000, "en")
    assert time.perf_counter() - began < 5
