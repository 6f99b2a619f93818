"""English speech to text: Moonshine base in worker processes, one a core.

A worker decodes on one thread. A zygote loads the model once and forks the workers, which so share all but 40 MB each;
forking is safe because onnxruntime, told to use one thread, starts none that works.
"""

from collections.abc import Callable
from types import MappingProxyType

from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import SPEECH_RATE, Recognition, Transcript
from voxgate.engines.moonshine_runner import Job, Outcome
from voxgate.engines.pool import Birth, Pool, Priority, WorkerSpec
from voxgate.engines.redecoder import Ask, Decoding, Pooled, Redecoder
from voxgate.engines.redecoding import Constants, Reading
from voxgate.errors import MisuseError
from voxgate.ports import EngineContext, EnginePlugin, Metrics

MODEL = "moonshine-base-en"
"""Catalogue name of the converted model."""


class MoonshineSettings(Settings):
    """`[engines.moonshine]`"""

    processes: int = Field(default=0, ge=0)
    """Worker processes; 0 is one for each core the engines may use."""
    queue: int = Field(default=64, ge=1)
    """Utterances that may wait for a worker; one more is answered 503 `busy`."""
    partial_every_ms: int = Field(default=200, ge=100)
    """New speech between one partial of live speech and the next, where the load allows it."""
    partial_share: float = Field(default=0.35, gt=0, le=1)
    """The most that the partials of one speaker may take of a core."""


def constants(settings: MoonshineSettings) -> Constants:
    """How Moonshine hears while one speaks; the figures of docs/decisions/0010-hearing-while-one-speaks.md."""
    return Constants(
        first_ms=500,
        every_ms=settings.partial_every_ms,
        share=settings.partial_share,
        all_share=0.7,
        agreed_only=False,
        forced=True,
        early_ms=100,
    )


class Moonshine:
    """Carries out `ports.Recognizer`."""

    languages = MappingProxyType({"en": "good"})
    max_seconds = 30.0
    """The longest audio the model was trained with; at 64 s it drops most words."""

    def __init__(self, pool: Pool, name: str, metrics: Metrics, settings: MoonshineSettings) -> None:
        self._pool, self._name, self._metrics = pool, name, metrics
        self.open = Redecoder(self, constants(settings), name=name, max_seconds=self.max_seconds, metrics=metrics).open

    async def recognize(self, request: Recognition) -> Transcript:
        """See the port. MisuseError for audio longer than `max_seconds` or a language that is not English."""
        if len(request.audio) > self.max_seconds * SPEECH_RATE:
            raise MisuseError(f"{self._name} was handed {len(request.audio) / SPEECH_RATE:.1f} s of audio in one piece")
        if request.language.split("-")[0] != "en":
            raise MisuseError(f"{self._name} was asked to hear {request.language}")
        if not len(request.audio):
            return Transcript("", request.language)
        outcome: Outcome = await self._pool.call(Job(request), priority=Priority.FINAL)
        return self._reading(outcome, partial=False).transcript

    @property
    def cores(self) -> int:
        """See `redecoder.Decoder`."""
        return self._pool.seats

    def begin(self, ask: Callable[[], Ask], priority: Priority) -> Decoding:
        """See `redecoder.Decoder`."""

        def job() -> Job:
            asked = ask()
            return Job(asked.request, prefix=asked.prefix, partial=asked.partial)

        partial = priority is Priority.PARTIAL
        return Pooled(self._pool.submit(job, priority), lambda outcome: self._reading(outcome, partial=partial))

    def _reading(self, outcome: Outcome, *, partial: bool) -> Reading:
        if not partial:
            self._metrics.observe("decode", outcome.seconds, engine=self._name)
            for guard in outcome.guards:
                self._metrics.count(guard, engine=self._name)
        return Reading(outcome.transcript, outcome.cost, bool(outcome.guards), outcome.tokens, outcome.cuts)

    async def aclose(self) -> None:
        """End the workers. Idempotent."""
        await self._pool.aclose()


async def create(context: EngineContext, settings: MoonshineSettings) -> Moonshine:
    """Start the workers and wait until they have loaded (0.6 s). Raises EngineError."""
    spec = WorkerSpec(
        name=context.name,
        factory="voxgate.engines.moonshine_runner:create",
        arguments={"folder": str(context.folders[MODEL])},
        processes=settings.processes or context.cores,
        birth=Birth.FORK,
        environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # threads of these do not survive a fork
        queue=settings.queue,
        stoppable=True,  # 5 ms in the decoder, at worst 130 in the encoder
    )
    pool = Pool(spec, context.metrics)
    await pool.start()
    return Moonshine(pool, context.name, context.metrics, settings)


PLUGIN = EnginePlugin(port="stt", settings=MoonshineSettings, create=create, models=lambda _settings: (MODEL,))
