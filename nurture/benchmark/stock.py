"""What a measurement begins with: a database with the benchmark's program and contacts whose mail is due."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from nurture import intake, live
from nurture.core.model import ContactId, Event
from nurture.core.program import Program
from nurture.db import instance, migrate, tables
from nurture.db.bulk import insert_rows, reserve_ids
from nurture.db.session import Database, place
from nurture.errors import Refused
from nurture.mail.keys import KeyRing
from nurture.program.load import Loaded, build

FOLDER = Path(__file__).with_name("program")
RING = KeyRing((("bench", bytes(32)),))
"""A key for made-up contacts: it protects nobody."""

PUBLIC_URL = "https://news.acme.example"
"""Where links lead: nowhere. That the unsubscribe pages answer there is taken for granted."""

PAGE = 1_000

BLANK = {
    "templates/bench/welcome.txt": "{% block subject %}-{% endblock %}{% block content %}"
    "{{ our_postal_address }} {{ unsubscribe_url }}{% endblock %}",
    "templates/bench/welcome.html": "<p>{{ our_postal_address }} <a href='{{ unsubscribe_url }}'>Unsubscribe</a></p>",
}
"""A mail that costs next to nothing to write, for measuring the rest alone."""


def load(*, blank: bool = False) -> Loaded:
    """Return the benchmark's program; with `blank`, its mail says nothing."""
    files = {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in _files()}
    return build(files | (BLANK if blank else {}))


def _files() -> list[Path]:
    return sorted(path for path in FOLDER.rglob("*") if path.suffix in {".toml", ".yaml", ".txt", ".html"})


def fill(url: str, contacts: int, now: datetime, *, blank: bool = False) -> None:
    """Make a database with `contacts` that each have a mail due `now`. Raises Refused where there are some already."""
    migrate.upgrade(url)
    database = Database(url)
    try:
        with database.write() as connection:
            if connection.scalar(select(func.count()).select_from(tables.Contact)):
                where = place(database.url)
                raise Refused(f"{where} has contacts: a benchmark needs a database of its own, name an empty one")
            instance.create(connection, "benchmark", RING, now)
            live.apply(connection, load(blank=blank), "bench", now)
            instance.record_unsubscribe_test(connection, PUBLIC_URL, now)
            program = live.current(connection)
        for start in range(0, contacts, PAGE):
            _add(database, program, range(start, min(start + PAGE, contacts)), now)
    finally:
        database.dispose()


def _add(database: Database, program: Program, numbers: range, now: datetime) -> None:
    with database.write() as connection:
        ids = [ContactId(key) for key in reserve_ids(connection, tables.Contact, len(numbers))]
        accounts = reserve_ids(connection, tables.Account, len(numbers))
        moments = {"created_at": now, "updated_at": now}
        pairs = list(zip(numbers, ids, accounts, strict=True))
        insert_rows(
            connection, tables.Account, [{"id": account, "name": f"Company {n}", **moments} for n, _, account in pairs]
        )
        insert_rows(connection, tables.Contact, [_contact(*pair, now) for pair in pairs])
        insert_rows(connection, tables.Address, [_address(n, key, now) for n, key, _ in pairs])
        intake.record(connection, program, [Event("created", now, "bench", f"created:{key}", key) for key in ids], now)


def _contact(number: int, key: int, account: int, now: datetime) -> dict[str, object]:
    return {
        "id": key,
        "account_id": account,
        "stage": "lead",
        "stage_since": now,
        "first_name": f"Ann{number}",
        "last_name": "Smith",
        "fields": {"plan": "pro" if number % 2 else "free"},
        "created_at": now,
        "updated_at": now,
    }


def _address(number: int, key: int, now: datetime) -> dict[str, object]:
    email = f"u{number}@bench.example"
    return {
        "contact_id": key,
        "email": email,
        "email_key": email,
        "address_hash": RING.address_hash(email),
        "is_primary": True,
        "created_at": now,
    }
