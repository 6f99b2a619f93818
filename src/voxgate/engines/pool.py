"""STUB, API final, body being written: blocking engines in worker processes."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from voxgate.ports import Metrics


class Runner(Protocol):
    """What runs inside a worker process: built once by the factory, then called from up to `threads` threads."""

    def run(self, request: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        """Carry out one job, yielding its results (picklable) as they exist; stop soon once `cancelled()` is true.

        A VoxgateError raised here (PeerError, EngineError …) reaches the caller as it is; any other exception
        becomes an EngineError.
        """
        ...


class Birth(StrEnum):
    SPAWN = "spawn"
    FORK = "fork"


class Priority(IntEnum):
    FINAL = 0
    SPECULATIVE = 1
    PARTIAL = 2


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    name: str
    """The engine's name, for metrics, errors and process titles."""
    factory: str
    """`module:function`, called in the child as `function(**arguments)`; answers a Runner."""
    arguments: Mapping[str, Any]
    """Picklable keyword arguments of the factory."""
    processes: int = 1
    threads: int = 1
    """Jobs at once in each process."""
    birth: Birth = Birth.SPAWN
    """FORK: a spawned zygote runs the factory once, and every worker is a fork of it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set in the child before anything is imported (OMP_NUM_THREADS …)."""
    queue: int = 64
    """Jobs that may wait; one more is refused with RefusedError `busy`."""
    start_timeout_s: float = 60.0
    wait_timeout_s: float = 20.0
    """Longest a job may wait for a worker before it is refused with `busy`."""


class Pool:
    def __init__(self, spec: WorkerSpec, metrics: Metrics) -> None: ...

    async def start(self) -> None:
        """Start the processes and wait until every one has loaded. Raises EngineError."""

    def open(
        self, request: Any, *, priority: Priority = Priority.FINAL
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """Run one job; its results as they come. Leaving the block cancels it. Raises RefusedError, EngineError.

        A job whose worker died before its first result is repeated once on another worker.
        """
        ...

    async def call(self, request: Any, *, priority: Priority = Priority.FINAL) -> Any:
        """Run a job that yields exactly one result."""

    async def aclose(self) -> None:
        """End every process; waiting jobs get EngineError. Idempotent."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the live workers (and of the zygote, last)."""
        ...
