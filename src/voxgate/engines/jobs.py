"""Jobs on their way through a pool: which goes first, who works on them, and the ticket their owner holds."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

from voxgate.engines.processes import Born, frame
from voxgate.engines.worker import ACK, FAILED, ITEM
from voxgate.errors import MisuseError


class Priority(IntEnum):
    """Which waiting job goes first."""

    FINAL = 0
    SPECULATIVE = 1
    """Work that is likely to be wanted soon, and then becomes FINAL."""
    PARTIAL = 2
    """Work that may be left undone."""


class Shed(Exception):  # noqa: N818  not an error: the pool has better things to do
    """A partial was given up."""


class Job:
    """One piece of work on its way through the pool."""

    def __init__(self, number: int, request: Callable[[], Any], priority: Priority) -> None:
        self.number = number
        self.request = request
        self.priority = priority
        self.submitted = time.perf_counter()
        self.results: deque[tuple[int, Any]] = deque()
        self.news = asyncio.Event()
        self.worker: Worker | None = None
        self.started = False
        self.answered = False
        self.over = False
        self.moved = 0.0  # when it last began, gave a result, or had one taken
        self.tries = 0

    def __lt__(self, other: "Job") -> bool:
        return (self.priority, self.number) < (other.priority, other.number)

    def tell(self, kind: int, value: Any = None) -> None:
        """A message of the worker, or of the pool in its place: ITEM, DONE or FAILED."""
        self.results.append((kind, value))
        self.moved = time.monotonic()
        self.over = self.over or kind != ITEM
        self.news.set()


class Worker:
    """The server's end of one worker process."""

    def __init__(self, born: Born) -> None:
        self.born = born
        self.jobs: dict[int, Job] = {}
        self.since = time.monotonic()

    def send(self, *message: Any) -> None:
        """One message to the process; none where its socket is closed already."""
        if not self.born.writer.is_closing():
            self.born.writer.write(frame(*message))


class Hall(Protocol):
    """Where jobs wait and are worked on: the pool, as a ticket sees it."""

    @property
    def name(self) -> str:
        """The engine's name."""
        ...

    def promote(self, job: Job) -> None:
        """Make the job a FINAL."""
        ...

    def withdraw(self, job: Job) -> None:
        """Take the job back, wherever it is. Idempotent."""
        ...

    async def wait_for_news(self, job: Job) -> None:
        """Until something happened to the job. Raises RefusedError, or Shed, where no worker takes it in time."""
        ...


class Ticket:
    """A job that was handed in: its results, in order, until it is done."""

    def __init__(self, pool: Hall, job: Job) -> None:
        self._pool = pool
        self._job = job

    @property
    def waits(self) -> bool:
        """Whether no worker has taken the job yet."""
        return not (self._job.started or self._job.over)

    def promote(self) -> None:
        """Make the job a FINAL."""
        self._pool.promote(self._job)

    def withdraw(self) -> None:
        """Take the job back, wherever it is. Idempotent; nobody may be waiting for its results."""
        self._pool.withdraw(self._job)

    async def result(self) -> Any:
        """The one result of a job that yields exactly one; whoever stops waiting for it has withdrawn it."""
        try:
            values = [value async for value in self]
        finally:
            self.withdraw()
        if len(values) != 1:
            raise MisuseError(f"{self._pool.name}: one result was expected, {len(values)} came")
        return values[0]

    def __aiter__(self) -> "Ticket":
        return self

    async def __anext__(self) -> Any:
        job = self._job
        while not job.results:
            job.news.clear()
            await self._pool.wait_for_news(job)
        kind, value = job.results.popleft()
        if kind == ITEM:
            job.moved = time.monotonic()
            if job.worker is not None:
                job.worker.send(ACK, job.number)
            return value
        job.results.append((kind, value))
        if kind == FAILED:
            raise value
        raise StopAsyncIteration
