"""Give reps calendars and capacity; route handoffs, watch them and keep what sales said.

Revises: 0001
Created: 2026-11-22
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Json, Key, Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = "kind IN ('enrollment', 'message', 'review', 'draft')"
AFTER = "kind IN ('enrollment', 'message', 'review', 'draft', 'sla')"


def upgrade() -> None:
    _timer_kinds(AFTER, BEFORE)
    with op.batch_alter_table("reps") as batch:
        batch.add_column(sa.Column("country", sa.String(), nullable=True))
        batch.add_column(sa.Column("region", sa.String(), nullable=True))
        batch.add_column(sa.Column("territory", Json, nullable=True))
        batch.add_column(sa.Column("most_open_handoffs", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("handoffs_per_day", sa.Integer(), nullable=True))
    with op.batch_alter_table("contacts") as batch:
        batch.add_column(sa.Column("barred_until", Moment(), nullable=True))
        batch.add_column(sa.Column("barred_why", sa.String(), nullable=True))
    with op.batch_alter_table("handoffs") as batch:
        batch.add_column(sa.Column("from_stage", sa.String(), nullable=True))
        batch.add_column(sa.Column("to_stage", sa.String(), nullable=True))
        batch.add_column(sa.Column("assigned_at", Moment(), nullable=True))
        batch.add_column(sa.Column("took_owner", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("warned_at", Moment(), nullable=True))
        batch.add_column(sa.Column("escalated_at", Moment(), nullable=True))
        batch.add_column(sa.Column("closed_by", sa.String(), nullable=True))
        batch.add_column(sa.Column("note", sa.String(), nullable=True))
        batch.add_column(sa.Column("returns_at", Moment(), nullable=True))
    with op.batch_alter_table("handoffs") as batch:
        batch.alter_column("took_owner", server_default=None, existing_type=sa.Boolean(), existing_nullable=False)
    op.create_index("ix_handoffs_opened_at", "handoffs", ["opened_at"])
    opened = sa.text("state = 'open'")
    op.create_index("ix_handoffs_open_rep_id", "handoffs", ["rep_id"], sqlite_where=opened, postgresql_where=opened)
    op.execute("UPDATE handoffs SET assigned_at = opened_at WHERE rep_id IS NOT NULL")
    _new_tables()


def _new_tables() -> None:
    op.create_table(
        "time_off",
        sa.Column("id", Key, nullable=False),
        sa.Column("rep_id", Key, nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_time_off_in_order")),
        sa.ForeignKeyConstraint(["rep_id"], ["reps.id"], name=op.f("fk_time_off_rep_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_time_off")),
        sa.UniqueConstraint("rep_id", "first_day", "last_day", name=op.f("uq_time_off_rep_id_first_day_last_day")),
    )
    op.create_index(op.f("ix_time_off_rep_id"), "time_off", ["rep_id"])
    op.create_table(
        "assignments",
        sa.Column("id", Key, nullable=False),
        sa.Column("handoff_id", Key, nullable=False),
        sa.Column("rep_id", Key, nullable=True),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("skipped", Json, nullable=False),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("ended_why", sa.String(), nullable=True),
        sa.Column("worked_minutes", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["handoff_id"], ["handoffs.id"], name=op.f("fk_assignments_handoff_id")),
        sa.ForeignKeyConstraint(["rep_id"], ["reps.id"], name=op.f("fk_assignments_rep_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_handoff_id"), "assignments", ["handoff_id"])
    op.create_index("ix_assignments_rep_id_at", "assignments", ["rep_id", "at"])
    op.create_table(
        "grounds",
        sa.Column("handoff_id", Key, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('fit', 'engagement')", name=op.f("ck_grounds_kind")),
        sa.ForeignKeyConstraint(["handoff_id"], ["handoffs.id"], name=op.f("fk_grounds_handoff_id")),
        sa.PrimaryKeyConstraint("handoff_id", "kind", "name", name=op.f("pk_grounds")),
    )
    op.create_table(
        "rotation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("last", Json, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_rotation_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rotation")),
    )


def downgrade() -> None:
    for table in ("rotation", "grounds", "assignments", "time_off"):
        op.drop_table(table)
    op.drop_index("ix_handoffs_open_rep_id", "handoffs")
    op.drop_index("ix_handoffs_opened_at", "handoffs")
    added = {
        "handoffs": (
            "from_stage",
            "to_stage",
            "assigned_at",
            "took_owner",
            "warned_at",
            "escalated_at",
            "closed_by",
            "note",
            "returns_at",
        ),
        "contacts": ("barred_until", "barred_why"),
        "reps": ("country", "region", "territory", "most_open_handoffs", "handoffs_per_day"),
    }
    for table, columns in added.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")  # both databases can, without copying the table
    op.execute("DELETE FROM timers WHERE kind = 'sla'")
    _timer_kinds(BEFORE, AFTER)


def _timer_kinds(allowed: str, before: str) -> None:
    """Change which kinds of timers there may be. SQLite makes the table anew, clustered as it was."""
    name = op.f("ck_timers_kind")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "timers")
        op.create_check_constraint(name, "timers", allowed)
        return
    known = sa.Table(
        "timers",
        sa.MetaData(),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", Key, autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.CheckConstraint(before, name=name),
        sa.PrimaryKeyConstraint("due_at", "kind", "subject_id", name=op.f("pk_timers")),
        sa.UniqueConstraint("kind", "subject_id", name=op.f("uq_timers_kind_subject_id")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("timers", copy_from=known, recreate="always") as batch:
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, allowed)
