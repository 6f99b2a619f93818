"""Whisper inside its worker process: one utterance in; a transcript, or guesses at its language, out."""

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from voxgate.domain import SPEECH_RATE, Guess, Recognition, Samples, Transcript, Word
from voxgate.engines import whisper_guards as guards
from voxgate.engines.whisper_mel import FULL, HOP, Features, frames_for, mel
from voxgate.engines.whisper_model import Aligned, Decoded, Encoding, WhisperModel
from voxgate.engines.whisper_tokens import Tokens
from voxgate.engines.whisper_words import word_times
from voxgate.errors import Code, PeerError

_SHORTEST = SPEECH_RATE // 2
"""Samples of audio below which a text is more often invented ("Thank you.") than heard."""
_SILENT = 2**-15
"""Standard deviation of what holds no sound: the smallest step of 16 bits. (Digital silence is heard as "you".)"""
_ENOUGH = 6 * SPEECH_RATE
"""Samples that tell a language: with 5 s it is right for 98 of 100 utterances, and more only costs time."""
_KEPT = 8
"""Encodings kept (of 0.5 to 1.5 MB), so that a language is told and a text made from one encoding."""
_CONTRADICTED = 0.8
_BEAM = 5


@dataclass(frozen=True, slots=True)
class Hear:
    """A worker is asked for a transcript; it answers an Outcome."""

    request: Recognition
    partial: bool = False
    """Whether the text is of speech that goes on: what loops is not read a second time, and the encoding not kept."""


@dataclass(frozen=True, slots=True)
class Tell:
    """A worker is asked for the language of audio, among BCP-47 tags; it answers an Outcome with guesses."""

    audio: Samples
    among: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker answers."""

    transcript: Transcript | None
    """None where only the language was asked for."""
    guesses: tuple[Guess, ...]
    """Best first; empty where a transcript was asked for."""
    seconds: float
    """Time spent on it."""
    guards: tuple[str, ...] = ()
    """Which guards acted: `echo` (read again without hints), `loop_retried` (with times), `loop_full` (on the whole
    window), `loop_cut` (said once), `noise` (dropped); of a partial
    `loop` (left as it is)."""


class Decodes(Protocol):
    """What the runner needs of a model (WhisperModel is it)."""

    def encode(self, features: Features) -> Encoding: ...

    def decode(self, encoding: Encoding, prompt: Sequence[int], limit: int, *, beam: int = 1) -> Decoded: ...

    def languages(self, encoding: Encoding) -> dict[str, float]: ...

    def align(self, encoding: Encoding, orders: Sequence[int], tokens: Sequence[int], frames: int) -> Aligned: ...


def create(folder: str, threads: int) -> "WhisperRunner":
    """The runner of a worker process, loaded from the model's folder."""
    path = Path(folder)
    return WhisperRunner(Tokens.read(path / "tokenizer.json"), WhisperModel(path, threads))


class _Encodings:
    """The last few encodings. Two threads that want the same one get it from one computation."""

    def __init__(self, model: Decodes) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[threading.Lock, list[Encoding]]] = OrderedDict()

    def known(self, audio: Samples) -> bool:
        """Whether this audio is encoded already, or being encoded."""
        with self._lock:
            return _digest(audio) in self._known

    def of(self, audio: Samples) -> Encoding:
        """The encoding of an utterance on its short window."""
        key = _digest(audio)
        with self._lock:
            own, made = self._known.setdefault(key, (threading.Lock(), []))
            self._known.move_to_end(key)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        with own:
            if not made:
                made.append(self.once(audio))
            return made[0]

    def once(self, audio: Samples) -> Encoding:
        """The same, not kept."""
        return self._model.encode(mel(audio, frames_for(len(audio))))


def _digest(audio: Samples) -> bytes:
    return hashlib.blake2b(audio.tobytes(), digest_size=16).digest()


@dataclass(slots=True)
class _Reading:
    """The best text of one utterance so far, and the encoding it came from."""

    decoded: Decoded
    encoding: Encoding
    text: str
    guards: list[str] = field(default_factory=list)
    cut: bool = False


class WhisperRunner:
    """Carries out jobs, on as many threads as the model was loaded for."""

    def __init__(self, tokens: Tokens, model: Decodes) -> None:
        self._tokens, self._model = tokens, model
        self._encodings = _Encodings(model)

    def run(self, job: Hear | Tell, cancelled: Callable[[], bool]) -> Iterator[Outcome]:
        """Exactly one Outcome, or none where the caller has left. PeerError where samples are not finite.

        A computation under way cannot be stopped; the next one is not begun.
        """
        started = time.perf_counter()
        audio = job.audio if isinstance(job, Tell) else job.request.audio
        if not np.isfinite(audio).all():
            raise PeerError("the audio holds samples that are no numbers", code=Code.INVALID_AUDIO, param="file")
        if cancelled():
            return
        if isinstance(job, Tell):
            yield Outcome(None, self._guesses(audio, job.among), time.perf_counter() - started)
            return
        reading = self._read(job.request, cancelled, partial=job.partial)
        if not cancelled():
            transcript = self._transcript(job.request, reading)
            yield Outcome(transcript, (), time.perf_counter() - started, tuple(reading.guards) if reading else ())

    # language

    def _guesses(self, audio: Samples, among: Sequence[str]) -> tuple[Guess, ...]:
        if _inaudible(audio):
            return ()
        encoding = self._encodings.of(audio if self._encodings.known(audio) else audio[:_ENOUGH])
        return self._told(encoding, among)

    def _told(self, encoding: Encoding, among: Sequence[str]) -> tuple[Guess, ...]:
        """Shares of one among those languages that Whisper has a token for."""
        found = self._model.languages(encoding)
        codes = {tag: code for tag in among if (code := self._tokens.code(tag))}
        total = sum(found.get(code, 0.0) for code in codes.values())
        if not total:
            return ()
        guesses = [Guess(tag, found.get(code, 0.0) / total) for tag, code in codes.items()]
        return tuple(sorted(guesses, key=lambda guess: -guess.probability))

    # text

    def _read(self, request: Recognition, cancelled: Callable[[], bool], *, partial: bool) -> _Reading | None:
        """Decode, and again where the result cannot be right; None where there is no sound."""
        audio = request.audio
        if _inaudible(audio):
            return None
        code = self._code(request)
        seconds = len(audio) / SPEECH_RATE
        limit = guards.token_limit(seconds, code)
        told, before = self._hints(request.hints, code)
        encoding = self._encodings.once(audio) if partial else self._encodings.of(audio)

        def decode(encoding: Encoding, prompt: Sequence[int], beam: int = 1) -> _Reading:
            decoded = self._model.decode(encoding, prompt, limit, beam=beam)
            said = tuple(self._tokens.said(decoded.tokens))
            return _Reading(replace(decoded, tokens=said), encoding, self._tokens.decode(said))

        def looping(reading: _Reading) -> bool:
            return guards.looping(reading.decoded.tokens, reading.text, seconds, code)

        acted: list[str] = []
        reading = decode(encoding, self._tokens.prompt(code, before=before))
        if told and guards.echo(reading.text, told, reading.decoded.no_speech) and not cancelled():
            acted.append("echo")
            reading = decode(encoding, self._tokens.prompt(code))
        if partial and looping(reading):
            acted.append("loop")
        elif looping(reading) and not self._made_up(reading) and not cancelled():
            acted.append("loop_retried")
            reading = decode(encoding, self._tokens.prompt(code, times=True))
            empty = guards.noise(reading.decoded.no_speech)
            if looping(reading) and not (empty or self._contradicted(encoding, code) or cancelled()):
                acted.append("loop_full")
                whole = self._model.encode(mel(audio, FULL))
                reading = decode(whole, self._tokens.prompt(code), _BEAM)
                empty = guards.noise(reading.decoded.no_speech)
            if looping(reading):
                acted.append("loop_cut")
                kept = () if empty else tuple(guards.said_once(reading.decoded.tokens))
                reading.decoded = replace(reading.decoded, tokens=kept)
                reading.text = self._tokens.decode(kept)
                reading.cut = True
        if self._made_up(reading):
            acted.append("noise")
            reading.text = ""
        reading.guards = acted
        return reading

    def _made_up(self, reading: _Reading) -> bool:
        return guards.invented(reading.decoded.log_prob, reading.decoded.no_speech)

    def _contradicted(self, encoding: Encoding, code: str) -> bool:
        """Whether the audio is surely another language: then every reading loops, and the last one takes seconds."""
        found = self._model.languages(encoding)
        best = max(found, key=found.__getitem__)
        return best != code and found[best] > _CONTRADICTED

    def _hints(self, hints: Sequence[str], code: str) -> tuple[str, list[int]]:
        """A sentence with as many of the hints as fit, and its tokens."""
        told = guards.names(hints)
        while told:
            sentence = guards.sentence(told, code)
            tokens = self._tokens.encode(f" {sentence}")
            if guards.fits(tokens):
                return sentence, tokens
            told = told[:-1]
        return "", []

    def _code(self, request: Recognition) -> str:
        code = self._tokens.code(request.language)
        if code is None:
            raise PeerError(
                f"{request.language} is not heard", code=Code.UNSUPPORTED_LANGUAGE, param="language"
            )  # the port has refused it before
        return code

    def _transcript(self, request: Recognition, reading: _Reading | None) -> Transcript:
        unclear = reading is not None and (reading.cut or reading.decoded.log_prob < guards.UNCLEAR_BELOW)
        if reading is None or not reading.text or (unclear and not request.speech_certain):
            return Transcript("", request.language)
        return Transcript(
            text=reading.text,
            language=request.language,
            words=self._words(request, reading) if request.words else (),
            confidence=math.exp(reading.decoded.log_prob),
            unclear=unclear,
        )

    def _words(self, request: Recognition, reading: _Reading) -> tuple[Word, ...]:
        tokens = reading.decoded.tokens
        spans = self._tokens.words(tokens, request.language)
        frames = min(FULL, len(request.audio) // HOP)
        aligned = self._model.align(reading.encoding, self._tokens.orders(self._code(request)), tokens, frames)
        return word_times(spans, aligned, request.audio)


def _inaudible(audio: Samples) -> bool:
    return len(audio) < _SHORTEST or float(audio.std()) < _SILENT
