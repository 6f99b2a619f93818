"""What is kept of calls: who called when, and each exchange. Values, and their ports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from voxgate.calls import EndReason, TurnRecord


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A call began."""

    id: str
    """`CallRequest.call`; at most 64 characters."""
    org_id: str
    key_id: str
    surface: str
    """The wire it came over, such as `agent`; at most 32 characters."""
    voice: str
    language: str | None
    """BCP-47 tag that was asked for; None: the language that is spoken."""
    started_at: datetime


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A call is over."""

    id: str
    reason: EndReason
    ended_at: datetime


Entry = SessionOpened | TurnRecord | SessionClosed
"""One line of the record; those of a session come in this order."""


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A call as it is on record."""

    opened: SessionOpened
    org_name: str
    ended_at: datetime | None
    """None: it goes on, or its server died before it could tell."""
    reason: EndReason | None
    """Why it ended; None with `ended_at`."""
    turns: int
    """How many exchanges are on record."""


class Record(Protocol):
    """Who writes the record. No method waits, or raises."""

    def open(self, session: SessionOpened) -> None:
        """A call begins; before its first turn."""
        ...

    def turn(self, record: TurnRecord) -> None:
        """A reply is over: what makes the record a `ports.CallObserver`."""
        ...

    def close(self, session: str, reason: EndReason) -> None:
        """The call is over. Once more changes nothing."""
        ...


class SessionStore(Protocol):
    """The record. Every method may raise StoreError."""

    async def keep(self, entries: Sequence[Entry]) -> int:
        """Add lines to the record, in one transaction. Lines that are there already change nothing.

        How many were left out because their session is not on record: it was erased meanwhile.
        """
        ...

    async def erase_before(self, moment: datetime, *, limit: int) -> int:
        """Erase at most `limit` turns that ended before then, and as many sessions without turns that did.

        How many turns and sessions there were; fewer than `limit`: nothing that old is left.
        """
        ...

    async def erase(self, session: str) -> bool:
        """Erase one session with all its turns; False where it is not on record."""
        ...

    async def sessions(
        self, *, org_name: str | None = None, before: datetime | None = None, limit: int
    ) -> Sequence[KeptSession]:
        """At most `limit` sessions, of one organization or all, that started before then; newest first."""
        ...

    async def turns(self, session: str) -> tuple[KeptSession, Sequence[TurnRecord]] | None:
        """One session with its turns, oldest first; None where it is not on record."""
        ...
