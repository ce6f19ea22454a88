"""${message}

Revises: ${down_revision | comma,n}
Created: ${create_date}
"""
# What a migration may do, and how:
#
#  * It stands alone. Import nothing from nurture but `nurture.db.types`: tables, words and rules change, a migration
#    that has run once never does. Write literals; enumerations are strings with a CHECK.
#  * It goes up and down, on SQLite and PostgreSQL, with rows in the tables. `tests/test_migrations.py` does so.
#  * Existing tables change only in `with op.batch_alter_table("…") as batch:`, which SQLite needs.
#  * Every constraint has the name that the naming convention gives it (`ix_ uq_ ck_ fk_ pk_`): SQLite can only drop
#    what has a name. Write CHECK names through `op.f("ck_table_name")`.
#  * A new column on a filled table is nullable, or has a `server_default` that the same migration removes again.
#  * Data changes are single SQL statements (`op.execute`), never loops over rows and never the ORM.
#  * Nothing weakens a suppression, drops history or rewrites an approval.
#  * It runs in one transaction, under a lock; no COMMIT, no CREATE INDEX CONCURRENTLY.

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
