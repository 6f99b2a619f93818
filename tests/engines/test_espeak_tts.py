import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec

import numpy as np
import pytest

from tests.conftest import Recorder, absent
from voxgate.domain import Speech, Utterance
from voxgate.engines.espeak_tts import LANGUAGES, PLUGIN, EspeakSettings, EspeakTts, words
from voxgate.engines.espeak_worker import Said
from voxgate.errors import Code, PeerError
from voxgate.languages import all_languages
from voxgate.ports import EngineContext, TextToSpeech


def told(piece: str, starts: tuple[tuple[int, int], ...], size: int) -> list[tuple[str, int, int]]:
    said = Said(np.zeros(size, np.float32), 22_050, starts)
    return [(word.text, word.start, word.end) for word in words(piece, said)]


def test_a_word_lasts_until_the_next_one() -> None:
    assert told("one two.", ((0, 10), (4, 60)), 100) == [("one", 10, 60), ("two.", 60, 100)]


def test_a_number_that_is_told_thrice_is_one_word() -> None:
    assert told("in 45 b", ((0, 0), (3, 50), (3, 70), (4, 80), (6, 90)), 100) == [
        ("in", 0, 50),
        ("45", 50, 90),
        ("b", 90, 100),
    ]


def test_words_run_together_share_their_time_by_length() -> None:
    assert told("in the town", ((0, 0), (7, 50)), 100) == [("in", 0, 20), ("the", 20, 50), ("town", 50, 100)]


def test_the_same_word_twice_is_found_twice() -> None:
    assert told("no no", ((0, 5), (3, 50)), 90) == [("no", 5, 50), ("no", 50, 90)]


def test_a_piece_of_which_nothing_is_told_still_has_its_words() -> None:
    assert told("- a b", (), 90) == [("- a", 0, 67), ("b", 67, 90)]


def test_every_language_offered_is_one_of_ours() -> None:
    assert set(LANGUAGES) <= {language.tag for language in all_languages()}


@pytest.fixture
async def espeak(metrics: Recorder) -> AsyncIterator[EspeakTts]:
    if find_spec("espeakng_loader") is None:
        absent("espeak", "the extra voxgate[espeak]")
    engine = await PLUGIN.create(EngineContext("espeak", {}, metrics, 2), EspeakSettings())
    yield engine
    await engine.aclose()


async def say(engine: EspeakTts, utterance: Utterance) -> list[Speech]:
    async with engine.open(utterance) as stream:
        return [speech async for speech in stream]


@pytest.mark.slow
async def test_it_is_the_port(espeak: EspeakTts) -> None:
    assert isinstance(espeak, TextToSpeech)
    assert {voice.quality for voice in espeak.voices} == {"plain"}
    assert {voice.gender for voice in espeak.voices} == {"male", "female"}


@pytest.mark.slow
async def test_every_language_of_the_default_installation_is_spoken(espeak: EspeakTts) -> None:
    texts = {
        "en": "Hello there.",
        "vi": "Xin chào.",
        "zh": "你好。",
        "ko": "안녕하세요.",
        "th": "สวัสดีครับ",
        "id": "Selamat pagi.",
    }
    texts |= {"ms": "Selamat pagi.", "ta": "வணக்கம்", "am": "ሰላም።", "ti": "ሰላም።", "om": "Akkam jirta."}
    voices = {voice.languages[0]: voice.id for voice in reversed(espeak.voices)}
    assert set(texts) <= set(voices)
    for tag, text in texts.items():
        heard = await say(espeak, Utterance(text, voices[tag], tag))
        assert sum(speech.samples.size for speech in heard) > 0.2 * 22_050, tag
        assert [word.text for speech in heard for word in speech.words] == text.split(), tag


@pytest.mark.slow
async def test_an_unknown_voice_is_the_clients_mistake(espeak: EspeakTts) -> None:
    with pytest.raises(PeerError) as caught:
        espeak.open(Utterance("hello", "en-us+nobody"))
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_VOICE, "voice")


@pytest.mark.slow
async def test_the_library_stays_out_of_this_process(espeak: EspeakTts) -> None:
    assert await say(espeak, Utterance("hello", "en-us"))
    assert "espeakng_loader" not in sys.modules
    with open("/proc/self/maps", encoding="utf-8") as maps:
        assert "espeak" not in maps.read()
