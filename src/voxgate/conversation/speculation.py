"""Whether a reply is begun before the turn is over. Pure.

In a pause the recognizer says what its final would be; a reply to that, begun at once and held until the turn is
confirmed, hides the work in the silence. What a wrong guess costs is work thrown away: a processor's time here, money
where the model is somebody else's.
"""

from dataclasses import dataclass
from enum import StrEnum


class Speculate(StrEnum):
    """When replies are begun on a guess."""

    AUTO = "auto"
    """Of a model of our own while a core is idle; of one that is paid for once a turn, when the turn sounds over."""
    ON = "on"
    OFF = "off"


@dataclass(slots=True)
class Load:
    """How many replies are being made in this process; shared by its calls."""

    cores: int
    """Processor cores the engines may use."""
    making: int = 0

    @property
    def idle(self) -> bool:
        """Whether a core is left over."""
        return self.making < self.cores


class Speculation:
    """The guesses of one call."""

    def __init__(self, speculate: Speculate, *, remote: bool, load: Load) -> None:
        """`remote`: whether the model is paid for by the token."""
        self._speculate = speculate
        self._remote = remote
        self._load = load
        self._guessed = False

    def begin(self) -> None:
        """A turn begins."""
        self._guessed = False

    def guessed(self) -> None:
        """A reply was begun on a guess."""
        self._guessed = True

    def may(self, *, sounds_complete: bool) -> bool:
        """Whether a reply may be begun now. `sounds_complete`: what the turn detector says of this pause, so far."""
        if self._speculate is not Speculate.AUTO:
            return self._speculate is Speculate.ON
        if self._remote:
            return sounds_complete and not self._guessed
        return self._load.idle
