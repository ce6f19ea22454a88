"""Let decisions name their contact by its key alone: looking it up took PostgreSQL as long as writing the row.

Revises: 0010
Created: 2026-11-22
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("decisions") as batch:
        batch.drop_constraint(op.f("fk_decisions_contact_id"), type_="foreignkey")


def downgrade() -> None:
    with op.batch_alter_table("decisions") as batch:
        batch.create_foreign_key(op.f("fk_decisions_contact_id"), "contacts", ["contact_id"], ["id"])
