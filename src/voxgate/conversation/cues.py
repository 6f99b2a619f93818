"""What tells that a turn is over, in one pause: its length, its words, and its sound, for which a detector is asked."""

from collections.abc import Callable, Coroutine
from typing import Any

from voxgate.conversation.endpointing import TurnEnd
from voxgate.conversation.live import Timers
from voxgate.conversation.turn_table import EndedBy
from voxgate.domain import Samples
from voxgate.errors import VoxgateError
from voxgate.ports import Metrics, TurnDetector
from voxgate.text.ending import Ending, ending


class Cues:
    """Of one speaker, turn after turn."""

    def __init__(
        self,
        end: TurnEnd,
        detector: TurnDetector | None,
        *,
        sound_complete: float,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        timers: Timers,
        metrics: Metrics,
    ) -> None:
        """`sound_complete`: probability from which a turn sounds over. `spawn` runs what asks the detector."""
        self.sounds_complete = False
        """Whether the detector has said so of this pause."""
        self._end, self._detector, self._complete = end, detector, sound_complete
        self._spawn, self._timers, self._metrics = spawn, timers, metrics
        self._pauses = 0  # numbers them: an answer about an old one is of no use

    def begin(self) -> None:
        """A turn begins."""
        self.sounds_complete = False
        self._end.begin()

    def goes_on(self, pause: int) -> None:
        """Speech again, after so many samples of silence."""
        self._pauses += 1
        self.sounds_complete = False
        self._end.spoke(pause)

    def words(self, text: str, language: str) -> None:
        """What the turn says up to this pause."""
        self._end.words(ending(text, language))

    def no_words(self) -> None:
        """It says more than that."""
        self._end.words(Ending.UNKNOWN)

    def over(self) -> None:
        """The turn has ended."""
        self._pauses += 1
        self._end.over()

    def ended(self, pause: int) -> EndedBy | None:
        """Who ends the turn after so many samples of silence; None: nobody yet."""
        return self._end.ended(pause)

    def ask(self, pause: int, audio: Callable[[], Samples], answered: Callable[[], None]) -> None:
        """Ask how the turn sounds, whose `audio` ends in so many samples of silence, if that is worth it.

        `answered` is called when it is known, if it is still about this pause. A detector that fails is done without.
        """
        detector = self._detector
        if detector is None or not self._end.asks(pause):
            return
        self._pauses += 1
        self._spawn(self._ask(detector, audio(), self._pauses, answered))

    async def _ask(self, detector: TurnDetector, audio: Samples, pause: int, answered: Callable[[], None]) -> None:
        began = self._timers.time()
        try:
            probability = await detector.complete(audio)
        except VoxgateError:
            self._metrics.count("turn_detector_failed", engine="agent")
            return
        self._metrics.observe("turn_detector", self._timers.time() - began, engine="agent")
        if pause == self._pauses:
            self._end.sound(probability)
            self.sounds_complete = probability >= self._complete
            answered()
