"""Moonshine inside its worker process: one utterance in, a transcript and what happened on the way out."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from voxgate.domain import SPEECH_RATE, Recognition, Samples, Transcript, Word
from voxgate.engines import moonshine_guards as guards
from voxgate.engines.moonshine_alignment import word_times
from voxgate.engines.moonshine_decoding import (
    Cancelled,
    Decoded,
    Ending,
    NextTokens,
    greedy,
    looping,
    token_limit,
    without_loop,
)
from voxgate.engines.moonshine_guards import Prepared
from voxgate.engines.moonshine_hints import Hints, beam, occurrences, respell, terms
from voxgate.engines.moonshine_model import MoonshineModel
from voxgate.engines.moonshine_tokens import Span, Vocabulary
from voxgate.errors import Code, PeerError


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is asked."""

    request: Recognition
    prefix: tuple[int, ...] = ()
    """Tokens the text begins with, known from an earlier piece of the same audio; only without hints."""
    partial: bool = False
    """Whether the text is of speech that goes on: what would not end is not read a second time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker answers."""

    transcript: Transcript
    tokens: tuple[int, ...]
    """What the model said, before any respelling."""
    seconds: float = 0.0
    """Time spent on it."""
    cost: float = 0.0
    """Processor time spent on it, in seconds: less than `seconds` where others keep the cores busy."""
    guards: tuple[str, ...] = ()
    """Which guards acted: `guard_a` (an empty text questioned), `guard_b` (a text doubted), `guard_c` (a text that
    would not end)."""
    cuts: tuple[int, ...] = ()
    """For each word of a text without hints, how many tokens are sure to hold no more than the words up to this one."""


@dataclass(slots=True)
class _Attempt:
    """The best reading of one utterance so far."""

    prepared: Prepared
    decoded: Decoded
    guards: list[str] = field(default_factory=list)


def create(folder: str) -> "MoonshineRunner":
    """The runner of a worker process, loaded from the model's folder."""
    path = Path(folder)
    return MoonshineRunner(Vocabulary.read(path / "tokenizer.bin"), MoonshineModel(path))


class Hears(Protocol):
    """What the runner needs of a model (MoonshineModel is it)."""

    def hear(self, audio: Samples, cancelled: Callable[[], bool]) -> NextTokens:
        """Encode audio, so that it can be decoded. Raises Cancelled."""
        ...


class MoonshineRunner:
    """Carries out jobs, one at a time."""

    def __init__(self, vocabulary: Vocabulary, model: Hears) -> None:
        self._vocabulary, self._model = vocabulary, model

    def run(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Outcome]:
        """Exactly one Outcome, or none where the caller has left. PeerError where samples are not finite."""
        started, worked = time.perf_counter(), time.thread_time()
        try:
            outcome = self._recognize(job, cancelled)
        except Cancelled:
            return
        yield replace(outcome, seconds=time.perf_counter() - started, cost=time.thread_time() - worked)

    def _recognize(self, job: Job, cancelled: Callable[[], bool]) -> Outcome:
        request = job.request
        if not np.isfinite(request.audio).all():
            raise PeerError("the audio holds samples that are no numbers", code=Code.INVALID_AUDIO, param="file")
        wanted = terms(request.hints)
        attempt = self._attempt(job, Hints(wanted, self._vocabulary), cancelled)
        decoded = attempt.decoded
        spoken = self._vocabulary.words(decoded.tokens)
        found = occurrences(spoken, wanted)
        hinted = [word for match in found for word in spoken[match.first : match.first + match.count]]
        unclear = guards.unclear(decoded, hinted)
        if unclear:
            attempt.guards.append("guard_b")
        words = respell(spoken, found) if request.speech_certain or not unclear else []
        transcript = Transcript(
            text=" ".join(word.text for word in words),
            language=request.language,
            words=self._words(words, attempt, len(request.audio)) if request.words else (),
            confidence=math.exp(decoded.mean_log_prob) if words else None,
            unclear=unclear and bool(words),
        )
        cuts = () if wanted or not words else tuple(self._cuts(decoded.tokens, words))
        return Outcome(transcript, decoded.tokens, guards=tuple(attempt.guards), cuts=cuts)

    def _cuts(self, tokens: tuple[int, ...], words: list[Span]) -> Iterator[int]:
        """Where the text can be cut behind each word: a word whose last token reaches into the next is no place."""
        cut = 0
        for word in words:
            behind = word.last + 1
            if behind == len(tokens) or self._vocabulary.starts_word(tokens[behind]):
                cut = behind
            yield cut

    def _attempt(self, job: Job, hints: Hints, cancelled: Callable[[], bool]) -> _Attempt:
        """Decode, and once more where the result cannot be right."""
        prepared = guards.prepare(job.request.audio)
        heard = self._model.hear(prepared.audio, cancelled)
        seconds = len(prepared.audio) / SPEECH_RATE

        def decode(heard: NextTokens, *, never_empty: bool = False) -> Decoded:
            limit = token_limit(seconds)
            if hints and not job.prefix:
                return beam(heard, limit, hints, cancelled=cancelled, never_empty=never_empty)
            return greedy(
                heard,
                limit,
                cancelled=cancelled,
                is_number=self._vocabulary.is_number,
                prefix=job.prefix,
                never_empty=never_empty,
            )

        attempt = _Attempt(prepared, decode(heard))
        if not attempt.decoded.tokens and job.request.speech_certain:
            attempt.guards.append("guard_a")
            forced = decode(heard, never_empty=True)
            if forced.mean_log_prob > guards.BELIEVED_ABOVE:
                attempt.decoded = forced
        if attempt.decoded.ending is not Ending.SAID:
            attempt.guards.append("guard_c")
            if job.partial:
                return attempt
            attempt.prepared = guards.padded(prepared)
            attempt.decoded = decode(self._model.hear(attempt.prepared.audio, cancelled))
            attempt.decoded = self._once(attempt.decoded)
        return attempt

    def _once(self, decoded: Decoded) -> Decoded:
        """The text with a loop at its end said once."""
        length = looping(decoded.tokens, self._vocabulary.is_number)
        if not length:
            return decoded
        kept = without_loop(decoded.tokens, length)
        return Decoded(
            decoded.tokens[:kept], decoded.log_probs[:kept], decoded.attention[:, : kept + 1], decoded.ending
        )

    def _words(self, words: list[Span], attempt: _Attempt, samples: int) -> tuple[Word, ...]:
        """Word times in the caller's audio, and the probability of the least likely token of each."""
        times = word_times(words, attempt.decoded.attention, attempt.prepared.audio)
        probabilities = np.exp(attempt.decoded.log_probs)
        return tuple(
            Word(
                word.text,
                min(max(start + attempt.prepared.offset, 0), samples),
                min(max(end + attempt.prepared.offset, 0), samples),
                float(probabilities[word.first : word.last + 1].min()),
            )
            for word, (start, end) in zip(words, times, strict=True)
        )
