"""Whose turn it is: many voices speak at once on a few cores, and the one nearest to running dry goes first."""

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """At most `cores` threads at work; those waiting go in order of how much speech their listener still has.

    Work is cut into windows of about 50 ms, so a caller who has heard nothing yet waits about that long, however many
    long texts are being read to others. (First come, first served would make it wait for whole sentences.)
    """

    def __init__(self, cores: int) -> None:
        self._free = cores
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Threads that wait for a core."""
        return len(self._waiting)

    @contextmanager
    def turn(self, ahead_s: float) -> Iterator[None]:
        """Hold a core. `ahead_s`: seconds of speech already made and not yet due."""
        ready = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                ready.set()
            else:
                heapq.heappush(self._waiting, (ahead_s, next(self._numbers), ready))
        ready.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    heapq.heappop(self._waiting)[2].set()  # the core is handed over, not freed
                else:
                    self._free += 1
