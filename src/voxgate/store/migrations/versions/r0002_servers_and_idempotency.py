"""Who does the work of a hold, requests that are billed once, and usage one can page through."""

import sqlalchemy as sa
from alembic import op

from voxgate.store.schema import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the new tables, columns and indexes."""
    op.create_table(
        "servers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
    )
    op.create_table(
        "idempotency",
        sa.Column("org_id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.JSON()),
        sa.Column("body", sa.LargeBinary()),
        sa.CheckConstraint("state IN ('running', 'interrupted', 'done')", name=op.f("ck_idempotency_state_known")),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_idempotency_org_id")),
        sa.PrimaryKeyConstraint("org_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"])
    op.create_index(
        "ix_idempotency_running",
        "idempotency",
        ["owner"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.add_column("holds", sa.Column("owner", sa.String(32)))
    op.add_column("holds", sa.Column("swept_at", UtcDateTime()))
    op.add_column("usage", sa.Column("uid", sa.String(32)))
    random = "lower(hex(randomblob(12)))" if op.get_bind().dialect.name == "sqlite" else "left(md5(random()::text), 24)"
    op.execute(f"UPDATE usage SET uid = 'use_' || {random}")
    op.create_index("ix_usage_uid", "usage", ["uid"], unique=True)
    op.create_index("ix_usage_org_id_at", "usage", ["org_id", "at", "id"])
    op.drop_index(op.f("ix_usage_org_id_id"), "usage")
