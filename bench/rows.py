"""Writing message rows as the tick does, beside the driver's own bulk way: executemany on SQLite, COPY on PostgreSQL.

Both write the same rows in pages as large, a page of one after a page of the other, each page one transaction.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from nurture.benchmark import stock
from nurture.core.words import MessageState, Voice
from nurture.db import messages, tables
from nurture.db.bulk import reserve_ids
from nurture.db.session import Database

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PAGE = 500


def rates(url: str, pages: int, size: int = PAGE) -> tuple[float, float]:
    """Return rows a second, ours and the driver's, as medians over `pages` pages of each in an empty database."""
    stock.fill(url, size, NOW, blank=True)
    database = Database(url)
    ours, raw = [], []
    try:
        with database.write() as connection:
            sender = connection.scalar(sa.select(sa.func.min(tables.Sender.__table__.c.id)))
            version = connection.scalar(sa.select(sa.func.max(tables.SequenceVersion.__table__.c.id)))
        for page in range(pages + 1):
            rows = [_row(page * size + place, place, sender, version) for place in range(size)]
            ours.append(_timed(database, lambda connection, rows=rows: messages.plan(connection, rows)))
            rows = [_row(-1 - page * size - place, place, sender, version) for place in range(size)]
            with database.write() as connection:
                keys = reserve_ids(connection, tables.Message, size)
            tuples = _tuples(rows, keys, database.dialect)
            names = ("id", *rows[0])
            raw.append(_timed(database, lambda connection, t=tuples, n=names: _driver(connection, n, t)))
    finally:
        database.dispose()
    return size / statistics.median(ours[1:]), size / statistics.median(raw[1:])  # the first page prepares


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


def _tuples(rows: Sequence[dict[str, Any]], keys: Sequence[int], dialect: str) -> list[tuple[Any, ...]]:
    written = f"{NOW:%Y-%m-%d %H:%M:%S}.000000" if dialect == "sqlite" else NOW
    return [
        (key, *(written if isinstance(value, datetime) else value for value in row.values()))
        for key, row in zip(keys, rows, strict=True)
    ]


def _row(number: int, place: int, sender: int | None, version: int | None) -> dict[str, Any]:
    """Return a row as `planning` makes it."""
    return {
        "origin_key": f"e:{place + 1}:first:{number}",
        "contact_id": place + 1,
        "enrollment_id": place + 1,
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
        "to_address": f"u{place}@bench.example",
        "to_hash": "bench:" + "0" * 64,
        "message_id_header": f"<{number:032x}@acme.example>",
        "in_reply_to": None,
        "thread_references": None,
        "edited": False,
        "attempts": 0,
        "created_at": NOW,
        "updated_at": NOW,
    }
