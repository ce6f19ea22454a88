"""Store what decisions have in common once, and look them up by contact and message.

Decisions that are there already keep what they have: they are read as before, and forgotten in time.

Revises: 0009
Created: 2026-11-22
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Json, Key, Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OWN_NO_MORE = ("checks", "program_hash", "code_version")

WHOLE_AGAIN = """
UPDATE decisions SET
    rule = (SELECT rule FROM readings WHERE readings.id = readings_id),
    checks = (SELECT checks FROM readings WHERE readings.id = readings_id),
    program_hash = (SELECT program_hash FROM readings WHERE readings.id = readings_id),
    code_version = (SELECT code_version FROM readings WHERE readings.id = readings_id)
WHERE readings_id IS NOT NULL
"""
"""The values that each had of its own are lost on the way down, as they have no place there."""


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("id", Key, nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("program_hash", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("checks", Json, nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readings")),
    )
    op.create_index(op.f("ix_readings_hash"), "readings", ["hash"])
    op.drop_index(op.f("ix_decisions_contact_id_last_at"), "decisions")
    op.drop_index(op.f("ix_decisions_message_id"), "decisions")
    with op.batch_alter_table("decisions") as batch:
        batch.add_column(sa.Column("readings_id", Key, nullable=True))
        batch.add_column(sa.Column("own", sa.JSON(), nullable=True))
        for name in OWN_NO_MORE:
            batch.alter_column(name, nullable=True)
    op.create_index(op.f("ix_decisions_contact_id_message_id"), "decisions", ["contact_id", "message_id"])


def downgrade() -> None:
    op.execute(WHOLE_AGAIN)
    op.drop_index(op.f("ix_decisions_contact_id_message_id"), "decisions")
    with op.batch_alter_table("decisions") as batch:
        for name in OWN_NO_MORE:
            batch.alter_column(name, nullable=False)
        batch.drop_column("own")
        batch.drop_column("readings_id")
    op.create_index(op.f("ix_decisions_message_id"), "decisions", ["message_id"])
    op.create_index(op.f("ix_decisions_contact_id_last_at"), "decisions", ["contact_id", "last_at"])
    op.drop_table("readings")
