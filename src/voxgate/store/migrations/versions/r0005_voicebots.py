"""Voicebots and their images."""

import sqlalchemy as sa
from alembic import op

from voxgate.store.schema import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the new tables."""
    op.create_table(
        "voicebots",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("org_id", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("avatar_url", sa.Text()),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("voice", sa.Text(), nullable=False),
        sa.Column("greeting", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_voicebots_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voicebots")),
    )
    op.create_index(op.f("ix_voicebots_org_id_created_at"), "voicebots", ["org_id", "created_at", "id"])
    op.create_table(
        "voicebot_images",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("voicebot_id", sa.String(24), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["voicebot_id"], ["voicebots.id"], name=op.f("fk_voicebot_images_voicebot_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voicebot_images")),
        sa.UniqueConstraint("voicebot_id", "key", name=op.f("uq_voicebot_images_voicebot_id_key")),
    )
    op.create_index(op.f("ix_voicebot_images_voicebot_id_digest"), "voicebot_images", ["voicebot_id", "digest"])
