"""Keep qualification slots beside standings, and how far scoring anew has come.

Revises: 0003
Created: 2026-11-22
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Json, Key

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("standings") as batch:
        batch.add_column(sa.Column("slots", Json, nullable=True))
        batch.add_column(sa.Column("slots_filled", sa.Integer(), nullable=True))
    with op.batch_alter_table("live") as batch:
        batch.add_column(sa.Column("restand_from", Key, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("live") as batch:
        batch.drop_column("restand_from")
    with op.batch_alter_table("standings") as batch:
        batch.drop_column("slots_filled")
        batch.drop_column("slots")
