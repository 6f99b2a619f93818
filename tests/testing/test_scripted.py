import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Recorder
from tests.virtual import run
from voxgate.domain import SPEECH_RATE, Recognition, Speech, Utterance
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.ports import EngineContext, LanguageModel, SpeechToText, TextToSpeech, Vad
from voxgate.testing import scripted
from voxgate.testing.scripted import (
    Failures,
    Script,
    ScriptedLanguageModel,
    ScriptedLlmSettings,
    ScriptedSpeechToText,
    ScriptedSttSettings,
    ScriptedTextToSpeech,
    ScriptedTtsSettings,
    ScriptedVad,
    ScriptedVadSettings,
    spread,
    tone,
)

SOUND = tone(4, word_ms=250, rate=SPEECH_RATE)
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "how are you"}]}


async def test_the_plugins_make_what_they_say(metrics: Recorder) -> None:
    kinds: dict[str, Any] = {"stt": SpeechToText, "tts": TextToSpeech, "llm": LanguageModel, "vad": Vad}
    for plugin in (scripted.STT_PLUGIN, scripted.TTS_PLUGIN, scripted.LLM_PLUGIN, scripted.VAD_PLUGIN):
        settings = plugin.settings()
        assert plugin.models(settings) == ()
        engine: Any = await plugin.create(EngineContext("scripted", {}, metrics, 2), settings)
        assert isinstance(engine, kinds[plugin.port])
        await engine.aclose()


async def test_failures_come_on_their_turn() -> None:
    script = Script("x", Failures(fail_every=2, busy_every=3))
    outcomes: list[str] = []
    for _ in range(6):
        try:
            await script.step()
            outcomes.append("ok")
        except EngineError as error:
            assert error.retryable
            outcomes.append("fail")
        except RefusedError as error:
            assert error.code is Code.BUSY
            outcomes.append("busy")
    assert outcomes == ["ok", "fail", "busy", "fail", "ok", "busy"]


async def test_a_hanging_request_ends_when_its_caller_leaves() -> None:
    engine = ScriptedSpeechToText("x", ScriptedSttSettings(hang_every=2))
    assert (await engine.recognize(Recognition(SOUND))).text
    task = asyncio.ensure_future(engine.recognize(Recognition(SOUND)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_recognition_costs_what_is_set() -> None:
    async def scenario() -> float:
        engine = ScriptedSpeechToText("x", ScriptedSttSettings(decode_ms=50, decode_ms_per_second=30))
        await engine.recognize(Recognition(SOUND))
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(0.08)


async def test_recognition_hears_its_text_in_sound_and_nothing_in_silence() -> None:
    engine = ScriptedSpeechToText("x", ScriptedSttSettings(text="one two"))
    heard = await engine.recognize(Recognition(SOUND, words=True))
    assert [(word.text, word.start, word.end) for word in heard.words] == [("one", 0, 8000), ("two", 8000, 16000)]
    assert (await engine.recognize(Recognition(SOUND))).words == ()
    assert (await engine.recognize(Recognition(np.zeros(16_000, np.float32)))).text == ""
    assert (await engine.recognize(Recognition(np.zeros(0, np.float32)))).text == ""


@given(st.text(max_size=40), st.integers(0, 100_000))
def test_words_are_spread_without_gap_or_overlap(text: str, samples: int) -> None:
    words = spread(text, samples)
    assert [word.text for word in words] == text.split()
    edges = [0, *(word.end for word in words)]
    assert [word.start for word in words] == edges[:-1]
    assert not words or edges[-1] == samples


@given(words=st.integers(0, 5), word_ms=st.floats(1, 500), rate=st.sampled_from([8_000, 16_000, 24_000, 48_000]))
def test_tones_are_as_long_as_asked_within_full_scale_and_start_at_rest(words: int, word_ms: float, rate: int) -> None:
    audio = tone(words, word_ms=word_ms, rate=rate)
    assert audio.dtype == np.float32
    assert audio.shape == (words * round(rate * word_ms / 1000),)
    assert not audio.size or (np.abs(audio).max() <= 0.5 and abs(audio[0]) < 1e-6 and audio[-1] == 0)


def test_speech_costs_what_is_set_and_tells_where_words_begin() -> None:
    spoken, came = list[Speech](), list[float]()

    async def scenario() -> None:
        settings = ScriptedTtsSettings(first_audio_ms=20, piece_ms=5, word_ms=250, piece_audio_ms=200)
        engine = ScriptedTextToSpeech("x", settings)
        async with engine.open(Utterance("one two", "tone")) as pieces:
            async for piece in pieces:
                came.append(round(asyncio.get_running_loop().time(), 3))
                spoken.append(piece)
                await asyncio.sleep(0.003)  # what is done with one does not put off the next

    run(scenario())
    assert came == [0.02, 0.025, 0.03]
    assert [piece.samples.size for piece in spoken] == [4800, 4800, 2400]
    assert [[(word.text, word.start) for word in piece.words] for piece in spoken] == [
        [("one", 0)],
        [("two", 6000)],
        [],
    ]


async def test_speed_is_pace_and_voices_differ() -> None:
    engine = ScriptedTextToSpeech("x", ScriptedTtsSettings())

    async def say(**how: Any) -> np.ndarray[Any, Any]:
        async with engine.open(Utterance("one two", **how)) as pieces:
            return np.concatenate([piece.samples async for piece in pieces])

    plain, fast, high = await say(voice="tone"), await say(voice="tone", speed=2.0), await say(voice="high-tone")
    assert (plain.size, fast.size) == (12_000, 6_000)

    def pitch(audio: np.ndarray[Any, Any]) -> float:
        word = audio[:4_000]
        return float(np.argmax(np.abs(np.fft.rfft(word)))) * 24_000 / word.size

    assert pitch(plain) == pytest.approx(220, abs=6)
    assert pitch(fast) == pytest.approx(220, abs=10)
    assert pitch(high) == pytest.approx(440, abs=6)


async def test_a_voice_that_is_not_scripted() -> None:
    engine = ScriptedTextToSpeech("x", ScriptedTtsSettings())
    with pytest.raises(PeerError) as caught:
        async with engine.open(Utterance("one", "aria")):
            pass
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED_VOICE, "voice")


async def chat(engine: ScriptedLanguageModel, **more: Any) -> list[dict[str, Any]]:
    async with engine.open(ASK | more) as answer:
        return [one async for one in answer]


@pytest.mark.parametrize("streaming", [True, False])
def test_an_answer_costs_what_is_set(streaming: bool) -> None:
    async def scenario() -> float:
        engine = ScriptedLanguageModel("x", ScriptedLlmSettings(text="a b c", first_token_ms=50, token_ms=10))
        await chat(engine, stream=streaming)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(0.07)


async def test_an_answer_in_pieces_is_the_whole_answer() -> None:
    engine = ScriptedLanguageModel("x", ScriptedLlmSettings(text="Good  morning, all."))
    [whole] = await chat(engine)
    pieces = await chat(engine, stream=True, stream_options={"include_usage": True})
    text = "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces[:-1])
    assert text == whole["choices"][0]["message"]["content"] == "Good  morning, all."
    assert pieces[-1]["usage"] == whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert whole["id"] != pieces[0]["id"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_is_cut_where_asked(field: str) -> None:
    engine = ScriptedLanguageModel("x", ScriptedLlmSettings(text="a b c"))
    [whole] = await chat(engine, **{field: 2})
    [choice] = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("a b", "length")


async def test_usage_is_known_also_when_it_is_not_shown() -> None:
    engine = ScriptedLanguageModel("x", ScriptedLlmSettings(text="a b c"))
    async with engine.open(ASK | {"stream": True}) as answer:
        assert not any("usage" in one for one in [one async for one in answer])
        assert answer.usage == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user"}, {}]}, "messages[1]"),
        (ASK | {"max_tokens": "2"}, "max_tokens"),
        (ASK | {"max_tokens": -1}, "max_tokens"),
    ],
)
async def test_requests_that_make_no_sense(body: dict[str, Any], param: str) -> None:
    engine = ScriptedLanguageModel("x", ScriptedLlmSettings())
    with pytest.raises(PeerError) as caught:
        async with engine.open(body):
            pass
    assert caught.value.param == param


def test_what_is_loud_is_speech() -> None:
    vad = ScriptedVad(ScriptedVadSettings())
    stream = vad.open()
    assert stream.probability(SOUND[: vad.window]) == 1.0
    assert stream.probability(np.zeros(vad.window, np.float32)) == 0.0
