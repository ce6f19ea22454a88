"""Make new contacts cheaper: no index of the hashes of addresses, and of owners only where there are some.

Revises: 0008
Created: 2026-11-22
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OWNED = sa.text("owner_id IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_addresses_address_hash", "addresses")
    op.drop_index("ix_contacts_owner_id", "contacts")
    op.create_index("ix_contacts_owner_id", "contacts", ["owner_id"], sqlite_where=OWNED, postgresql_where=OWNED)


def downgrade() -> None:
    op.drop_index("ix_contacts_owner_id", "contacts")
    op.create_index("ix_contacts_owner_id", "contacts", ["owner_id"])
    op.create_index("ix_addresses_address_hash", "addresses", ["address_hash"])
