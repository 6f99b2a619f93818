"""Keeps the books of this server alive, and closes those of servers that are no more.

A server lives while its count of beats grows. Whether it grows is watched on a clock of one's own that never jumps: no
two machines compare what time they think it is, and a clock that is put forward an hour ends nobody's work.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

import structlog
from pydantic import Field, model_validator

from voxgate.books import Books, Owner
from voxgate.clock import Clock
from voxgate.config import Settings
from voxgate.errors import StoreError
from voxgate.services.idempotency import Idempotency

_log = structlog.get_logger(__name__)


class LedgerSettings(Settings):
    """`[ledger]`"""

    heartbeat_s: float = Field(default=5, gt=0)
    """How often this server says that it lives, and writes what was delivered under open holds."""
    orphaned_after_s: float = Field(default=30, gt=0)
    """How long a server may be silent before others settle what it left open."""
    idempotency_hours: float = Field(default=24, gt=0)
    """How long a request with an Idempotency-Key is remembered."""

    @model_validator(mode="after")
    def _beats_before_it_is_missed(self) -> "LedgerSettings":
        if self.orphaned_after_s < 2 * self.heartbeat_s:
            raise ValueError("orphaned_after_s must be at least twice heartbeat_s: one late beat is no death")
        return self


class Heart(Protocol):
    """This server's own side of the ledger. Every method may raise StoreError."""

    async def beat(self) -> None:
        """Say that this server lives, and write what was delivered."""
        ...

    async def end(self) -> None:
        """The last beat."""
        ...


class Watch:
    """Which servers have not beaten for how long. Pure: whoever looks brings the time."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: dict[str, tuple[int, float]] = {}

    def silent(self, owners: Iterable[Owner], now: float) -> list[Owner]:
        """Those of `owners` whose beats have stood still since `patience_s` before `now` (monotonic seconds).

        A server that is seen for the first time is given its whole patience.
        """
        seen: dict[str, tuple[int, float]] = {}
        silent = []
        for owner in owners:
            if owner.id is None or owner.ended:
                continue
            beats, since = self._since.get(owner.id, (owner.beats, now))
            seen[owner.id] = (owner.beats, since if beats == owner.beats else now)
            if now - seen[owner.id][1] >= self._patience_s:
                silent.append(owner)
        self._since = seen
        return silent


class Sweeper:
    """The task that beats, sweeps and forgets, once in every `heartbeat_s`."""

    def __init__(
        self, heart: Heart, books: Books, requests: Idempotency, clock: Clock, settings: LedgerSettings
    ) -> None:
        self._heart = heart
        self._books = books
        self._requests = requests
        self._clock = clock
        self._settings = settings
        self._watch = Watch(settings.orphaned_after_s)

    async def run(self) -> None:
        """Until cancelled. A store that does not answer is asked again with the next beat."""
        while True:
            await self.tick()
            await asyncio.sleep(self._settings.heartbeat_s)

    async def tick(self) -> None:
        """One round."""
        try:
            await self._requests.settle_late()
            await self._heart.beat()
            owners = await self._books.owners()
            for silent in self._watch.silent(owners, self._clock.monotonic()):
                if await self._books.end(silent):
                    _log.warning("server_is_silent", server=silent.id, after_s=self._settings.orphaned_after_s)
            # Also what was ended by others, who may have gone before they could settle it.
            await self._books.settle_orphans()
            await self._books.forget(self._clock.now() - timedelta(hours=self._settings.idempotency_hours))
        except StoreError as error:
            _log.warning("books_not_kept", error=error.message)

    async def aclose(self) -> None:
        """The last beat of a server that stops."""
        try:
            await self._requests.settle_late()
            await self._heart.end()
        except StoreError as error:
            _log.warning("books_not_closed", error=error.message)
