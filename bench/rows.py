"""Writing message rows as direct sending does, beside the driver's own bulk way: executemany on SQLite, else COPY.

Both write the same rows in pages as large, a page of one after a page of the other, each page one transaction. What the
plain way plans is measured as well: smaller rows, each of which may be there already.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from nurture.benchmark import stock
from nurture.core.words import MessageState, Voice
from nurture.db import dispatching, messages, tables
from nurture.db.bulk import reserve_ids
from nurture.db.columns import Columns
from nurture.db.session import Database
from nurture.db.values import Same, listed

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PAGE = 500
OWN = (
    *("origin_key", "contact_id", "enrollment_id", "to_address", "to_hash", "message_id_header"),
    *("subject", "variables", "wire_hash"),
)
"""Columns of which each message has values of its own."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Rows a second: sent directly, written by the driver alone, planned on the plain way."""

    ours: float
    raw: float
    planned: float


def rates(url: str, pages: int, size: int = PAGE) -> Rates:
    """Return rows a second, as medians over `pages` pages of each way in an empty database."""
    stock.fill(url, size, NOW, blank=True)
    database = Database(url)
    ours, raw, planned = [], [], []
    try:
        with database.write() as connection:
            sender = connection.scalar(sa.select(sa.func.min(tables.Sender.__table__.c.id)))
            version = connection.scalar(sa.select(sa.func.max(tables.SequenceVersion.__table__.c.id)))
        for page in range(pages + 1):
            first, second, third = (range((3 * page + way) * size, (3 * page + way + 1) * size) for way in range(3))
            columns = {**_shared(sender, version), **_gone(), **_own(first, kept=True)}
            ours.append(_timed(database, lambda connection, columns=columns: _begin(connection, size, columns)))
            columns = {**_shared(sender, version), **_gone(), **_own(second, kept=True), "edited": Same(False)}
            with database.write() as connection:
                keys = reserve_ids(connection, tables.Message, size)
            tuples, names = _tuples({"id": keys, **columns}, size, database.dialect), ("id", *columns)
            raw.append(_timed(database, lambda connection, t=tuples, n=names: _driver(connection, n, t)))
            rows = _rows({**_shared(sender, version), **_own(third)}, size)
            planned.append(_timed(database, lambda connection, rows=rows: messages.plan(connection, rows)))
    finally:
        database.dispose()
    return Rates(*(size / statistics.median(each[1:]) for each in (ours, raw, planned)))  # the first page prepares


def _begin(connection: Connection, size: int, columns: Columns) -> None:
    dispatching.begin(connection, size, {"id": reserve_ids(connection, tables.Message, size), **columns})


def _timed(database: Database, write: Any) -> float:
    began = time.perf_counter()
    with database.write() as connection:
        write(connection)
    return time.perf_counter() - began


def _driver(connection: Connection, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    columns = ", ".join(names)
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        driver.executemany(f"INSERT INTO messages ({columns}) VALUES ({', '.join('?' * len(names))})", rows)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY messages ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _tuples(columns: Columns, size: int, dialect: str) -> list[tuple[Any, ...]]:
    return list(
        zip(*([_raw(value, dialect) for value in listed(each, size)] for each in columns.values()), strict=True)
    )


def _raw(value: Any, dialect: str) -> Any:
    """Return a value as the driver takes it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}.000000" if dialect == "sqlite" else value
    return json.dumps(value) if isinstance(value, dict) else value


def _rows(columns: Columns, size: int) -> list[dict[str, Any]]:
    values = zip(*(listed(each, size) for each in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _shared(sender: int | None, version: int | None) -> Columns:
    """Return the columns in which the messages of a step are alike, as `planning` makes them."""
    alike = {
        "version_id": version,
        "step_id": "first",
        "voice": Voice.MARKETING.value,
        "sender_id": sender,
        "template": "bench/welcome",
        "template_hash": "0" * 64,
        "program_hash": "0" * 64,
        "state": MessageState.READY.value,
        "due_at": NOW,
        "not_after": None,
        "in_reply_to": None,
        "thread_references": None,
        "attempts": 0,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return _same(alike)


def _gone() -> Columns:
    """Return the columns that say of messages that they are being sent, as `letters` makes them."""
    state = {"state": MessageState.DISPATCHING.value, "owner": "bench", "attempts": 1, "provider": "smtp"}
    return _same({**state, "dispatching_at": NOW, "date_header": NOW})


def _same(values: Mapping[str, Any]) -> Columns:
    return {name: Same(value) for name, value in values.items()}


def _own(numbers: Sequence[int], *, kept: bool = False) -> Columns:
    """Return the columns of which each message has values of its own, with what is kept of its mail."""
    places = range(1, len(numbers) + 1)
    mail: Columns = {
        "subject": [f"Welcome, Ann{place}" for place in places],
        "variables": [{"first_name": f"Ann{place}", "plan": "pro"} for place in places],
        "wire_hash": [f"{number:064x}" for number in numbers],
    }
    return {
        "origin_key": [f"e:{place}:first:{number}" for place, number in zip(places, numbers, strict=True)],
        "contact_id": list(places),
        "enrollment_id": list(places),
        "to_address": [f"u{place}@bench.example" for place in places],
        "to_hash": [f"bench:{place:064x}" for place in places],
        "message_id_header": [f"<{number:032x}@acme.example>" for number in numbers],
        **(mail if kept else {}),
    }
