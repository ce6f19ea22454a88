"""How fast segments are counted on PostgreSQL, among a million contacts with accounts, events and scores.

Run alone: `python -m bench.segments` (`--contacts 100000` makes it short, `--pg URL` names a server, `--explain` shows
how each count is run). Every count is one statement; what is shown is the median of several, and the slowest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from bench import loop
from nurture.core.definition import Stage
from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import FieldType, Program
from nurture.core.words import Role, Team, Voice
from nurture.db import migrate
from nurture.db.session import Database
from nurture.looking.segments import asked, count, explain

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

LIFECYCLE = Lifecycle(
    "bench",
    (
        Stage("lead", "Lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING),
        Stage("prospect", "Prospect", Role.ENGAGE, Voice.PERSONAL, Team.SALES),
        Stage("customer", "Customer", Role.CUSTOMER, Voice.SILENT, Team.SALES),
    ),
    start="lead",
    memory=timedelta(days=400),
)

PROGRAM = Program(
    "bench",
    LIFECYCLE,
    {},
    fields={"plan": FieldSpec("plan", FieldType.TEXT, "Plan"), "seats": FieldSpec("seats", FieldType.NUMBER, "Seats")},
)

ASKED = {
    "field, account, did": (
        "country == 'DE' and account.industry == 'software' and did('form_submitted', within='30 days')"
    ),
    "field, custom field, did": "stage == 'lead' and fields.plan == 'pro' and did('clicked', within='30 days')",
    "text, account, not did": "contains(title, 'director') and account.employees >= 200 and not did('replied')",
    "score, custom number, often": (
        "fit in ('A', 'B') and fields.seats >= 40 and did('page_viewed', within='14 days', at_least=2)"
    ),
    "score, role, idle": "engagement >= 20 and role == 'nurture' and idle('30 days')",
    "business days": "country == 'DE' and stage == 'lead' and did('form_submitted', within='5 business days')",
}
"""What is counted, by name."""

_ACCOUNTS = """
INSERT INTO accounts (id, name, domain, industry, employees, country, technologies, fields, created_at, updated_at)
SELECT n, 'Company ' || n, n || '.example', (ARRAY['software', 'health', 'retail', 'finance'])[1 + n % 4],
    (random() * random() * 5000)::bigint, (ARRAY['DE', 'US', 'GB', 'FR', 'NL'])[1 + n % 5], '["SAP"]', '{}', :now, :now
FROM generate_series(1, :size) AS n
"""
_CONTACTS = """
INSERT INTO contacts (id, account_id, first_name, last_name, title, country, stage, stage_since, fields, created_at,
    updated_at)
SELECT n, 1 + (random() * (:size / 5 - 1))::bigint, 'Ann', 'Bell ' || n,
    (ARRAY['Engineer', 'Director of Finance', 'Chief Officer', 'Buyer', 'Geschäftsführer'])[1 + n % 5],
    (ARRAY['DE', 'US', 'GB', 'FR', 'NL', 'ES', 'IT', 'PL'])[1 + n % 8],
    (ARRAY['lead', 'lead', 'lead', 'lead', 'prospect', 'customer'])[1 + n % 6],
    :now - random() * interval '300 days',
    jsonb_build_object('plan', (ARRAY['free', 'pro', 'team'])[1 + n % 3], 'seats', n % 50), :now, :now
FROM generate_series(1, :size) AS n
"""
_STANDINGS = """
INSERT INTO standings (contact_id, fit_points, grade, engagement, as_of, model_hash)
SELECT n, 0, (ARRAY['A', 'B', 'C', 'D'])[1 + n % 4], (random() * random() * 8000)::int, :now, 'bench'
FROM generate_series(1, :size) AS n
"""
_EVENTS = """
INSERT INTO events (contact_id, kind, at, recorded_at, source, external_id, trust, data)
SELECT 1 + (n - 1) / 5,
    (ARRAY['sent', 'delivered', 'opened', 'sent', 'delivered', 'page_viewed', 'page_viewed', 'clicked',
        'form_submitted', 'replied'])[1 + (n * 7 + n / 10) % 10],
    :now - random() * interval '365 days', :now, 'bench', n::text, 1, '{}'
FROM generate_series(1, :size * 5) AS n
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a database, count, and print JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m bench.segments", description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pg", default="", help="a PostgreSQL server; by default the one from pip")
    parser.add_argument("--explain", action="store_true", help="show how each count is run")
    wanted = parser.parse_args(arguments)
    with loop.postgresql(wanted.pg) as fresh:
        database = Database(fresh())
        fill(database, wanted.contacts)
        for name, when in ASKED.items():
            print(json.dumps(measure(database, name, when, wanted.rounds)), flush=True)
            if wanted.explain:
                with database.read() as connection:
                    print("\n".join(explain(connection, PROGRAM, asked(PROGRAM, None, when), NOW).plan), flush=True)
        database.dispose()


def fill(database: Database, contacts: int) -> None:
    """Make the tables and a crowd: a fifth as many accounts as contacts, five times as many events."""
    migrate.upgrade(database.url.render_as_string(hide_password=False))
    sizes = {_ACCOUNTS: contacts // 5, _CONTACTS: contacts, _STANDINGS: contacts, _EVENTS: contacts}
    for statement, size in sizes.items():
        with database.write() as connection:
            connection.execute(sa.text("SELECT setseed(0.5)"))
            if connection.scalar(sa.text("SELECT usesuper FROM pg_user WHERE usename = current_user")):
                connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # checks no foreign keys
            connection.execute(sa.text(statement), {"size": size, "now": NOW})
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def measure(database: Database, name: str, when: str, rounds: int) -> dict[str, object]:
    """Return how many contacts a condition holds for, and how long counting took (seconds, the first time apart)."""
    what, took, found = asked(PROGRAM, None, when), [], 0
    for _ in range(rounds + 1):
        with database.read() as connection:
            begun = time.perf_counter()
            found = count(connection, PROGRAM, what, NOW)
            took.append(time.perf_counter() - begun)
    first, *others = took
    return {
        "measured": f"segment: {name}",
        "when": when,
        "contacts": found,
        "seconds": round(statistics.median(others), 3),
        "slowest": round(max(others), 3),
        "first": round(first, 3),
    }


if __name__ == "__main__":
    main()
