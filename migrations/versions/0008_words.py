"""Check words one by one on SQLite, know a run that is over by its end, and drop an index that another one covers.

A run's state changes with every step; now no index depends on it. On SQLite the conditions of checks and of an index
are only worded anew, which its schema table allows without touching a row. A SQLite that is built to refuse that keeps
the old words, which mean the same.

Revises: 0007
Created: 2026-11-22
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LIVE = ("pending", "active", "waiting", "held", "paused")
OVER = ("completed", "exited", "failed")

LIVE_STATE = "state IN ('pending', 'active', 'waiting', 'held', 'paused')"
OLD_STATE = "state IN ('pending', 'active', 'waiting', 'held', 'paused', 'completed', 'exited', 'failed')"


def either(column: str, words: tuple[str, ...]) -> str:
    return " OR ".join(f"{column} = '{word}'" for word in words)


NEW_STATE = f"(ended_at IS NULL AND ({either('state', LIVE)})) OR (ended_at IS NOT NULL AND ({either('state', OVER)}))"

WORDS = r"\((?P<words>'\w+'(?:, '\w+')*)\)"
CHECKED = re.compile(rf"CHECK \((?P<column>\w+) IN {WORDS}\)")
CHAINED = re.compile(r"CHECK \((?P<column>\w+) = '\w+'(?: OR (?P=column) = '\w+')*\)")
UNASKED = re.compile(rf"(?<= WHERE )(?P<column>\w+) NOT IN {WORDS}$")
UNASKED_CHAIN = re.compile(r"(?<= WHERE )(?P<column>\w+) <> '\w+'(?: AND (?P=column) <> '\w+')+$")


def upgrade() -> None:
    runs = sa.table("enrollments", *map(sa.column, ("state", "ended_at", "updated_at")))
    live, ended = runs.c.state.in_(LIVE), runs.c.ended_at.is_not(None)
    op.execute(runs.update().where(~live, ~ended).values(ended_at=runs.c.updated_at))
    op.execute(runs.update().where(live, ended).values(ended_at=None))
    op.drop_index("ix_enrollments_contact_id", "enrollments")
    op.drop_index("uq_enrollments_live", "enrollments")
    index_live("ended_at IS NULL")
    if on_sqlite():
        word_anew(_one_by_one)
        return
    check_state(NEW_STATE)
    op.execute("ALTER TABLE enrollments SET (fillfactor = 80)")


def downgrade() -> None:
    if on_sqlite():
        word_anew(_in_words)
    else:
        op.execute("ALTER TABLE enrollments RESET (fillfactor)")
        check_state(OLD_STATE)
    op.drop_index("uq_enrollments_live", "enrollments")
    index_live(LIVE_STATE)
    op.create_index("ix_enrollments_contact_id", "enrollments", ["contact_id"])


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def index_live(condition: str) -> None:
    where = sa.text(condition)
    columns = ["contact_id", "sequence"]
    op.create_index(
        "uq_enrollments_live", "enrollments", columns, unique=True, sqlite_where=where, postgresql_where=where
    )


def check_state(condition: str) -> None:
    op.drop_constraint(op.f("ck_enrollments_state"), "enrollments", type_="check")
    op.create_check_constraint(op.f("ck_enrollments_state"), "enrollments", condition)


def word_anew(worded: Callable[[str], str]) -> None:
    """Replace the text of tables and indexes, which nothing that is stored depends on (sqlite.org/lang_altertable)."""
    connection = op.get_bind()
    found = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_schema WHERE sql LIKE '%CHECK%' OR sql LIKE '% WHERE %'"
    )
    changes = [(new, name) for name, text in found.all() if (new := worded(text)) != text]
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    try:
        connection.exec_driver_sql("UPDATE sqlite_schema SET sql = ? WHERE name = ?", changes)
    except sa.exc.OperationalError:  # "table sqlite_master may not be modified"
        return
    finally:
        connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
        connection.exec_driver_sql("PRAGMA writable_schema=RESET")


def _one_by_one(text: str) -> str:
    text = text.replace(f"CHECK ({OLD_STATE})", f"CHECK ({NEW_STATE})")
    text = CHECKED.sub(lambda found: f"CHECK ({_chain(found, ' = ', ' OR ')})", text)
    return UNASKED.sub(lambda found: _chain(found, " <> ", " AND "), text)


def _chain(found: re.Match[str], compared: str, joined: str) -> str:
    return joined.join(f"{found['column']}{compared}{word}" for word in found["words"].split(", "))


def _in_words(text: str) -> str:
    text = text.replace(f"CHECK ({NEW_STATE})", f"CHECK ({OLD_STATE})")
    text = CHAINED.sub(lambda found: f"CHECK ({found['column']} IN ({_words(found[0])}))", text)
    return UNASKED_CHAIN.sub(lambda found: f"{found['column']} NOT IN ({_words(found[0])})", text)


def _words(chain: str) -> str:
    return ", ".join(re.findall(r"'\w+'", chain))
