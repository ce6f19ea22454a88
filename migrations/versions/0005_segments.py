"""Make segments: who is in them, how far each was filled, and the index of what people did.

Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Key, Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ASKED = (
    "kind NOT IN ('created', 'imported', 'sent', 'delivered', 'refused', 'deferred', 'updated', 'stage_left', "
    "'sequence_entered', 'time_passed')"
)


def upgrade() -> None:
    op.create_table(
        "segment_members",
        sa.Column("contact_id", Key, autoincrement=False, nullable=False),
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_segment_members_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", "segment", name=op.f("pk_segment_members")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_segment_members_segment_contact_id", "segment_members", ["segment", "contact_id"])
    op.create_table(
        "segment_fills",
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.Column("filled_to", Key, nullable=False),
        sa.Column("filled_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("segment", name=op.f("pk_segment_fills")),
    )
    op.create_index(
        "ix_events_asked",
        "events",
        ["kind", "at", "contact_id", "trust"],
        sqlite_where=sa.text(ASKED),
        postgresql_where=sa.text(ASKED),
    )


def downgrade() -> None:
    op.drop_index("ix_events_asked", "events")
    op.drop_table("segment_fills")
    op.drop_table("segment_members")
