"""Engines that follow a script: what they say is set, what it costs is set, and they fail when told to.

With them a load test measures the server alone, and a test of an error needs no broken model. They are selected in
the configuration like any engine (`scripted_stt`, `scripted_tts`, `scripted_llm`). Costs are waits, not work: a machine
runs as many of them side by side as the server carries.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from itertools import count
from typing import Any

import numpy as np
from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import (
    SPEECH_RATE,
    LiveRecognition,
    Partial,
    Recognition,
    Samples,
    Speech,
    Transcript,
    Utterance,
    Voice,
    Word,
)
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.ports import EngineContext, EnginePlugin, LiveUtterance
from voxgate.testing.scripted_live import SILENCE_RMS, ScriptedUtterance, rms, sounds

_FADE_S = 0.005  # at both ends of a tone, so that it does not click
_GAP = 0.2  # of a tone word is silence, so that words can be told apart


class Failures(Settings):
    """When an engine fails on purpose. Requests are counted from 1; 0 means never."""

    fail_every: int = Field(default=0, ge=0)
    """Every so many requests: EngineError, retryable."""
    busy_every: int = Field(default=0, ge=0)
    """Every so many requests: RefusedError `busy`."""
    hang_every: int = Field(default=0, ge=0)
    """Every so many requests: no answer until the caller leaves."""


class Script:
    """Carries out `Failures`: one count for all requests of an engine."""

    def __init__(self, name: str, failures: Failures) -> None:
        self._name = name
        self._failures = failures
        self._requests = count(1)

    async def step(self) -> None:
        """One more request. Raises EngineError, RefusedError, or never ends."""
        number, failures = next(self._requests), self._failures
        if _due(number, failures.hang_every):
            await asyncio.Event().wait()
        if _due(number, failures.busy_every):
            raise RefusedError(f"{self._name} is at capacity, as scripted", code=Code.BUSY, retry_after_s=1)
        if _due(number, failures.fail_every):
            raise EngineError(f"{self._name} failed, as scripted", engine=self._name, retryable=True)


def _due(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def tone(words: int, *, word_ms: float, rate: int, hertz: float = 220.0) -> Samples:
    """Speech as a tone: one sine a word, with a short silence after each. Shape [words * samples of a word]."""
    size = round(rate * word_ms / 1000)
    sounding = size - round(size * _GAP)
    fade = max(1, min(round(rate * _FADE_S), sounding // 2))
    envelope = np.zeros(size, np.float32)
    envelope[:sounding] = 0.5
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    envelope[:fade] *= ramp
    envelope[sounding - fade : sounding] *= ramp[::-1]
    word = envelope * np.sin(2 * np.pi * hertz * np.arange(size) / rate)
    return np.tile(word.astype(np.float32), words)


# speech to text


class ScriptedSttSettings(Failures):
    """`[engines.scripted_stt]`."""

    text: str = "This is what the script says."
    """What every utterance with any sound in it says."""
    languages: Mapping[str, str] = Field(default_factory=lambda: {"en": "good"})
    """BCP-47 tag -> `good`, `fair`, `weak`."""
    max_seconds: float = Field(default=30.0, gt=0)
    """Longest utterance it takes."""
    decode_ms: float = Field(default=0.0, ge=0)
    """What one utterance costs."""
    decode_ms_per_second: float = Field(default=0.0, ge=0)
    """What each second of it costs besides."""
    word_ms: float = Field(default=250.0, gt=0)
    """Speech that a partial needs for each word it shows. Partials cost nothing and come as the speech is fed."""


class _Costs:
    """The waits of one answer, counted from where it begins, as those of an engine in another process are: what is
    done with one piece does not put off the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()

    async def wait(self, ms: float) -> None:
        self._due += ms / 1000
        await asyncio.sleep(max(0.0, self._due - self._loop.time()))


class ScriptedSpeechToText:
    """`ports.Recognizer`: the same text for every utterance, its words spread evenly over the audio."""

    def __init__(self, name: str, settings: ScriptedSttSettings) -> None:
        self.languages = settings.languages
        self.max_seconds = settings.max_seconds
        self._settings = settings
        self._script = Script(name, settings)

    async def recognize(self, request: Recognition) -> Transcript:
        await self._script.step()
        settings = self._settings
        seconds = request.audio.size / SPEECH_RATE
        await asyncio.sleep((settings.decode_ms + settings.decode_ms_per_second * seconds) / 1000)
        if not sounds(request.audio):
            return Transcript("", request.language)
        return Transcript(
            settings.text,
            request.language,
            words=spread(settings.text, request.audio.size) if request.words else (),
            confidence=1.0,
        )

    @asynccontextmanager
    async def open(self, request: LiveRecognition, told: Callable[[Partial], None]) -> AsyncIterator[LiveUtterance]:
        yield ScriptedUtterance(self.recognize, self._settings.text, self._settings.word_ms, request, told)

    async def aclose(self) -> None:
        """Nothing to let go of."""


def spread(text: str, samples: int) -> tuple[Word, ...]:
    """The words of a text, each given an equal share of so many samples."""
    words = text.split()
    edges = [samples * index // max(1, len(words)) for index in range(len(words) + 1)]
    return tuple(Word(word, edges[i], edges[i + 1], 1.0) for i, word in enumerate(words))


# text to speech


class ScriptedTtsSettings(Failures):
    """`[engines.scripted_tts]`."""

    first_audio_ms: float = Field(default=0.0, ge=0)
    """What comes before the first piece."""
    piece_ms: float = Field(default=0.0, ge=0)
    """What every further piece costs."""
    piece_audio_ms: float = Field(default=100.0, gt=0)
    """Audio in a piece."""
    word_ms: float = Field(default=250.0, gt=0)
    """Audio of a word at speed 1."""
    rate: int = Field(default=24_000, ge=8_000, le=48_000)
    """Samples per second."""
    languages: tuple[str, ...] = ("en",)
    """BCP-47 tags that its voices speak."""
    voices: tuple[str, ...] = ("tone", "high-tone")
    """Names; each sounds an octave above the one before."""


class ScriptedTextToSpeech:
    """`ports.TextToSpeech`: every word a tone of the same length, with exact word times."""

    def __init__(self, name: str, settings: ScriptedTtsSettings) -> None:
        self.voices = tuple(
            Voice(voice, name, settings.languages, "neutral", licence="none", quality="plain")
            for voice in settings.voices
        )
        self._settings = settings
        self._script = Script(name, settings)

    @asynccontextmanager
    async def open(self, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        if utterance.voice not in self._settings.voices:
            raise PeerError(
                f"{utterance.voice!r} is no scripted voice; there are {', '.join(self._settings.voices)}",
                code=Code.UNSUPPORTED_VOICE,
                param="voice",
            )
        async with aclosing(self._pieces(utterance)) as pieces:
            yield pieces

    async def _pieces(self, utterance: Utterance) -> AsyncGenerator[Speech]:
        await self._script.step()
        settings = self._settings
        text = utterance.text.split()
        octave = 2.0 ** settings.voices.index(utterance.voice)
        audio = tone(len(text), word_ms=settings.word_ms / utterance.speed, rate=settings.rate, hertz=220.0 * octave)
        words = spread(utterance.text, audio.size)
        size = max(1, round(settings.rate * settings.piece_audio_ms / 1000))
        costs = _Costs()
        for start in range(0, audio.size, size):
            await costs.wait(settings.piece_ms if start else settings.first_audio_ms)
            begun = tuple(word for word in words if start <= word.start < start + size)
            yield Speech(audio[start : start + size], settings.rate, begun)

    async def aclose(self) -> None:
        """Nothing to let go of."""


# language model


class ScriptedLlmSettings(Failures):
    """`[engines.scripted_llm]`."""

    text: str = "This is the scripted answer. It is always the same."
    """What every request is answered; a word and the space before it are a token."""
    model: str = "scripted"
    """The name that answers carry."""
    first_token_ms: float = Field(default=0.0, ge=0)
    """What comes before the first token."""
    token_ms: float = Field(default=0.0, ge=0)
    """What every further token costs."""


class ScriptedAnswer:
    """`ports.ChatAnswer`."""

    def __init__(self, chunks: AsyncIterator[dict[str, Any]], usage: Mapping[str, Any]) -> None:
        self.usage: Mapping[str, Any] | None = usage
        self._chunks = chunks

    def __aiter__(self) -> "ScriptedAnswer":
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await anext(self._chunks)


class ScriptedLanguageModel:
    """`ports.LanguageModel`: one text, token by token."""

    demo = True

    def __init__(self, name: str, settings: ScriptedLlmSettings) -> None:
        self.model = settings.model
        self._settings = settings
        self._script = Script(name, settings)
        self._answers = count(1)

    @asynccontextmanager
    async def open(self, body: Mapping[str, Any]) -> AsyncIterator[ScriptedAnswer]:
        prompt = _prompt_tokens(body.get("messages"))
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise PeerError("max_tokens must be a positive whole number", param="max_tokens")
        said = _tokens(self._settings.text)[:limit]
        usage = {"prompt_tokens": prompt, "completion_tokens": len(said), "total_tokens": prompt + len(said)}
        await self._script.step()
        async with aclosing(self._answer(body, said, usage)) as answer:
            yield ScriptedAnswer(answer, usage)

    async def _answer(
        self, body: Mapping[str, Any], said: list[str], usage: Mapping[str, int]
    ) -> AsyncGenerator[dict[str, Any]]:
        settings = self._settings
        finish = "stop" if len(said) == len(_tokens(settings.text)) else "length"
        head = {"id": f"chatcmpl-{next(self._answers)}", "created": int(time.time()), "model": self.model}
        if body.get("stream") is not True:
            await asyncio.sleep((settings.first_token_ms + settings.token_ms * (len(said) - 1)) / 1000)
            message = {"role": "assistant", "content": "".join(said), "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            yield head | {"object": "chat.completion", "choices": [choice], "usage": usage}
            return
        head |= {"object": "chat.completion.chunk"}
        costs = _Costs()
        for index, token in enumerate(said):
            await costs.wait(settings.token_ms if index else settings.first_token_ms)
            delta = {"content": token} if index else {"role": "assistant", "content": token}
            yield head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        if (body.get("stream_options") or {}).get("include_usage"):
            yield head | {"choices": [], "usage": usage}

    async def aclose(self) -> None:
        """Nothing to let go of."""


def _prompt_tokens(messages: Any) -> int:
    """Tokens of a list of messages. Raises PeerError for anything else."""
    if not isinstance(messages, list) or not messages:
        raise PeerError("messages must be a list that is not empty", code=Code.MISSING_FIELD, param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or "role" not in message:
            raise PeerError(f"messages[{index}] must be an object with a role", param=f"messages[{index}]")
    return sum(len(_tokens(str(message.get("content", "")))) for message in messages)


def _tokens(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


# voice activity


class ScriptedVadSettings(Settings):
    """`[engines.scripted_vad]`."""

    window: int = Field(default=512, ge=160)
    """Samples a window: 32 ms, as Silero's."""
    rms: float = Field(default=SILENCE_RMS, gt=0)
    """From this loudness on a window is speech."""


class ScriptedVad:
    """`ports.Vad`: what is loud is speech."""

    def __init__(self, settings: ScriptedVadSettings) -> None:
        self.window = settings.window
        self._rms = settings.rms

    def open(self) -> "ScriptedVad":
        """Loudness has no memory: every caller gets the same."""
        return self

    def probability(self, window: Samples) -> float:
        """1 for a loud window, 0 for a quiet one."""
        return 1.0 if rms(window) >= self._rms else 0.0

    async def aclose(self) -> None:
        """Nothing to let go of."""


async def create_stt(context: EngineContext, settings: ScriptedSttSettings) -> ScriptedSpeechToText:
    """Ready at once."""
    return ScriptedSpeechToText(context.name, settings)


async def create_tts(context: EngineContext, settings: ScriptedTtsSettings) -> ScriptedTextToSpeech:
    """Ready at once."""
    return ScriptedTextToSpeech(context.name, settings)


async def create_llm(context: EngineContext, settings: ScriptedLlmSettings) -> ScriptedLanguageModel:
    """Ready at once."""
    return ScriptedLanguageModel(context.name, settings)


async def create_vad(context: EngineContext, settings: ScriptedVadSettings) -> ScriptedVad:
    """Ready at once."""
    return ScriptedVad(settings)


STT_PLUGIN = EnginePlugin(port="stt", settings=ScriptedSttSettings, create=create_stt)
TTS_PLUGIN = EnginePlugin(port="tts", settings=ScriptedTtsSettings, create=create_tts)
LLM_PLUGIN = EnginePlugin(port="llm", settings=ScriptedLlmSettings, create=create_llm)
VAD_PLUGIN = EnginePlugin(port="vad", settings=ScriptedVadSettings, create=create_vad)
