"""Whether a turn is over, from its sound: Smart Turn v3.2 in a worker process of its own.

One spawned process whose threads share the graph. It is its own process, not a thread of a recognizer's, because an
answer is worth something for a few hundred milliseconds only: no partial and no final of another caller stands before
it in a queue. How far the answer is to be trusted: docs/decisions/0012-when-a-turn-is-over.md.
"""

import numpy as np
from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import Samples
from voxgate.engines.pool import Birth, Pool, Priority, WorkerSpec
from voxgate.engines.smart_turn_runner import SPAN, Prediction
from voxgate.ports import EngineContext, EnginePlugin, Metrics

MODEL = "smart-turn-v3.2-cpu"
"""Catalogue name of the model."""

_WAIT_S = 1.0
"""From 200 ms of silence, when it is asked, to 1.2 s, when a turn ends whatever the sound says (contract, section 6):
a prediction that no thread took by then is of no use."""


class SmartTurnSettings(Settings):
    """`[engines.smart_turn]`"""

    threads: int = Field(default=0, ge=0)
    """Predictions at once, each on one core for 45 ms; 0 is one for each core the engines may use."""
    queue: int = Field(default=16, ge=1)
    """Predictions that may wait for a thread; one more is refused, and that pause judged without."""


class SmartTurn:
    """Carries out `ports.TurnDetector`."""

    def __init__(self, pool: Pool, name: str, metrics: Metrics) -> None:
        self._pool, self._name, self._metrics = pool, name, metrics

    async def complete(self, audio: Samples) -> float:
        last = np.ascontiguousarray(audio[-SPAN:], np.float32)
        answer: Prediction = await self._pool.call(last, priority=Priority.FINAL)
        self._metrics.observe("predict", answer.seconds, engine=self._name)
        return answer.probability

    async def aclose(self) -> None:
        """End the worker. Idempotent."""
        await self._pool.aclose()


async def create(context: EngineContext, settings: SmartTurnSettings) -> SmartTurn:
    """Start the worker and wait until it has loaded (0.25 s). Raises EngineError."""
    spec = WorkerSpec(
        name=context.name,
        factory="voxgate.engines.smart_turn_runner:create",
        arguments={"folder": str(context.folders[MODEL])},
        threads=settings.threads or context.cores,
        birth=Birth.SPAWN,
        environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        queue=settings.queue,
        wait_timeout_s=_WAIT_S,
        stall_timeout_s=10.0,  # two hundred times what a prediction costs
    )
    pool = Pool(spec, context.metrics)
    await pool.start()
    return SmartTurn(pool, context.name, context.metrics)


PLUGIN = EnginePlugin(port="turn", settings=SmartTurnSettings, create=create, models=lambda _settings: (MODEL,))
"""The entry point `smart_turn`."""
