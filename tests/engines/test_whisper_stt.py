"""The whole engine with the real model: what it hears, what it does not, and what becomes of callers."""

import asyncio
import csv
import os
import signal
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from tests.conftest import SHARED, Recorder
from tests.engines.moonshine_data import recorded, spoken
from tests.engines.whisper_data import model
from voxgate.domain import Recognition, Samples, Transcript
from voxgate.engines.whisper_stt import LANGUAGES, MODEL, PLUGIN, Whisper, WhisperSettings
from voxgate.errors import Code, MisuseError, PeerError
from voxgate.ports import EngineContext, LanguageIdentifier, SpeechToText
from voxgate.text.wer import normalize, wer

NAMES = ("Ojukwu", "Kowalczyk", "Nguyen", "Voxgate", "Tadesse", "Wambui", "Adichie", "Zoltan", "Okonkwo", "Siobhan")
REFUSED = ("fil", "ta", "am", "so", "ti", "om", "yue")


@pytest_asyncio.fixture
async def engine(metrics: Recorder) -> AsyncIterator[Whisper]:
    engine = await PLUGIN.create(EngineContext("whisper", {MODEL: model()}, metrics, cores=2), WhisperSettings())
    yield engine
    await engine.aclose()


def clips(wanted: str) -> list[tuple[str, str]]:
    """(file, transcript) of the shared recordings in one language."""
    if not (SHARED / "audio" / "transcripts.tsv").exists():
        return []
    with (SHARED / "audio" / "transcripts.tsv").open(encoding="utf-8") as table:
        rows = csv.DictReader(table, delimiter="\t")
        return [(row["file"], row["transcript"]) for row in rows if row["language"] == wanted]


def test_the_plugin_names_its_model_without_loading_anything() -> None:
    assert PLUGIN.port == "stt"
    assert PLUGIN.models(WhisperSettings()) == (MODEL,)


def test_no_language_is_claimed_that_was_found_unusable() -> None:
    assert not set(REFUSED) & set(LANGUAGES)
    assert {tag for tag, quality in LANGUAGES.items() if quality == "weak"} == {"th", "ms"}


@pytest.mark.slow
async def test_it_is_both_ports(engine: Whisper) -> None:
    assert isinstance(engine, SpeechToText)
    assert isinstance(engine, LanguageIdentifier)


@pytest.mark.slow
async def test_vietnamese_is_heard(engine: Whisper, shared: Path) -> None:
    """vi_vivos01_009 among them, which the model holds for silence with .6 to .8."""
    found = [(text, (await engine.recognize(Recognition(recorded(file), "vi"))).text) for file, text in clips("vi")]
    assert len(found) == 4
    assert all(heard for _, heard in found)
    assert wer(found) <= 0.36


@pytest.mark.slow
async def test_english_is_heard_where_nobody_hears_it_better(engine: Whisper, shared: Path) -> None:
    found = [
        (text, (await engine.recognize(Recognition(recorded(file), "en"))).text)
        for file, text in clips("en")
        if file != "digits_10001.wav"
    ]
    assert wer(found) <= 0.12


@pytest.mark.slow
async def test_the_clip_that_loops_is_read_again(engine: Whisper, metrics: Recorder, shared: Path) -> None:
    heard = await engine.recognize(Recognition(recorded("ls_6930.wav"), "en"))
    assert normalize(heard.text)[1:] == "returned to its place amidst the tents".split()
    assert ("loop_retried", "whisper") in metrics.counted
    assert ("decode", "whisper") in metrics.observed


def not_speech() -> dict[str, Samples]:
    random = np.random.default_rng(0)
    t = np.arange(32_000) / 16_000
    return {
        "nothing": np.zeros(0, np.float32),
        "silence": np.zeros(480_000, np.float32),
        "white noise": np.asarray(random.standard_normal(48_000) * 0.01, np.float32),
        "loud noise": np.asarray(random.standard_normal(48_000) * 0.1, np.float32),
        "tone": np.asarray(0.3 * np.sin(2 * np.pi * 440 * t), np.float32),
        "DC": np.full(16_000, 0.3, np.float32),
        "click": np.asarray(np.eye(1, 16_000, 8_000)[0], np.float32),
    }


@pytest.mark.slow
async def test_nothing_is_heard_where_nothing_is_said(engine: Whisper) -> None:
    for name, audio in not_speech().items():
        for language in ("en", "vi", "th"):
            heard = await engine.recognize(Recognition(audio, language, words=True))
            assert heard == Transcript("", language), name


@pytest.mark.slow
@pytest.mark.parametrize("hints", [(), NAMES])
async def test_an_office_is_not_speech_and_brings_no_names_back(
    engine: Whisper, hints: tuple[str, ...], shared: Path
) -> None:
    for language in ("en", "vi", "id", "ja", "th"):
        heard = await engine.recognize(Recognition(recorded("noise_office.wav"), language, hints))
        assert heard.text == "", language


@pytest.mark.slow
async def test_a_low_voice_is_heard(engine: Whisper, shared: Path) -> None:
    audio = recorded("sense_0890.wav")
    loud, low = [(await engine.recognize(Recognition(audio * np.float32(level)))).text for level in (1, 0.003)]
    assert normalize(low) == normalize(loud)


@pytest.mark.slow
async def test_words_tile_the_text_and_lie_in_the_audio(engine: Whisper, shared: Path) -> None:
    for file, language in (("vi_vivos01_006.wav", "vi"), ("jfk.wav", "en"), ("ls_6930.wav", "en")):
        audio = recorded(file)
        heard = await engine.recognize(Recognition(audio, language, words=True))
        assert " ".join(word.text for word in heard.words) == heard.text
        assert all(one.end <= two.start for one, two in pairwise(heard.words))
        assert all(0 <= word.start < word.end <= len(audio) for word in heard.words)
        assert all(0 <= (word.confidence or 0) <= 1 for word in heard.words)
    assert 2.6 * 16_000 < heard.words[-1].start < 3.2 * 16_000, "'tents' is said at 2.9 s"


@pytest.mark.slow
async def test_names_that_are_told_are_spelled(engine: Whisper, tmp_path: Path) -> None:
    told = untold = 0
    for name in NAMES:
        audio = spoken(f"I was talking about {name} yesterday.", "slt", tmp_path)
        untold += name in (await engine.recognize(Recognition(audio, "en"))).text
        told += name in (await engine.recognize(Recognition(audio, "en", NAMES))).text
    assert told >= untold + 3


@pytest.mark.slow
async def test_hints_may_be_anything(engine: Whisper, shared: Path) -> None:
    audio = recorded("sense_0880.wav")
    plain = await engine.recognize(Recognition(audio, "en"))
    for hints in (
        ("\x00\x1b", "<|endoftext|>", "\u202e" * 50),
        ("x" * 10_000,),
        tuple(f"word{k}" for k in range(10_000)),
    ):
        heard = await engine.recognize(Recognition(audio, "en", hints))
        assert normalize(heard.text)[:3] == normalize(plain.text)[:3]
        assert "word1" not in heard.text


@pytest.mark.slow
async def test_languages_are_told(engine: Whisper, shared: Path) -> None:
    among = ("en", "vi", "id", "ja", "ko", "zh")
    for language in ("vi", "en"):
        for file, _ in clips(language):
            guesses = await engine.identify(recorded(file), among)
            assert guesses[0].language == language, file
            assert {guess.language for guess in guesses} == set(among)
            assert sum(guess.probability for guess in guesses) == pytest.approx(1)
            assert guesses[0].probability > 0.8 or file == "digits_10001.wav"
    assert await engine.identify(np.zeros(32_000, np.float32), among) == ()


@pytest.mark.slow
async def test_a_language_is_told_at_little_cost_once_the_audio_was_heard(engine: Whisper, shared: Path) -> None:
    audio = recorded("jfk.wav")
    await engine.recognize(Recognition(audio, "en"))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        await engine.identify(audio, ("en", "vi"))
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1, "22 ms measured; encoding it again takes 250"


@pytest.mark.slow
async def test_callers_get_their_own_answers(engine: Whisper, shared: Path) -> None:
    wanted = [(file, language) for language in ("vi", "en") for file, _ in clips(language)[:4]]
    alone = {file: (await engine.recognize(Recognition(recorded(file), tag))).text for file, tag in wanted}
    together = await asyncio.gather(*(engine.recognize(Recognition(recorded(file), tag)) for file, tag in wanted * 2))
    assert [heard.text for heard in together] == [alone[file] for file, _ in wanted * 2]


@pytest.mark.slow
async def test_a_worker_that_is_killed_is_replaced_and_the_utterance_repeated(
    engine: Whisper, metrics: Recorder, shared: Path
) -> None:
    audio = recorded("jfk.wav")
    pending = [asyncio.create_task(engine.recognize(Recognition(audio, "en"))) for _ in range(3)]
    while not metrics.gauges["active", "whisper"]:
        await asyncio.sleep(0)
    os.kill(engine._pool.pids[0], signal.SIGKILL)
    assert len({heard.text for heard in await asyncio.gather(*pending)}) == 1
    assert ("worker_restart", "whisper") in metrics.counted


@pytest.mark.slow
async def test_callers_who_leave_do_not_disturb_the_next(engine: Whisper, shared: Path) -> None:
    audio = recorded("sense_0880.wav")
    pending = [asyncio.create_task(engine.recognize(Recognition(audio, "en"))) for _ in range(6)]
    await asyncio.sleep(0)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    assert (await engine.recognize(Recognition(audio, "en"))).text.startswith("He was not")


@pytest.mark.slow
async def test_thirty_seconds_are_heard_and_more_is_our_fault(engine: Whisper, shared: Path) -> None:
    speech = np.tile(recorded("jfk.wav"), 3)
    heard = await engine.recognize(Recognition(speech[: 30 * 16_000], "en"))
    assert "what your country can do for you" in heard.text
    with pytest.raises(MisuseError, match=r"30\.1 s"):
        await engine.recognize(Recognition(speech[: int(30.1 * 16_000)], "en"))
    with pytest.raises(MisuseError):
        await engine.identify(speech[: 31 * 16_000], ("en",))


@pytest.mark.slow
async def test_what_it_does_not_hear_is_refused(engine: Whisper) -> None:
    for language in REFUSED:
        with pytest.raises(MisuseError, match=language):
            await engine.recognize(Recognition(np.zeros(16_000, np.float32), language))
    with pytest.raises(PeerError) as caught:
        await engine.recognize(Recognition(np.full(16_000, np.inf, np.float32), "vi"))
    assert caught.value.code is Code.INVALID_AUDIO
