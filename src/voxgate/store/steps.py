"""The steps of the ledger inside a transaction that is open: take, put back, post, settle.

Whoever changes a hold and its organization changes the hold's row first, so two of them cannot wait for each other.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.domain import Balance, Usage
from voxgate.errors import Code, MisuseError, RefusedError
from voxgate.store.schema import Kind, holds, organizations, postings, usage

# Statements are built once: building one anew costs about as much as carrying it out.
_org = organizations.c
_hold = holds.c

_TAKE = (
    update(organizations)
    .where(_org.id == bindparam("org"), _org.available >= bindparam("taken"))
    .values(available=_org.available - bindparam("taken"), held=_org.held + bindparam("taken"))
    .returning(_org.available, _org.held)
)
_PUT_BACK = (
    update(organizations)
    .where(_org.id == bindparam("org"))
    .values(available=_org.available + bindparam("released"), held=_org.held - bindparam("closed"))
    .returning(_org.available, _org.held)
)
_BALANCE = select(_org.available, _org.held).where(_org.id == bindparam("org"))

# Locks the hold's row on PostgreSQL; SQLite has one writer, and no such words.
LOCK_HOLD = (
    select(_hold.amount, _hold.charged, _hold.swept_at, _hold.owner, _hold.earned, _hold.units)
    .where(_hold.id == bindparam("hold"))
    .with_for_update()
)
_CLOSE = (
    update(holds)
    .where(_hold.id == bindparam("hold"))
    .values(
        charged=bindparam("charge"),
        settled_at=bindparam("now"),
        heartbeat_at=bindparam("now"),
        swept_at=bindparam("swept"),
    )
)
NEW_POSTING = insert(postings)
_NEW_USAGE = insert(usage)


@dataclass(frozen=True, slots=True)
class HoldRef:
    """A hold, and what its postings and its usage say about it."""

    id: str
    org_id: str
    key_id: str
    request_id: str

    def posting(self, kind: Kind, amount: int, at: datetime, *, step: str) -> dict[str, object]:
        """A row of the ledger; its idempotency key is the hold and the `step` of its life."""
        return {
            "org_id": self.org_id,
            "hold_id": self.id,
            "request_id": self.request_id,
            "kind": kind,
            "amount": amount,
            "key": f"{self.id}:{step}",
            "at": at,
        }


async def take(connection: AsyncConnection, org_id: str, amount: int) -> Balance:
    """Move `amount` from available to held. Raises RefusedError where that would leave less than nothing."""
    row = (await connection.execute(_TAKE, {"org": org_id, "taken": amount})).one_or_none()
    if row is None:
        raise RefusedError("the organization has not enough credits for this request", code=Code.INSUFFICIENT_CREDITS)
    return Balance(available=row.available, held=row.held)


async def balance_of(connection: AsyncConnection, org_id: str) -> Balance:
    """What an organization has. Raises MisuseError for one that is not there."""
    row = (await connection.execute(_BALANCE, {"org": org_id})).one_or_none()
    if row is None:
        raise MisuseError(f"there is no organization {org_id}")
    return Balance(available=row.available, held=row.held)


async def settle(
    connection: AsyncConnection,
    hold: HoldRef,
    amount: int,
    charge: int,
    done: Usage | None,
    at: datetime,
    *,
    swept: bool,
) -> Balance:
    """Close an open hold of `amount` whose row is locked: charge, release the rest, write the usage.

    `swept`: another server does it than the one that did the work.
    """
    released = amount - charge
    await connection.execute(_CLOSE, {"hold": hold.id, "charge": charge, "now": at, "swept": at if swept else None})
    parts = {Kind.CHARGE: charge, Kind.RELEASE: released}
    await connection.execute(
        NEW_POSTING, [hold.posting(kind, part, at, step=kind) for kind, part in parts.items() if part]
    )
    if done is not None:
        await add_usage(connection, hold.org_id, hold.key_id, done, amount=charge, hold_id=hold.id, at=at)
    left = (await connection.execute(_PUT_BACK, {"org": hold.org_id, "released": released, "closed": amount})).one()
    return Balance(available=left.available, held=left.held)


async def add_usage(
    connection: AsyncConnection,
    org_id: str,
    key_id: str,
    done: Usage,
    *,
    amount: int,
    hold_id: str | None,
    at: datetime,
) -> None:
    """Write down what was delivered."""
    await connection.execute(
        _NEW_USAGE,
        {
            "org_id": org_id,
            "key_id": key_id,
            "hold_id": hold_id,
            "uid": f"use_{secrets.token_hex(12)}",
            "request_id": done.request_id,
            "surface": done.surface,
            "units": dict(done.units),
            "amount": amount,
            "at": at,
        },
    )
