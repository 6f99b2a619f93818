"""Who may speak now: a stream of Kokoro's needs a core of its own, so there is one seat a core."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voxgate.errors import Code, RefusedError
from voxgate.ports import Metrics


class Seats:
    """One seat for each stream that speaks; the others wait in order, for a while, then are refused.

    Pieces of more streams than cores, made in turn, would let every listener run dry; so a stream keeps its seat from
    its first piece that must be computed until it is left.
    """

    def __init__(self, name: str, seats: int, queue: int, wait_s: float, metrics: Metrics) -> None:
        self._name = name
        self._free = seats
        self._queue = queue
        self._wait_s = wait_s
        self._metrics = metrics
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Seat"]:
        """A seat that is not taken yet; leaving the block gives it back."""
        seat = Seat(self)
        try:
            yield seat
        finally:
            seat.leave()

    async def take(self) -> None:
        """Wait for a free seat. Raises RefusedError `busy` where too many wait, or none becomes free in time."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise self._busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was handed over at the very moment we left
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def give_back(self) -> None:
        """Hand a seat to the first who waits, or keep it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _busy(self) -> RefusedError:
        self._metrics.count("refused_busy", engine=self._name)
        return RefusedError(
            f"the {self._name} engine is at capacity; try again in a moment", code=Code.BUSY, retry_after_s=2
        )


class Seat:
    """One stream's seat, taken when it is first needed."""

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self._taken = False

    async def take(self) -> None:
        """Take it, unless it is taken already. Raises RefusedError `busy`."""
        if not self._taken:
            await self._seats.take()
            self._taken = True

    def leave(self) -> None:
        """Give it back, if it was taken."""
        if self._taken:
            self._taken = False
            self._seats.give_back()
