"""Index what few rows have only in those: a message and its event cost less.

Revises: 0006
Created: 2026-11-22
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SPARSE = {
    "ix_events_account_id_at": ("events", ["account_id", "at"]),
    "ix_messages_provider_id": ("messages", ["provider_id"]),
    "ix_messages_wire_id": ("messages", ["wire_id"]),
}


def upgrade() -> None:
    for name, (table, columns) in SPARSE.items():
        known = sa.text(f"{columns[0]} IS NOT NULL")
        op.drop_index(name, table)
        op.create_index(name, table, columns, sqlite_where=known, postgresql_where=known)


def downgrade() -> None:
    for name, (table, columns) in SPARSE.items():
        op.drop_index(name, table)
        op.create_index(name, table, columns)
