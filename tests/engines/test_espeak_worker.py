"""espeak-ng itself, in the only place it may run: its own process."""

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec

import numpy as np
import pytest

from tests.conftest import Recorder, absent
from voxgate.engines.espeak_process import start_espeak
from voxgate.engines.espeak_worker import Phonemize, Probe, Said, Say
from voxgate.engines.pool import Pool
from voxgate.engines.voice_shape import LEVEL_DBFS, active_rms
from voxgate.errors import EngineError

pytestmark = pytest.mark.slow


@pytest.fixture
async def espeak(metrics: Recorder) -> AsyncIterator[Pool]:
    if find_spec("espeakng_loader") is None:
        absent("espeak", "the extra voxgate[espeak]")
    pool = await start_espeak("espeak", metrics)
    yield pool
    await pool.aclose()


async def test_phonemes_of_texts_and_of_single_words(espeak: Pool) -> None:
    answer = await espeak.call(Phonemize(("Hello, in the town.", "Hello,", "45", "..."), "en-us"))
    assert answer == ("həlˈoʊ ɪnðə tˈaʊn", "həlˈoʊ", "fˈɔːɹɾi fˈaɪv", "")


async def test_a_word_in_another_script_carries_no_language_marks(espeak: Pool) -> None:
    (ipa,) = await espeak.call(Phonemize(("日本",), "ja"))
    assert "(" not in ipa
    assert ipa


@pytest.mark.parametrize("text", ["", "\x00", "😀", "[[hello]]", "<speak>", "a" * 3000, "\ud7ff", "ﷺ" * 50, "\u202e"])
async def test_odd_texts_harm_nobody(espeak: Pool, text: str) -> None:
    (ipa,) = await espeak.call(Phonemize((text,), "en-us"))
    said: Said = await espeak.call(Say(text, "en-us", 1.0))
    assert isinstance(ipa, str)
    assert np.isfinite(said.samples).all()


async def test_an_unknown_voice_is_an_error_and_the_next_request_is_served(espeak: Pool) -> None:
    with pytest.raises(EngineError, match="no voice 'xx'"):
        await espeak.call(Phonemize(("hello",), "xx"))
    assert await espeak.call(Phonemize(("hello",), "en-us")) == ("həlˈoʊ",)


async def test_probing_tells_what_the_data_has(espeak: Pool) -> None:
    assert await espeak.call(Probe(("vi", "so", "am", "fil"))) == ("vi", "am")


@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "vi", "am", "cmn"])
async def test_every_voice_has_the_common_level(espeak: Pool, voice: str) -> None:
    said: Said = await espeak.call(Say("1 2 3 4 5.", voice, 1.0))
    assert active_rms(said.samples) == pytest.approx(LEVEL_DBFS, abs=1.5)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
async def test_speed_is_reached_and_word_starts_follow(espeak: Pool, speed: float) -> None:
    usual: Said = await espeak.call(Say("one two three four", "en-us", 1.0))
    said: Said = await espeak.call(Say("one two three four", "en-us", speed))
    assert usual.samples.size / said.samples.size == pytest.approx(speed, rel=0.02)
    assert [at for at, _ in said.starts] == [0, 4, 8, 14]
    assert said.starts[3][1] == pytest.approx(usual.starts[3][1] / speed, rel=0.02)


async def test_many_at_once_do_not_mix(espeak: Pool) -> None:
    words = ["hello", "town", "three", "house"] * 10
    alone = [(await espeak.call(Phonemize((word,), "en-us")))[0] for word in words]
    voices = ["en-us", "vi", "am"]
    mixed = await asyncio.gather(
        *(espeak.call(Phonemize((word,), "en-us")) for word in words),
        *(espeak.call(Say(word, voices[at % 3], 1.0)) for at, word in enumerate(words[:12])),
    )
    assert [answer[0] for answer in mixed[: len(words)]] == alone
