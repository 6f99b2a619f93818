"""The Kokoro engine through its port, with its two processes."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.conftest import Recorder, absent, stored
from tests.engines.kokoro_model import MODEL, VOICES, folders
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Recognition, Speech, Utterance
from voxgate.engines import espeak_process, kokoro_tts, moonshine_stt
from voxgate.engines.kokoro_tts import PLUGIN, KokoroSettings, KokoroTts
from voxgate.engines.kokoro_worker import RATE
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.ports import EngineContext, TextToSpeech

LONG = "The quick brown fox jumps over the lazy dog and then he runs back to the forest to sleep all night."


def test_the_plugin_says_what_it_needs() -> None:
    assert PLUGIN.models(KokoroSettings()) == (MODEL, VOICES)
    assert PLUGIN.requires == (("espeakng_loader", "pip install 'voxgate[espeak]'"),)


def test_settings_reject_what_they_do_not_know() -> None:
    for wrong in ({"voice": "af_heart"}, {"first_words": -1}, {"wait_s": 0}, {"cache_mb": -1}):
        with pytest.raises(ValidationError):
            KokoroSettings.model_validate(wrong)


async def test_without_espeak_the_engine_is_unavailable(metrics: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_process, "find_spec", lambda _name: None)
    found = {MODEL: Path("nowhere"), VOICES: Path("nowhere")}
    with pytest.raises(EngineError) as caught:
        await PLUGIN.create(EngineContext("kokoro", found, metrics, 1), KokoroSettings())
    assert caught.value.code is Code.ENGINE_UNAVAILABLE


async def start(metrics: Recorder, **settings: float) -> KokoroTts:
    if find_spec("espeakng_loader") is None:
        absent("espeak", "the extra voxgate[espeak]")
    engine: KokoroTts = await PLUGIN.create(
        EngineContext("kokoro", folders(), metrics, 1), KokoroSettings.model_validate(settings)
    )
    return engine


@pytest.fixture
async def kokoro(metrics: Recorder) -> AsyncIterator[KokoroTts]:
    engine = await start(metrics)
    yield engine
    await engine.aclose()


async def say(engine: KokoroTts, text: str, voice: str = "af_heart", speed: float = 1.0) -> list[Speech]:
    async with engine.open(Utterance(text, voice, speed=speed)) as stream:
        return [speech async for speech in stream]


def length(heard: list[Speech]) -> int:
    return sum(speech.samples.size for speech in heard)


@pytest.mark.slow
async def test_it_is_the_port_and_names_its_voices(kokoro: KokoroTts) -> None:
    assert isinstance(kokoro, TextToSpeech)
    spoken = {tag for voice in kokoro.voices for tag in voice.languages}
    assert {"en", "es", "fr", "it", "pt", "hi"} <= spoken
    assert all(voice.commercial and voice.licence == "Apache-2.0" for voice in kokoro.voices)
    genders = {voice.id: voice.gender for voice in kokoro.voices}
    assert (genders["af_heart"], genders["bm_george"]) == ("female", "male")
    with pytest.raises(PeerError, match="no voice 'jane'"):
        kokoro.open(Utterance("hello", "jane"))


@pytest.mark.slow
async def test_without_its_extra_a_language_is_not_offered_and_the_error_names_the_command(
    metrics: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kokoro_tts, "find_spec", lambda _name: None)
    engine = await start(metrics)
    try:
        assert {"zh", "ja"}.isdisjoint(tag for voice in engine.voices for tag in voice.languages)
        for voice, command in (("zf_xiaobei", "voxgate[kokoro-zh]"), ("jf_alpha", "voxgate[kokoro-ja]")):
            with pytest.raises(EngineError) as caught:
                engine.open(Utterance("你好", voice, "zh"))
            assert caught.value.code is Code.ENGINE_UNAVAILABLE
            assert command in caught.value.message
    finally:
        await engine.aclose()


@pytest.mark.slow
async def test_words_cover_the_text_in_order(kokoro: KokoroTts) -> None:
    text = 'In the 45 houses of the "old" town - Mr. Smith paid $3.50 — yes! And then, he left.'
    heard = await say(kokoro, text)
    words = [word for speech in heard for word in speech.words]
    assert " ".join(word.text for word in words) == text
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= length(heard)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", " ", "...", "—", "😀", "\x00"])
async def test_a_text_without_letters_is_silent(kokoro: KokoroTts, text: str) -> None:
    assert await say(kokoro, text) == []


@pytest.mark.slow
async def test_other_scripts_and_emoji_are_got_over(kokoro: KokoroTts) -> None:
    for text in ("😀 hello 你好", "<b>bold</b> *so*", "x" * 300, "1" * 60):
        assert length(await say(kokoro, text)) > 0, text


@pytest.mark.slow
@pytest.mark.parametrize("voice", ["af_heart", "am_michael", "bf_emma"])
async def test_a_recognizer_understands_it(kokoro: KokoroTts, metrics: Recorder, voice: str) -> None:
    model = stored(moonshine_stt.MODEL)
    if not (model / "enc.onnx").exists():
        absent("models", f"the model {moonshine_stt.MODEL}")
    context = EngineContext("moonshine", {moonshine_stt.MODEL: model}, metrics, 1)
    recognizer = await moonshine_stt.create(context, moonshine_stt.MoonshineSettings())
    try:
        heard = await say(kokoro, "Please hold the line, while I look that up for you.", voice)
        resampler = Resampler(RATE, SPEECH_RATE)
        audio = np.concatenate([resampler.feed(np.concatenate([each.samples for each in heard])), resampler.flush()])
        transcript = await recognizer.recognize(Recognition(audio))
    finally:
        await recognizer.aclose()
    words = transcript.text.lower().replace(",", "").replace(".", "").split()
    assert words == ["please", "hold", "the", "line", "while", "i", "look", "that", "up", "for", "you"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("ef_dora", "Su cita es mañana."),
        ("ff_siwis", "Votre rendez-vous est demain."),
        ("if_sara", "Il suo appuntamento è domani."),
        ("pf_dora", "A sua consulta é amanhã."),
        ("hf_alpha", "आपका समय कल है।"),
    ],
)
async def test_every_language_speaks_and_no_phoneme_is_lost(
    kokoro: KokoroTts, metrics: Recorder, voice: str, text: str
) -> None:
    assert RATE * 0.6 < length(await say(kokoro, text, voice)) < RATE * 4
    assert ("dropped_phonemes", "kokoro") not in metrics.counted


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "text"), [("zf_xiaoxiao", "你好，世界。"), ("jf_alpha", "こんにちは、世界。")])
async def test_chinese_and_japanese_speak_where_their_readers_are(
    kokoro: KokoroTts, metrics: Recorder, voice: str, text: str
) -> None:
    if voice not in {each.id for each in kokoro.voices}:
        absent("kokoro-extras", "a reader for Chinese or Japanese")
    heard = await say(kokoro, text, voice)
    assert RATE * 0.6 < length(heard) < RATE * 4
    assert "".join(word.text for speech in heard for word in speech.words) == text
    assert ("dropped_phonemes", "kokoro") not in metrics.counted


@pytest.mark.slow
async def test_the_second_time_costs_nothing_and_sounds_the_same(kokoro: KokoroTts, metrics: Recorder) -> None:
    first = await say(kokoro, "Hello, how can I help?")
    again = await say(kokoro, "Hello, how can I help?")
    assert metrics.counted.count(("cache_hit", "kokoro")) == 1
    assert [each.words for each in again] == [each.words for each in first]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.samples, two.samples)
    await say(kokoro, "Hello, how can I help?", speed=1.2)
    await say(kokoro, "Hello, how can I help?", "af_bella")
    assert metrics.counted.count(("cache_hit", "kokoro")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("speed", [0.25, 0.7, 1.4, 2.5])
async def test_speed_is_within_eight_percent(kokoro: KokoroTts, speed: float) -> None:
    text = "Your appointment is tomorrow at three."
    assert length(await say(kokoro, text)) / length(await say(kokoro, text, speed=speed)) == pytest.approx(
        speed, rel=0.08
    )


@pytest.mark.slow
async def test_leaving_frees_the_core_within_a_tenth_of_a_second(metrics: Recorder) -> None:
    engine = await start(metrics, first_words=0)
    try:
        async with engine.open(Utterance(LONG, "af_heart", speed=0.7)):
            while not metrics.gauges.get(("active", "kokoro")):
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.3)  # somewhere in the middle of 4 s of work
        left = time.perf_counter()
        while metrics.gauges["active", "kokoro"]:
            await asyncio.sleep(0.002)
            assert time.perf_counter() - left < 2.0  # 0.1 on an idle machine; tests share theirs
    finally:
        await engine.aclose()


@pytest.mark.slow
async def test_a_full_house_is_busy_and_prompts_are_served_all_the_same(metrics: Recorder) -> None:
    engine = await start(metrics, wait_s=0.2)
    try:
        await say(engine, "One moment.")
        async with engine.open(Utterance(LONG, "af_heart")) as stream:
            await anext(stream)
            with pytest.raises(RefusedError) as caught:
                await say(engine, "Somebody else.")
            assert caught.value.code is Code.BUSY
            assert length(await say(engine, "One moment.")) > RATE / 3
        assert length(await say(engine, "Somebody else.")) > RATE / 3
    finally:
        await engine.aclose()


@pytest.mark.slow
async def test_a_worker_that_is_killed_is_replaced_and_its_phrase_said_again(
    kokoro: KokoroTts, metrics: Recorder
) -> None:
    whole = length(await say(kokoro, "Please hold the line for a moment."))
    async with kokoro.open(Utterance("Please hold the line for a moment.", "af_bella")) as stream:
        while not metrics.gauges[("active", "kokoro")]:
            await asyncio.sleep(0.002)
        os.kill(kokoro.pids[0], signal.SIGKILL)
        again = [speech async for speech in stream]
    assert 0.6 * whole < length(again) < 1.6 * whole
    assert ("worker_restart", "kokoro") in metrics.counted


@pytest.mark.slow
async def test_closing_ends_both_processes(metrics: Recorder) -> None:
    engine = await start(metrics)
    pids = engine.pids
    assert len(pids) == 2
    await engine.aclose()
    await engine.aclose()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.slow
async def test_memory_stays_flat(metrics: Recorder) -> None:
    engine = await start(metrics, cache_mb=0)
    try:
        before = []
        for _ in range(3):
            await say(engine, LONG)
            before.append(resident_mb(engine.pids[0]))
        for number in range(5):
            await say(engine, f"Number {number} is short.")
        for _ in range(3):
            await say(engine, LONG)
        # what malloc keeps of one long text varies by 150 MB from run to run; a leak of every text would add up
        assert resident_mb(engine.pids[0]) - max(before) < 300
    finally:
        await engine.aclose()


@pytest.mark.slow
async def test_espeak_stays_out_of_the_speaking_process(kokoro: KokoroTts) -> None:
    assert await say(kokoro, "Sure.")
    speaking, reading = kokoro.pids
    assert "espeak" not in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert "espeak" not in Path(f"/proc/{speaking}/maps").read_text(encoding="utf-8")
    assert "espeak" in Path(f"/proc/{reading}/maps").read_text(encoding="utf-8")
