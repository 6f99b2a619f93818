"""A turn detector that follows a script: what it answers is set, what it costs is set, and it fails when told to."""

import asyncio
from typing import Annotated

from pydantic import Field

from voxgate.domain import Samples
from voxgate.ports import EngineContext, EnginePlugin
from voxgate.testing.scripted import Failures, Script


class ScriptedTurnSettings(Failures):
    """`[engines.scripted_turn]`."""

    probabilities: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(default=(0.5,), min_length=1)
    """What it answers, 0 to 1: the first to the first question, and so on, over and over. 0.5 decides nothing."""
    predict_ms: float = Field(default=0.0, ge=0)
    """What one answer costs."""


class ScriptedTurnDetector:
    """`ports.TurnDetector`: the same answers in the same order, whatever it hears."""

    def __init__(self, name: str, settings: ScriptedTurnSettings) -> None:
        self._settings = settings
        self._script = Script(name, settings)
        self._asked = 0

    async def complete(self, audio: Samples) -> float:
        settings = self._settings
        answer = settings.probabilities[self._asked % len(settings.probabilities)]
        self._asked += 1
        await self._script.step()
        await asyncio.sleep(settings.predict_ms / 1000)
        return answer

    async def aclose(self) -> None:
        """Nothing to let go of."""


async def create(context: EngineContext, settings: ScriptedTurnSettings) -> ScriptedTurnDetector:
    """Ready at once."""
    return ScriptedTurnDetector(context.name, settings)


PLUGIN = EnginePlugin(port="turn", settings=ScriptedTurnSettings, create=create)
"""The entry point `scripted_turn`."""
