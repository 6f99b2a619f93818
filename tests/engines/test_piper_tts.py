"""The Piper engine through its port, with its two processes."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.conftest import Recorder, absent, stored
from tests.engines.piper_voice import NAME, converted_voice
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Recognition, Speech, Utterance
from voxgate.engines import espeak_process, moonshine_stt
from voxgate.engines.piper_tts import PLUGIN, RATE, PiperSettings, PiperTts
from voxgate.errors import Code, EngineError, PeerError
from voxgate.ports import EngineContext, TextToSpeech

LONG = "The quick brown fox jumps over the lazy dog and then he runs back to the forest to sleep all night."


def test_the_plugin_says_what_it_needs() -> None:
    assert PLUGIN.models(PiperSettings()) == (NAME,)
    assert PLUGIN.requires == (("espeakng_loader", "pip install 'voxgate[espeak]'"),)


def test_settings_reject_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        PiperSettings.model_validate({"voice": {}})
    with pytest.raises(ValidationError):
        PiperSettings.model_validate({"voices": {}})


async def test_without_espeak_the_engine_is_unavailable(metrics: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_process, "find_spec", lambda _name: None)
    with pytest.raises(EngineError) as caught:
        await PLUGIN.create(EngineContext("piper", {NAME: Path("nowhere")}, metrics, 1), PiperSettings())
    assert caught.value.code is Code.ENGINE_UNAVAILABLE


@pytest.fixture
async def piper(metrics: Recorder) -> AsyncIterator[PiperTts]:
    if find_spec("espeakng_loader") is None:
        absent("espeak", "the extra voxgate[espeak]")
    engine = await PLUGIN.create(EngineContext("piper", {NAME: converted_voice()}, metrics, 2), PiperSettings())
    yield engine
    await engine.aclose()


async def say(engine: PiperTts, text: str, voice: str = "joe", speed: float = 1.0) -> list[Speech]:
    async with engine.open(Utterance(text, voice, speed=speed)) as stream:
        return [speech async for speech in stream]


def length(heard: list[Speech]) -> int:
    return sum(speech.samples.size for speech in heard)


@pytest.mark.slow
async def test_it_is_the_port_and_names_its_voices(piper: PiperTts) -> None:
    assert isinstance(piper, TextToSpeech)
    assert [voice.id for voice in piper.voices] == ["joe", "joe+115", "joe+130"]
    assert all(not voice.commercial and "lessac" in voice.licence for voice in piper.voices)
    with pytest.raises(PeerError, match="no voice 'jane'"):
        piper.open(Utterance("hello", "jane"))


@pytest.mark.slow
async def test_words_cover_the_text_in_order(piper: PiperTts) -> None:
    text = 'In the 45 houses of the "old" town - Mr. Smith paid $3.50 — yes! And then, he left.'
    heard = await say(piper, text)
    words = [word for speech in heard for word in speech.words]
    assert " ".join(word.text for word in words) == text
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= length(heard)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", " ", "...", "—", "😀", "\x00"])
async def test_a_text_without_letters_is_silent(piper: PiperTts, text: str) -> None:
    assert await say(piper, text) == []


@pytest.mark.slow
async def test_other_scripts_and_emoji_are_got_over(piper: PiperTts, metrics: Recorder) -> None:
    for text in ("😀 hello 你好 Привет سلام", "ไทย", "<b>bold</b> *so*", "x" * 500, "1" * 60):
        assert length(await say(piper, text)) > 0, text


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "speed"), [("joe", 1), ("joe", 0.5), ("joe", 1.5), ("joe+115", 1), ("joe+130", 1)])
async def test_a_recognizer_understands_it(piper: PiperTts, metrics: Recorder, voice: str, speed: float) -> None:
    model = stored(moonshine_stt.MODEL)
    if not (model / "enc.onnx").exists():
        absent("models", f"the model {moonshine_stt.MODEL}")
    context = EngineContext("moonshine", {moonshine_stt.MODEL: model}, metrics, 1)
    recognizer = await moonshine_stt.create(context, moonshine_stt.MoonshineSettings())
    try:
        heard = await say(piper, "Please hold the line, while I look that up for you.", voice, speed)
        resampler = Resampler(RATE, SPEECH_RATE)
        audio = np.concatenate([resampler.feed(np.concatenate([each.samples for each in heard])), resampler.flush()])
        transcript = await recognizer.recognize(Recognition(audio))
    finally:
        await recognizer.aclose()
    words = transcript.text.lower().replace(",", "").rstrip(".").split()
    assert words == ["please", "hold", "the", "line", "while", "i", "look", "that", "up", "for", "you"]


@pytest.mark.slow
async def test_the_same_text_gives_the_same_audio(piper: PiperTts) -> None:
    one, two = [np.concatenate([each.samples for each in await say(piper, LONG)]) for _ in range(2)]
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("speed", [0.25, 0.5, 1.3, 2.0])
async def test_speed_is_within_five_percent(piper: PiperTts, speed: float) -> None:
    text = f"{LONG} {LONG}"
    assert length(await say(piper, text)) / length(await say(piper, text, speed=speed)) == pytest.approx(
        speed, rel=0.05
    )


@pytest.mark.slow
async def test_the_first_audio_comes_long_before_the_last(piper: PiperTts) -> None:
    began = time.perf_counter()
    async with piper.open(Utterance(LONG, "joe")) as stream:
        await anext(stream)
        first = time.perf_counter() - began
        async for _ in stream:
            pass
    assert first < 0.5 * (time.perf_counter() - began)


@pytest.mark.slow
async def test_leaving_frees_the_voice_within_a_tenth_of_a_second(piper: PiperTts, metrics: Recorder) -> None:
    async with piper.open(Utterance(LONG, "joe", speed=0.25)) as stream:
        await anext(stream)
    left = time.perf_counter()
    while metrics.gauges["active", "piper"]:
        await asyncio.sleep(0.002)
        assert time.perf_counter() - left < 2.0  # 0.1 on an idle machine; tests share theirs


@pytest.mark.slow
async def test_a_worker_that_is_killed_fails_one_speech_and_no_other(piper: PiperTts) -> None:
    text = " ".join([LONG] * 3)
    with pytest.raises(EngineError) as caught:
        async with piper.open(Utterance(text, "joe", speed=0.25)) as stream:
            await anext(stream)
            os.kill(piper.pids[0], signal.SIGKILL)
            async for _ in stream:
                pass
    assert caught.value.retryable
    assert length(await say(piper, "Still here.")) > RATE / 2


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.slow
async def test_a_very_long_text_takes_no_more_memory_than_a_long_one(piper: PiperTts) -> None:
    sentence = f"{LONG} "
    await say(piper, sentence * 3)
    before = resident_mb(piper.pids[0])
    read = 0
    async with piper.open(Utterance((sentence * 101)[:10_000], "joe")) as stream:
        async for speech in stream:
            read += speech.samples.size
            if read > 60 * RATE:
                break
    assert read > 60 * RATE
    assert resident_mb(piper.pids[0]) - before < 150


@pytest.mark.slow
async def test_readers_that_do_not_read_keep_nobody_waiting(piper: PiperTts) -> None:
    text = " ".join([LONG] * 10)
    async with asyncio.TaskGroup() as group:
        stop = asyncio.Event()

        async def lazy() -> None:
            async with piper.open(Utterance(text, "joe")) as stream:
                await anext(stream)
                await stop.wait()

        for _ in range(20):
            group.create_task(lazy())
        async with asyncio.timeout(60):
            assert length(await say(piper, "Sure.")) > 0
        stop.set()


@pytest.mark.slow
async def test_espeak_stays_out_of_this_process(piper: PiperTts) -> None:
    assert await say(piper, "Sure.")
    assert "espeakng_loader" not in sys.modules
    assert "espeak" not in Path("/proc/self/maps").read_text(encoding="utf-8")
    speaking, _ = piper.pids
    assert "espeak" not in Path(f"/proc/{speaking}/maps").read_text(encoding="utf-8")
