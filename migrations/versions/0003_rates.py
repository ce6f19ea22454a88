"""Count what a rate lets go, and keep which slot a message was promised.

Revises: 0002
Created: 2026-11-22
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Key, Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "meters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("window", Key, nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("promised", sa.Integer(), nullable=False),
        sa.Column("last", Key, nullable=False),
        sa.Column("last_promised", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meters")),
        postgresql_with={"fillfactor": 50},
    )
    with op.batch_alter_table("senders", recreate="never") as batch:
        batch.add_column(sa.Column("rate", sa.String(), nullable=True))
        batch.add_column(sa.Column("per_day", sa.Integer(), nullable=True))
    with op.batch_alter_table("messages", recreate="never") as batch:
        batch.add_column(sa.Column("rate_meter", sa.String(), nullable=True))
        batch.add_column(sa.Column("rate_slot", Moment(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("messages", recreate="never") as batch:
        batch.drop_column("rate_slot")
        batch.drop_column("rate_meter")
    with op.batch_alter_table("senders", recreate="never") as batch:
        batch.drop_column("per_day")
        batch.drop_column("rate")
    op.drop_table("meters")
