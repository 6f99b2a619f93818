"""Sends a reply's chunks when each is due: playout.py decides, a timer of the event loop carries it out."""

from collections.abc import Callable
from math import ceil

from voxgate.conversation.live import Timer, Timers
from voxgate.conversation.playout import Chunk, Playout


class Player:
    """Plays one reply after the other to one caller. Its clock counts samples at the rate of the call."""

    def __init__(
        self,
        timers: Timers,
        rate: int,
        *,
        due: Callable[[Chunk], None],
        played_out: Callable[[], None],
    ) -> None:
        """`due` is called with each chunk that is to be sent now, `played_out` once a reply was heard to its end."""
        self._timers = timers
        self._rate = rate
        self._due = due
        self._played_out = played_out
        self._playout: Playout | None = None
        self._timer: Timer | None = None

    @property
    def now(self) -> int:
        """The clock of every `Playout` of this call, in samples."""
        return int(self._timers.time() * self._rate)

    def play(self, playout: Playout) -> None:
        """This reply is the one to play from now on."""
        self.stop()
        self._playout = playout
        self.wake()

    def stop(self) -> None:
        """Nothing is to be sent any more. Idempotent."""
        self._playout = None
        self._disarm()

    def wake(self) -> None:
        """Something has changed: there is more audio, or its end, or it goes on from where it was held."""
        playout = self._playout
        if playout is None:
            return
        self._disarm()
        now = self.now
        while (chunk := playout.due(now)) is not None:
            self._due(chunk)
            if self._playout is not playout:
                return
        if playout.played_out(now):
            self._playout = None
            self._played_out()
            return
        at = playout.next_at(now)
        if at is not None:
            self._timer = self._timers.call_later(ceil(max(at - now, 1) * 1e6 / self._rate) / 1e6, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.wake()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
