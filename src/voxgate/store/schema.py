"""The tables of keys, credits, requests that are billed once, of what was said in sessions, and of voicebots.

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
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

REVISION = "0006"
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
    Column("max_concurrent", Integer),
    Column("daily_limit", BigInteger),
    Column("replaced_by", String(32)),
)
"""Keys as the SHA-256 of their text, in hexadecimal (see `keys.digest`); `prefix` is for people."""

client_secrets = Table(
    "client_secrets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("session", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
"""Short-lived stand-ins for keys, as the SHA-256 of their text; removed some time after they expired."""

key_spending = Table(
    "key_spending",
    metadata,
    Column("key_id", String(32), ForeignKey("api_keys.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("spent", BigInteger, nullable=False),
    CheckConstraint("spent >= 0", name="spent_not_negative"),
)
"""Micro-credits that keys with a daily limit have spent or set aside on a day (UTC).

A counter beside the ledger, not part of it: it may count too much where a server is killed, never too little.
"""

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
    Column("owner", String(32)),
    Column("swept_at", UtcDateTime),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("charged BETWEEN 0 AND amount", name="charged_within_amount"),
)
"""Credits set aside for work under way.

`settled_at` is null while the hold is open. `earned` and `units` are what had been delivered at `heartbeat_at`: what an
interrupted piece of work is settled to. `owner` is the server that does the work (no foreign key: a server that is
taken for dead and comes back goes on under a new id); null for holds older than servers' ids. `swept_at` is when it was
settled in its owner's place.
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
    Column("uid", String(32)),
    Column("request_id", String(128), nullable=False, index=True),
    Column("surface", String(32), nullable=False),
    Column("units", JSON, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_usage_uid", "uid", unique=True),
    Index("ix_usage_org_id_at", "org_id", "at", "id"),
    CheckConstraint("amount >= 0", name="amount_not_negative"),
)
"""What was delivered, and the micro-credits it cost. One row at most for a hold; free work has a row and no hold.

`uid` is what customers see: `id` counts the work of everybody.
"""

servers = Table(
    "servers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("beats", BigInteger, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)
"""Processes that do work. One is alive while `beats` grows, whatever its clock says, and until `ended_at` is set."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("org_id", String(32), ForeignKey("organizations.id"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", String(128), nullable=False),
    Column("owner", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", LargeBinary),
    CheckConstraint("state IN ('running', 'interrupted', 'done')", name="state_known"),
)
"""Requests that carried an Idempotency-Key, for 24 hours.

`key` and `fingerprint` are SHA-256 in hexadecimal, of the header and of the request. `request_id` is the first
attempt's, and what every attempt is billed under; `attempt` is the one that is running, on the server `owner`.
`status`, `headers` and `body` are the first answer, where it is one that is kept.
"""

Index(
    "ix_idempotency_running",
    idempotency.c.owner,
    sqlite_where=idempotency.c.state == "running",
    postgresql_where=idempotency.c.state == "running",
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("voice", Text, nullable=False),
    Column("language", Text),
    Column("started_at", UtcDateTime, nullable=False, index=True),
    Column("ended_at", UtcDateTime),
    Column("end_reason", String(16)),
    Index("ix_sessions_org_id_started_at", "org_id", "started_at"),
)
"""Calls, for as long as `transcripts.keep_days` says.

`ended_at` is null while one goes on, and for good where its server died before it was over.
"""

turns = Table(
    "turns",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("session_id", String(64), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("reply", Integer, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False, index=True),
    Column("ended_by", String(16)),
    Column("heard", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("spoken", Text, nullable=False),
    Column("reply_language", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("latency", JSON, nullable=False),
    Column("speech_ms", BigInteger, nullable=False),
    Column("played_ms", BigInteger, nullable=False),
    Column("suspected", Integer, nullable=False),
    Column("guessed", Boolean, nullable=False),
    Column("discarded", Integer, nullable=False),
    UniqueConstraint("session_id", "reply"),
)
"""What was said and answered in a session, one row a reply: calls.TurnRecord, whose docstrings tell the columns.

`latency` is stage -> [start, end] in milliseconds after `ended_at`, without the stages that were not.
"""

voicebots = Table(
    "voicebots",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("avatar_url", Text),
    Column("instructions", Text, nullable=False),
    Column("language", Text),
    Column("voice", Text, nullable=False),
    Column("greeting", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_voicebots_org_id_created_at", "org_id", "created_at", "id"),
)
"""Voicebots: rooms.Voicebot, whose docstrings tell the columns.

Its row goes when one is deleted; what refers to its id and is to be kept longer, as sessions are, has no foreign key.
"""

voicebot_images = Table(
    "voicebot_images",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("voicebot_id", String(24), ForeignKey("voicebots.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("media_type", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("object", Text, nullable=False),
    UniqueConstraint("voicebot_id", "key"),
    Index("ix_voicebot_images_voicebot_id_digest", "voicebot_id", "digest"),
)
"""Images of voicebots: rooms.BotImage. `object` is the name of the content where images lie; no other row has it."""

room_sessions = Table(
    "room_sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("room", String(64), nullable=False, unique=True),
    Column("org_id", String(32), ForeignKey("organizations.id"), nullable=False),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False),
    Column("voicebot_id", String(24), nullable=False),
    Column("bot", Text, nullable=False),
    Column("identity", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("hold_id", String(32), ForeignKey("holds.id"), index=True),
    Column("owner", String(32), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("asked_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("reason", String(16)),
    Column("duration_ms", BigInteger, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Index("ix_room_sessions_org_id_started_at", "org_id", "started_at"),
    CheckConstraint("minutes > 0", name="minutes_positive"),
    CheckConstraint("charged >= 0", name="charged_not_negative"),
)
"""Sessions in rooms: rooms.RoomSession, for as long as the books are kept. What was said in them is in `turns`.

`ended_at` is null while one goes on. `duration_ms`, `minutes` and `charged` are what was true at `heartbeat_at`; the
hold, where there is one (what is free has none), says the same at every moment. `owner` is the server that carries the
call, `asked_at` when another was asked to end it.
"""

Index(
    "ix_room_sessions_open",
    room_sessions.c.owner,
    sqlite_where=room_sessions.c.ended_at.is_(None),
    postgresql_where=room_sessions.c.ended_at.is_(None),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("session_id", String(64), ForeignKey("room_sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    sqlite_autoincrement=True,  # an id is never used again, even where nothing else is left to tell
)
"""What the operator's webhook is still to be told, until it was, or is given up.

Whoever tells it puts `due_at` off first, by as long as that may take at most: so nobody else tells it meanwhile, and
somebody does where that server is killed.
"""
