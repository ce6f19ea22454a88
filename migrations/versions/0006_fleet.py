"""Give messages a lane, and PostgreSQL a queue: what a fleet stands on.

Revises: 0005
Created: 2026-11-22
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from nurture.db.types import Key

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

QUEUE = Path(__file__).parent.parent / "queue" / "procrastinate-3.10.sql"

LANE = """
CREATE FUNCTION nurture_timer_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lane := (SELECT sender_id FROM messages WHERE id = NEW.subject_id);
    RETURN NEW;
END $$;

CREATE TRIGGER nurture_timer_lane BEFORE INSERT ON timers
FOR EACH ROW WHEN (NEW.kind = 'message' AND NEW.lane IS NULL) EXECUTE FUNCTION nurture_timer_lane();

UPDATE timers SET lane = messages.sender_id
FROM messages WHERE timers.kind = 'message' AND messages.id = timers.subject_id;
"""

NO_LANE = "DROP TRIGGER nurture_timer_lane ON timers; DROP FUNCTION nurture_timer_lane();"

NO_QUEUE = """
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE;

DO $$
DECLARE name regprocedure;
BEGIN
    FOR name IN SELECT oid FROM pg_proc
        WHERE starts_with(proname, 'procrastinate_') AND pronamespace = current_schema()::regnamespace LOOP
        EXECUTE format('DROP FUNCTION %s', name);
    END LOOP;
END $$;

DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type;
"""


def upgrade() -> None:
    with op.batch_alter_table("timers", recreate="never") as batch:
        batch.add_column(sa.Column("lane", Key, nullable=True))
        batch.create_index(
            "ix_timers_lane",
            ["lane", "due_at", "subject_id"],
            postgresql_where=sa.text("kind = 'message'"),
            sqlite_where=sa.text("lane IS NOT NULL"),
        )
    on_postgresql(LANE)
    on_postgresql(QUEUE.read_text("utf-8"))


def downgrade() -> None:
    on_postgresql(NO_QUEUE)
    on_postgresql(NO_LANE)
    with op.batch_alter_table("timers", recreate="never") as batch:
        batch.drop_index("ix_timers_lane")
        batch.drop_column("lane")


def on_postgresql(script: str) -> None:
    """Run several statements as they are; SQLite has no fleet."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.connection.cursor().execute(script)
