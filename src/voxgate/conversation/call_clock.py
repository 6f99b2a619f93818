"""The clock of one call: counts samples, and stands while the call is paused."""

from voxgate.conversation.live import Timers
from voxgate.domain import SPEECH_RATE


class CallClock:
    """Begins at 0."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._began = timers.time()
        self._stood = 0.0  # seconds in which it stood
        self._since: float | None = None  # when it was stopped

    @property
    def now(self) -> int:
        """Samples at SPEECH_RATE."""
        until = self._timers.time() if self._since is None else self._since
        return int((until - self._began - self._stood) * SPEECH_RATE)

    def halt(self) -> None:
        """The call is paused. Idempotent."""
        if self._since is None:
            self._since = self._timers.time()

    def go_on(self) -> None:
        """It is not any more. Idempotent."""
        if self._since is not None:
            self._stood += self._timers.time() - self._since
            self._since = None
