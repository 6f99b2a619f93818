"""What every way of fetching shares: progress, patience, and how a source fails."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """What a pull is doing with a model."""

    WAITING = "waiting"
    """Another process is pulling the same model."""
    FETCHING = "fetching"
    CHECKING = "checking"
    CONVERTING = "converting"
    """No bytes can be told: `done` and `total` are 0."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a pull has come with one model."""

    model: str
    stage: Stage
    done: int = 0
    """Bytes so far, in this stage and from this source; falls back to 0 when the next source is tried."""
    total: int = 0
    """Bytes altogether; 0 where that is not known."""


class Progress(Protocol):
    """Who is told, from the thread that pulls, after every piece: whoever draws this draws it less often."""

    def __call__(self, step: Step, /) -> None: ...


def silent(step: Step) -> None:
    """Progress that nobody watches."""


Grown = Callable[[int], None]
"""Told the bytes of one download so far."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a source that gives nothing is waited for.

    5 s is the time that issue 9 allows an unreachable source. Package clients start slowly on a busy machine and keep
    the 5 s themselves (they are told to), so their own limit is only a net under them.
    """

    silent_s: float = 5.0
    """Connecting, and between two pieces of an answer."""
    client_s: float = 20.0
    """A package client that writes nothing to disk."""
    slow_window_s: float = 15.0
    slow_bytes: int = 64 * 1024
    """Fewer bytes than this in a window (4 KiB/s): such a source would take hours, the next one is tried."""


class SourceError(Exception):
    """One source did not give what was asked; the next one may."""

    def __init__(self, reason: str, *, down: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.down = down
        """True where the host itself did not answer, so that asking it again in this pull is a waste of time."""
