"""A database with a great many live runs, nearly all of them not due: the database makes them by itself, in chunks.

They are as the benchmark's program would leave them: each contact has an address and one run of `welcome`, which waits
for its first step. On SQLite the file is kept in `.venv`, because five million take minutes to make.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from nurture.benchmark import stock
from nurture.core.words import TimerKind
from nurture.db import migrate
from nurture.db.session import Database
from nurture.db.types import Moment

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
"""When the first of them comes due; the last does a month after that."""

CHUNK = 100_000
KEPT = Path(__file__).parent.parent / ".venv"

_NUMBERS = {
    "sqlite": "(WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last) SELECT i FROM n)",
    "postgresql": "(SELECT i FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n(i))",
}
_HASH = {
    "sqlite": "printf('%08x%056x', (i * 2654435761) % 4294967296, i)",
    "postgresql": "lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') || lpad(to_hex(i), 56, '0')",
}
"""64 hexadecimal digits, as scattered as those of addresses."""

_DUE = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', '{later}', '+' || (i * 37 % 2592000) || ' seconds')",
    "postgresql": "CAST('{later}+00' AS timestamptz) + (i * 37 % 2592000) * interval '1 second'",
}
_NOW = {"sqlite": "'{now}'", "postgresql": "CAST('{now}+00' AS timestamptz)"}
_FIELDS = {"sqlite": "'{}'", "postgresql": "CAST('{}' AS jsonb)"}


def population(url: str, count: int, tell: Callable[[str], None] | None = None) -> None:
    """Fill the empty database at `url` with `count` runs that are not due."""
    stock.fill(url, 1, NOW, blank=True)
    database = Database(url)
    try:
        for first in range(2, count + 2, CHUNK):
            _add(database, first, min(first + CHUNK, count + 2) - 1)
            if tell:
                tell(f"{min(first + CHUNK - 2, count):,} of {count:,} runs")
        if database.dialect == "postgresql":
            _settle(database)
    finally:
        database.dispose()


def sqlite_population(count: int) -> str:
    """Return the URL of the kept SQLite file with so many runs, and make it where there is none yet."""
    path = KEPT / f"bench-{count}-{migrate.head()}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        for old in KEPT.glob(f"bench-{count}-*"):  # half made, or of another state of the tables
            old.unlink()
        population(f"sqlite:///{making}", count, lambda words: print(f"NOTE: making {words}", file=sys.stderr))
        making.rename(path)
    return f"sqlite:///{path}"


def make_due(database: Database, count: int, population: int) -> None:
    """Let `count` runs that never were due be so, from all over the population."""
    with database.write() as connection:
        used = connection.scalar(sa.text("SELECT count(*) FROM messages")) or 0
        apart = population // count
        ids = [2 + place * apart + (used // count) % apart for place in range(count)]
        change = sa.text("UPDATE timers SET due_at = :now WHERE kind = :kind AND subject_id = :id")
        change = change.bindparams(sa.bindparam("now", type_=Moment()))
        kind = TimerKind.ENROLLMENT.value
        connection.execute(change, [{"now": NOW, "kind": kind, "id": key} for key in ids])


def _add(database: Database, first: int, last: int) -> None:
    dialect = database.dialect
    written = {"now": f"{NOW:%Y-%m-%d %H:%M:%S}.000000", "later": f"{LATER:%Y-%m-%d %H:%M:%S}"}
    numbers, now, due = _NUMBERS[dialect], _NOW[dialect].format(**written), _DUE[dialect].format(**written)
    statements = (
        (
            f"INSERT INTO contacts (id, first_name, last_name, stage, stage_since, fields, created_at, updated_at)"
            f" SELECT i, 'Ann' || i, 'Smith', 'lead', {now}, {_FIELDS[dialect]}, {now}, {now} FROM {numbers} AS page"
        ),
        (
            f"INSERT INTO addresses (id, contact_id, email, email_key, address_hash, is_primary, created_at)"
            f" SELECT i, i, 'v' || i || '@bench.example', 'v' || i || '@bench.example', 'bench:' || {_HASH[dialect]},"
            f" true, {now} FROM {numbers} AS page"
        ),
        (
            f"INSERT INTO enrollments (id, contact_id, sequence, version_id, run, state, step_id, occurrence,"
            f" entered_at, base_at, failures, enroll_reason, updated_at)"
            f" SELECT i, i, 'welcome', version, 1, 'active', 'first', 0,"
            f" {now}, {now}, 0, 'bench', {now} FROM {numbers} AS page,"
            f" (SELECT max(id) AS version FROM sequence_versions) AS known"
        ),
        (
            f"INSERT INTO timers (due_at, kind, subject_id, attempts) SELECT {due}, 'enrollment', i, 0"
            f" FROM {numbers} AS page ORDER BY 1, 3"
        ),
    )
    with database.write() as connection:
        for statement in statements:
            # A colon before anything but a parameter's name is a colon.
            connection.execute(sa.text(re.sub(r":(?!first|last)", r"\\:", statement)), {"first": first, "last": last})


def _settle(database: Database) -> None:
    """Let new keys begin above, and tell the planner how large the tables are, as time would."""
    with database.write() as connection:
        for table in ("contacts", "addresses", "enrollments"):
            connection.execute(sa.text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))
        connection.execute(sa.text("ANALYZE"))
