"""Speech to text in every language but English: Whisper base in CTranslate2, on a short window.

One spawned process whose threads share the weights: two threads hear two utterances at once, each as fast as alone,
for 30 MB more; a second process would cost 155 MB (and CTranslate2 hangs when forked after loading). What a thread
computes cannot be stopped: a caller who leaves frees it within one decode, half a second for 5 s of speech.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType

import numpy as np
from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import SPEECH_RATE, Guess, Recognition, Samples, Transcript
from voxgate.engines.pool import Birth, Pool, Priority, WorkerSpec
from voxgate.engines.redecoder import Ask, Decoding, Pooled, Redecoder
from voxgate.engines.redecoding import Constants, Reading
from voxgate.engines.whisper_runner import Hear, Outcome, Tell
from voxgate.errors import MisuseError
from voxgate.languages import parse
from voxgate.ports import EngineContext, EnginePlugin, Metrics

MODEL = "whisper-base"
"""Catalogue name of the model."""

LANGUAGES = MappingProxyType(
    {
        "vi": "fair",
        "id": "fair",
        "ja": "fair",
        "ko": "fair",
        "zh": "fair",
        "th": "weak",
        "ms": "weak",
        "en": "fair",
    }
)
"""Error rates behind the words (docs/decisions/0006-whisper-on-a-short-context.md): vi .35, id .30, en .13; ja .14 and
ko 0 of two and one clips, zh .46 of hard ones (characters); ms .52; th one clip, fluent, two words misspelled. Filipino
(.7) and Tamil, Amharic, Somali (babble) are not claimed."""


class WhisperSettings(Settings):
    """`[engines.whisper]`"""

    threads: int = Field(default=0, ge=0)
    """Utterances at once, each on one core; 0 is one for each core the engines may use."""
    queue: int = Field(default=64, ge=1)
    """Utterances that may wait for a thread; one more is answered 503 `busy`."""
    partial_every_ms: int = Field(default=600, ge=100)
    """New speech between one partial of live speech and the next, where the load allows it."""
    partial_share: float = Field(default=0.5, gt=0, le=1)
    """The most that the partials of one speaker may take of a core."""


def constants(settings: WhisperSettings) -> Constants:
    """How Whisper hears while one speaks; the figures of docs/decisions/0010-hearing-while-one-speaks.md."""
    return Constants(
        first_ms=1_200,
        every_ms=settings.partial_every_ms,
        share=settings.partial_share,
        all_share=0.7,
        agreed_only=True,
        forced=False,
        early_ms=100,
    )


class Whisper:
    """Carries out `ports.Recognizer` and `ports.LanguageIdentifier`."""

    languages = LANGUAGES
    max_seconds = 30.0
    """The window of the model. Up to 27 s there is room for all of the silence it likes to see behind speech."""

    def __init__(self, pool: Pool, name: str, metrics: Metrics, settings: WhisperSettings) -> None:
        self._pool, self._name, self._metrics = pool, name, metrics
        self.open = Redecoder(self, constants(settings), name=name, max_seconds=self.max_seconds, metrics=metrics).open

    async def recognize(self, request: Recognition) -> Transcript:
        """See the port. MisuseError for audio longer than `max_seconds` or a language that is not among `languages`."""
        self._check(request.audio)
        if parse(request.language).base not in self.languages:
            raise MisuseError(f"{self._name} was asked to hear {request.language}")
        outcome: Outcome = await self._pool.call(Hear(request), priority=Priority.FINAL)
        return self._reading(outcome, partial=False).transcript

    @property
    def cores(self) -> int:
        """See `redecoder.Decoder`."""
        return self._pool.seats

    def begin(self, ask: Callable[[], Ask], priority: Priority) -> Decoding:
        """See `redecoder.Decoder`."""

        def job() -> Hear:
            asked = ask()
            return Hear(asked.request, asked.partial)

        partial = priority is Priority.PARTIAL
        return Pooled(self._pool.submit(job, priority), lambda outcome: self._reading(outcome, partial=partial))

    def _reading(self, outcome: Outcome, *, partial: bool) -> Reading:
        assert outcome.transcript is not None
        if not partial:
            self._metrics.observe("decode", outcome.seconds, engine=self._name)
            for guard in outcome.guards:
                self._metrics.count(guard, engine=self._name)
        return Reading(outcome.transcript, outcome.seconds, bool(outcome.guards))

    async def identify(self, audio: Samples, among: Sequence[str]) -> tuple[Guess, ...]:
        """See the port. Of audio that is new the first 6 s count; of audio just recognized all of it, 20 ms later.

        MisuseError for audio longer than `max_seconds`.
        """
        self._check(audio)
        job = Tell(np.ascontiguousarray(audio, np.float32), tuple(among))
        outcome: Outcome = await self._pool.call(job, priority=Priority.FINAL)
        self._metrics.observe("identify", outcome.seconds, engine=self._name)
        return outcome.guesses

    def _check(self, audio: Samples) -> None:
        if len(audio) > self.max_seconds * SPEECH_RATE:
            raise MisuseError(f"{self._name} was handed {len(audio) / SPEECH_RATE:.1f} s of audio in one piece")

    async def aclose(self) -> None:
        """End the worker. Idempotent."""
        await self._pool.aclose()


async def create(context: EngineContext, settings: WhisperSettings) -> Whisper:
    """Start the worker and wait until it has loaded (1.5 s). Raises EngineError, ModelError."""
    threads = settings.threads or context.cores
    spec = WorkerSpec(
        name=context.name,
        factory="voxgate.engines.whisper_runner:create",
        arguments={"folder": str(context.folders[MODEL]), "threads": threads},
        processes=1,
        threads=threads,
        birth=Birth.SPAWN,
        environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        queue=settings.queue,
        reserved=1,  # what is computed cannot be stopped: with partials on every thread a final would wait for one
    )
    pool = Pool(spec, context.metrics)
    await pool.start()
    return Whisper(pool, context.name, context.metrics, settings)


PLUGIN = EnginePlugin(port="stt", settings=WhisperSettings, create=create, models=lambda _settings: (MODEL,))
