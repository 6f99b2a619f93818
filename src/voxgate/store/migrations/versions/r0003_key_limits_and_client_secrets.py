"""Limits and rotation of keys, what keys spend a day, and client secrets."""

import sqlalchemy as sa
from alembic import op

from voxgate.store.schema import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the new tables and columns."""
    op.add_column("api_keys", sa.Column("max_concurrent", sa.Integer()))
    op.add_column("api_keys", sa.Column("daily_limit", sa.BigInteger()))
    op.add_column("api_keys", sa.Column("replaced_by", sa.String(32)))
    op.create_table(
        "client_secrets",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("session", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_client_secrets_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_secrets")),
        sa.UniqueConstraint("digest", name=op.f("uq_client_secrets_digest")),
    )
    op.create_index(op.f("ix_client_secrets_expires_at"), "client_secrets", ["expires_at"])
    op.create_table(
        "key_spending",
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("spent >= 0", name=op.f("ck_key_spending_spent_not_negative")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_key_spending_key_id")),
        sa.PrimaryKeyConstraint("key_id", "day", name=op.f("pk_key_spending")),
    )
