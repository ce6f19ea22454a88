"""Keeping decisions: one row per answer, counted while the answer stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from nurture import __version__
from nurture.core.decide import Check
from nurture.db import tables
from nurture.db.bulk import in_page, insert_rows, update_rows

TABLE = tables.Decision.__table__
_C = TABLE.c


@dataclass(frozen=True, slots=True)
class Decided:
    """One answer about a message (or, without one, about a run's step)."""

    contact_id: int
    enrollment_id: int | None
    message_id: int | None
    step_id: str | None
    outcome: str
    reason: str
    checks: tuple[Check, ...] = ()
    until: datetime | None = None
    rule: str | None = None


def record(connection: Connection, page: Sequence[Decided], program_hash: str, now: datetime) -> None:
    """Write a page of answers: a repeated one only moves its count and last time."""
    latest = _latest(connection, [decided.message_id for decided in page if decided.message_id is not None])
    repeated, new = [], []
    for decided in page:
        last = latest.get(decided.message_id or 0)
        if last is not None and (last.outcome, last.reason) == (decided.outcome, decided.reason):
            repeated.append({"id": last.id, "count": last.times + 1, "last_at": now, "until": decided.until})
        else:
            new.append(_row(decided, program_hash, now))
    update_rows(connection, TABLE, "id", repeated)
    insert_rows(connection, TABLE, new)


def of_contact(connection: Connection, contact_id: int, limit: int) -> Sequence[Row[Any]]:
    """Return the latest answers about a contact, newest first; `times` is how often each was given."""
    query = select(TABLE, _C.count.label("times")).where(_C.contact_id == contact_id)
    return connection.execute(query.order_by(_C.last_at.desc(), _C.id.desc()).limit(limit)).fetchall()


def forget(connection: Connection, before: datetime) -> int:
    """Delete answers last given before a moment and return how many."""
    return connection.execute(delete(TABLE).where(_C.last_at < before)).rowcount


KEPT = timedelta(days=180)
"""How long answers are kept."""


def _latest(connection: Connection, message_ids: Sequence[int]) -> dict[int, Any]:
    if not message_ids:
        return {}
    last = select(func.max(_C.id)).where(in_page(_C.message_id, message_ids)).group_by(_C.message_id)
    query = select(_C.id, _C.message_id, _C.outcome, _C.reason, _C.count.label("times")).where(_C.id.in_(last))
    return {row.message_id: row for row in connection.execute(query)}


def _row(decided: Decided, program_hash: str, now: datetime) -> dict[str, object]:
    return {
        "contact_id": decided.contact_id,
        "enrollment_id": decided.enrollment_id,
        "message_id": decided.message_id,
        "step_id": decided.step_id,
        "outcome": decided.outcome,
        "reason": decided.reason,
        "until": decided.until,
        "checks": decided.checks,  # the database's JSON writer knows dataclasses
        "rule": decided.rule,
        "program_hash": program_hash,
        "code_version": __version__,
        "first_at": now,
        "last_at": now,
        "count": 1,
    }
