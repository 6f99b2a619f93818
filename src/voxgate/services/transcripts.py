"""Keeps what was said in calls for as long as the operator wants it, and erases it then.

A call never waits for its record: lines are put into a queue, and written in one transaction for many. The database may
be away for a while; what does not fit into the queue meanwhile is lost, and the log says how much, never what.
"""

import asyncio
from collections import deque
from datetime import timedelta
from itertools import islice

import structlog
from pydantic import Field

from voxgate.calls import EndReason, TurnRecord
from voxgate.clock import Clock
from voxgate.config import Settings
from voxgate.errors import MisuseError, StoreError
from voxgate.records import Entry, SessionClosed, SessionOpened, SessionStore

_log = structlog.get_logger(__name__)

_GATHER_S = 0.5
"""How long lines are gathered before they are written: fifty callers speak ten turns a second, in five transactions."""
_RETRY_S = 5.0
"""How long a database that did not answer is left alone."""
_SWEEP_S = 600.0
"""How often what is too old is erased: hundreds of times within the shortest time that can be set."""
_BATCH = 200
"""Lines, or erased rows, in one transaction: some 10 ms, in which SQLite lets nobody else write."""


class TranscriptSettings(Settings):
    """`[transcripts]`"""

    keep_days: int = Field(default=30, ge=0, le=36500)
    """How many days what was said in conversations, and how long each turn took, stays in the database; 0: nothing is
    stored, and what was is erased."""
    queue: int = Field(default=5000, gt=0)
    """How many turns may wait to be written; beyond it, while the database does not answer, they are lost."""


class Transcripts:
    """The record of all calls of one server: a `records.Record`, whose methods return at once and never raise."""

    def __init__(self, store: SessionStore, clock: Clock, settings: TranscriptSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._open: set[str] = set()  # sessions that are recorded
        self._waiting: deque[Entry] = deque()
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()
        self._lost = 0

    def open(self, session: SessionOpened) -> None:
        if self._settings.keep_days > 0 and self._put(session):
            self._open.add(session.id)

    def turn(self, record: TurnRecord) -> None:
        if record.call in self._open:
            self._put(record)

    def close(self, session: str, reason: EndReason) -> None:
        if session in self._open:
            self._open.remove(session)
            self._put(SessionClosed(session, reason, self._clock.now()))

    async def run(self) -> None:
        """Write and erase until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            group.create_task(self._sweep())

    async def flush(self) -> bool:
        """Write what waits; False where the database does not answer, and all that was not written waits on."""
        async with self._writing:
            size = _BATCH
            while self._waiting:
                batch = list(islice(self._waiting, size))
                try:
                    await self._store.keep(batch)
                except StoreError as error:
                    _log.warning("transcripts_not_kept", waiting=len(self._waiting), error=error.message)
                    return False
                except MisuseError as error:
                    if len(batch) > 1:  # one line is wrong: the others are written one by one
                        size = 1
                        continue
                    # no traceback: PostgreSQL's own message, which is in it, repeats the row
                    _log.error("transcript_refused", kind=type(batch[0]).__name__, error=error.message)
                for _ in batch:
                    self._waiting.popleft()
        if self._lost:
            _log.error("transcripts_lost", lines=self._lost)
            self._lost = 0
        return True

    async def sweep(self) -> int:
        """Erase what is older than it may be; how many turns and sessions there were. Raises StoreError."""
        moment = self._clock.now() - timedelta(days=self._settings.keep_days)
        erased = 0
        while True:
            gone = await self._store.erase_before(moment, limit=_BATCH)
            erased += gone
            if gone < _BATCH:
                return erased

    async def aclose(self) -> None:
        """Write what waits, after the last call has ended and `run` was cancelled."""
        if not await self.flush():
            _log.error("transcripts_lost", lines=len(self._waiting) + self._lost)

    def _put(self, entry: Entry) -> bool:
        # Ends of sessions are always taken: there are no more of them than of sessions that were.
        if len(self._waiting) >= self._settings.queue and not isinstance(entry, SessionClosed):
            self._lost += 1
            return False
        self._waiting.append(entry)
        self._some.set()
        return True

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(_GATHER_S)
            self._some.clear()
            if not await self.flush():
                self._some.set()
                await asyncio.sleep(_RETRY_S)

    async def _sweep(self) -> None:
        while True:
            try:
                if erased := await self.sweep():
                    _log.info("transcripts_erased", rows=erased, keep_days=self._settings.keep_days)
            except StoreError as error:
                _log.warning("transcripts_not_erased", error=error.message)
            await asyncio.sleep(_SWEEP_S)
