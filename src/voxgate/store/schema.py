"""The tables of keys and credits.

Money is whole micro-credits in 64-bit integers; nothing here is ever a float. `postings` is the ledger: rows are added,
never changed (triggers in the migrations refuse it), and every balance can be computed from them:

    available = Σ grant − Σ hold + Σ release
    held      = Σ hold − Σ release − Σ charge

`organizations.available` and `.held` carry the same two sums, kept in the transaction that adds the postings, so that
one conditional UPDATE of one row decides whether there is enough, on SQLite and on PostgreSQL alike.
"""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)

REVISION = "0001"
"""The newest migration. A database at it is used as it is; Alembic, 0.3 s to import, stays out of the start."""

BALANCE_LIMIT = 2**62
"""Micro-credits an organization can hold: far beyond use, and no sum of two such balances overflows 64 bits."""


class Kind(StrEnum):
    """What a posting does; its amount is always positive."""

    GRANT = "grant"
    """Adds to `available`."""
    HOLD = "hold"
    """Moves from `available` to `held`."""
    RELEASE = "release"
    """Moves back from `held` to `available`."""
    CHARGE = "charge"
    """Leaves `held`: sold."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Constraints carry names, so that later migrations can drop them on either database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("tier", String(16), nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("available >= 0", name="available_not_negative"),
    CheckConstraint("held >= 0", name="held_not_negative"),
)
"""Who pays."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("label", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)
"""Keys as the SHA-256 of their text, in hexadecimal (see `keys.digest`); `prefix` is for people."""

holds = Table(
    "holds",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("earned", BigInteger, nullable=False),
    Column("units", JSON, nullable=False),
    Column("charged", BigInteger),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("charged BETWEEN 0 AND amount", name="charged_within_amount"),
)
"""Credits set aside for work under way.

`settled_at` is null while the hold is open. `earned` and `units` are what had been delivered at `heartbeat_at`: what an
interrupted piece of work is settled to.
"""

Index(
    "ix_holds_open",
    holds.c.heartbeat_at,
    sqlite_where=holds.c.settled_at.is_(None),
    postgresql_where=holds.c.settled_at.is_(None),
)

postings = Table(
    "postings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False, index=True),
    Column("hold_id", String(32), ForeignKey("holds.id"), index=True),
    Column("request_id", String(128)),
    Column("kind", String(8), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("key", String(128), nullable=False, unique=True),
    Column("at", UtcDateTime, nullable=False),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("kind IN ('grant', 'hold', 'release', 'charge')", name="kind_known"),
)
"""The ledger. `key` is the idempotency key: a step that is tried again cannot be posted twice."""

usage = Table(
    "usage",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False),
    Column("hold_id", String(32), ForeignKey("holds.id"), unique=True),
    Column("request_id", String(128), nullable=False, index=True),
    Column("surface", String(32), nullable=False),
    Column("units", JSON, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "org_id", "id"),
    CheckConstraint("amount >= 0", name="amount_not_negative"),
)
"""What was delivered, and the micro-credits it cost. One row at most for a hold; none for free work's."""
