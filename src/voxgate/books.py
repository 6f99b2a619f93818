"""What the back office is asked for, and what it answers: accounts, usage, audits, requests that are billed once.

Values, and ports beside `ports.Ledger`: the services decide over them, the store carries them out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from voxgate.domain import ApiKey, Organization, Principal, Scope, Tier


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One metered piece of work in the books."""

    id: str
    org_name: str
    key_id: str
    request_id: str
    surface: str
    units: Mapping[str, int]
    """What was delivered: `audio_ms`, `prompt_tokens`, `completion_tokens`."""
    amount: int
    """Micro-credits it cost."""
    at: datetime


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which rows are wanted."""

    org_id: str | None = None
    """None: of every organization."""
    request_id: str | None = None
    since: datetime | None = None
    """The first moment that counts."""
    until: datetime | None = None
    """The first moment that does not count any more."""


class UsageStore(Protocol):
    """Reads what was delivered. Every method may raise StoreError."""

    async def page(
        self, query: UsageQuery, *, limit: int, after: str | None = None, oldest_first: bool = False
    ) -> Sequence[UsageRow] | None:
        """At most `limit` rows behind the row `after` (its id, or its request's), newest first unless asked otherwise.

        Rows that are added meanwhile move nothing. None where the organization has no row `after`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Posted:
    """One posting and the work it belongs to."""

    id: int
    at: datetime
    org_name: str
    kind: str
    """`grant`, `hold`, `release`, `charge`."""
    amount: int
    """Micro-credits, positive."""
    hold_id: str | None
    request_id: str | None
    usage_id: str | None
    """The usage row of its hold; None for grants, for work under way, and for work that was given back whole."""
    surface: str | None


@dataclass(frozen=True, slots=True)
class Audited:
    """One organization, recomputed from its postings. Micro-credits."""

    org_name: str
    postings: int
    granted: int
    charged: int
    available: int
    held: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found."""

    organizations: tuple[Audited, ...]
    differences: tuple[str, ...]
    """One sentence each; empty where the books are right."""


class AuditStore(Protocol):
    """Recomputes the books. Every method may raise StoreError."""

    async def audit(self) -> AuditReport:
        """Compare every carried sum, hold and usage with the postings, as they were at one moment."""
        ...

    async def postings(self, org_name: str | None, *, after: int, limit: int) -> Sequence[Posted]:
        """At most `limit` postings with ids above `after`, oldest first, of one organization or all."""
        ...


@dataclass(frozen=True, slots=True)
class Owner:
    """A server that has work open."""

    id: str | None
    """None: work from before servers had ids."""
    beats: int
    ended: bool


class Books(Protocol):
    """What is done for servers that are no more. Every method may raise StoreError."""

    async def owners(self) -> Sequence[Owner]:
        """Every server with an open hold or a running request."""
        ...

    async def end(self, owner: Owner) -> bool:
        """Declare a server ended, unless it has beaten since; False then."""
        ...

    async def settle_orphans(self) -> Sequence[tuple[str, int]]:
        """Settle every hold of ended servers to what was earned at the last heartbeat, interrupt their requests.

        (request id, micro-credits charged) of each hold.
        """
        ...

    async def forget(self, before: datetime) -> int:
        """Drop requests with an Idempotency-Key that began before then and run no more, and servers that ended before.

        How many requests there were.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The first answer to a request, as it went out."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class State(StrEnum):
    """How far an earlier attempt got."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """It ended without a whole answer; it is the new attempt's to go on."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier attempt at a request."""

    state: State
    fingerprint: str
    request_id: str
    """What every attempt is billed under: the request id of the first."""
    paid: int
    """Micro-credits that earlier attempts were charged."""
    answer: KeptAnswer | None
    """Only with DONE, and only an answer that was kept."""


class IdempotencyStore(Protocol):
    """Requests that are billed once. Every method may raise StoreError.

    `key` and `fingerprint` are SHA-256 in hexadecimal.
    """

    async def begin(self, org_id: str, key: str, fingerprint: str, attempt: str) -> Earlier | None:
        """Begin a request, unless there was an earlier one; None where it is the first.

        An interrupted one with the same fingerprint is taken over by `attempt`, in the same transaction.
        """
        ...

    async def finish(self, org_id: str, key: str, attempt: str, answer: KeptAnswer | None) -> None:
        """The attempt was answered whole; `answer` where it is to be kept."""
        ...

    async def interrupt(self, org_id: str, key: str, attempt: str) -> None:
        """The attempt ended without a whole answer."""
        ...

    async def forget(self, org_id: str, key: str, attempt: str) -> None:
        """The attempt was answered with an error, so there was no request."""
        ...


class ClientSecretStore(Protocol):
    """Short-lived credentials for browsers."""

    async def add(
        self,
        secret: str,
        *,
        key_id: str,
        scopes: Collection[Scope],
        session: Mapping[str, Any],
        expires_at: datetime,
    ) -> str:
        """Store the hash of `secret`, which stands for the key `key_id` until then; its id. Raises StoreError."""
        ...


class Spending(Protocol):
    """What each key with a daily limit has spent on a day, holds of work under way included. Raises StoreError."""

    async def reserve(self, principal: Principal, day: date, amount: int) -> bool:
        """Count `amount` micro-credits to the key's day; False, and nothing counted, above `principal.daily_limit`.

        A caller that is cancelled meanwhile has nothing counted.
        """
        ...

    async def give_back(self, key_id: str, day: date, amount: int) -> None:
        """Count `amount` micro-credits less."""
        ...


class AccountStore(Protocol):
    """Organizations and their keys, for the command line and administration; each method is one transaction."""

    async def add_key(
        self,
        key: str,
        *,
        org: str,
        tier: Tier,
        grant: int,
        label: str,
        expires_at: datetime | None,
        max_concurrent: int | None = None,
        daily_limit: int | None = None,
        only_first: bool = False,
    ) -> tuple[Organization, ApiKey] | None:
        """Store the hash of `key` for the organization named `org`, which exists or is made.

        One that is made gets `tier` and `grant` micro-credits; one that exists keeps its own.
        None, and nothing stored, with `only_first` where any organization exists.
        """
        ...

    async def keys(self, org: str | None = None) -> Sequence[ApiKey]:
        """The keys of one organization, or all; oldest first."""
        ...

    async def revoke_key(self, key_id: str) -> ApiKey | None:
        """End a key now; one that was revoked before keeps its time. None for an id that is not known."""
        ...

    async def rotate_key(
        self, key_id: str, key: str, *, ends_at: datetime, expires_at: datetime | None
    ) -> tuple[Organization, ApiKey] | None:
        """Store the hash of `key`, which takes the place of `key_id` with its label and limits; the old one ends then.

        None, and nothing changed, where the old one is unknown, revoked, expired or was rotated before.
        """
        ...

    async def limit_key(self, key_id: str, *, max_concurrent: int | None, daily_limit: int | None) -> ApiKey | None:
        """Set both limits of a key, which running servers heed from its next request on. None for an unknown id."""
        ...

    async def grant(self, org: str, amount: int, *, grant_id: str) -> Organization | None:
        """Add `amount` (> 0) micro-credits; the same `grant_id` again adds nothing. None for a name not known."""
        ...

    async def organizations(self, org: str | None = None) -> Sequence[Organization]:
        """The organization of that name, or all; by name."""
        ...
