"""Where one call stands, and the one place where steps of the turn table are taken: one after the other, whole."""

from collections import deque
from collections.abc import Callable

from voxgate.conversation.turn_table import EndedBy, Kind, State
from voxgate.conversation.turns import OF_REPLY, OF_TURN, Do, Event, Standing, stale, step


class Floor:
    """The standing of a call."""

    def __init__(self, carry_out: Callable[[Do], None]) -> None:
        """`carry_out` does one action; events that this brings about are stepped when the last action is done."""
        self.standing = Standing()
        self._carry_out = carry_out
        self._events: deque[Event] = deque()
        self._later: deque[Callable[[], None]] = deque()
        self._stepping = False

    @property
    def state(self) -> State:
        """Who has the floor."""
        return self.standing.state

    def happen(self, kind: Kind, number: int | None = None, by: EndedBy | None = None) -> str:
        """Something happened. What is about a turn or a reply that is over is dropped.

        `number`: of the turn or the reply; None: the one that is open, or lives. Answers why nothing was done, where
        somebody may ask. Raises MisuseError for an illegal step.
        """
        if number is None and kind in OF_TURN:
            number = self.standing.turn
        elif number is None and kind in OF_REPLY:
            number = self.standing.reply.number if self.standing.reply else 0
        self._events.append(Event(kind, number, by))
        if self._stepping:
            return ""
        self._stepping = True
        try:
            ignored = self._step_all()
        finally:
            self._stepping = False
        while self._later:
            self._later.popleft()()
        return ignored

    def afterwards(self, work: Callable[[], None]) -> None:
        """What an action sets going, once the step is done and told."""
        self._later.append(work)

    def _step_all(self) -> str:
        ignored = ""
        first = True
        while self._events:
            event = self._events.popleft()
            if not stale(self.standing, event):
                taken = step(self.standing, event)
                self.standing = taken.standing
                for do in taken.actions:
                    self._carry_out(do)
                ignored = taken.ignored if first else ignored
            first = False
        return ignored
