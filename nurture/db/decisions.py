"""Keeping decisions: one row per answer, counted as often as it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from nurture import __version__
from nurture.core.decide import Check
from nurture.core.quick import quick_init
from nurture.db import tables
from nurture.db.bulk import in_given, insert_rows, update_rows

TABLE = tables.Decision.__table__
_C = TABLE.c


@quick_init
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
    """Write a page of answers: one that was given before, however long ago, only moves its count and last time.

    So answers that take turns (a closed window, a value that a template lacks) keep one row each.
    """
    given = _given(connection, page)
    repeated, new = [], []
    for decided in page:
        before = given.get(_same(decided))
        if before is not None:
            repeated.append({"id": before.id, "count": before.times + 1, "last_at": now, "until": decided.until})
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


def _given(connection: Connection, page: Sequence[Decided]) -> dict[tuple[object, ...], Any]:
    """Return the answers that were given about the same messages (or, without one, the same steps)."""
    messages = [decided.message_id for decided in page if decided.message_id is not None]
    contacts = [decided.contact_id for decided in page if decided.message_id is None]
    found: dict[tuple[object, ...], Any] = {}
    for query, ids in ((_ABOUT_MESSAGES, messages), (_ABOUT_STEPS, contacts)):
        found |= {_same(row): row for row in connection.execute(query, {"ids": ids})} if ids else {}
    return found


_GIVEN = select(
    _C.id,
    _C.contact_id,
    _C.enrollment_id,
    _C.message_id,
    _C.step_id,
    _C.outcome,
    _C.reason,
    _C.count.label("times"),
).order_by(_C.id)
_ABOUT_MESSAGES = _GIVEN.where(in_given(_C.message_id))
_ABOUT_STEPS = _GIVEN.where(in_given(_C.contact_id), _C.message_id.is_(None))


def _same(answer: Any) -> tuple[object, ...]:
    """Return what makes two answers the same."""
    about = (answer.contact_id, answer.enrollment_id, answer.step_id) if answer.message_id is None else ()
    return (answer.message_id, *about, answer.outcome, answer.reason)


def _row(decided: Decided, program_hash: str, now: datetime) -> dict[str, object]:
    return {
        "contact_id": decided.contact_id,
        "enrollment_id": decided.enrollment_id,
        "message_id": decided.message_id,
        "step_id": decided.step_id,
        "outcome": decided.outcome,
        "reason": decided.reason,
        "until": decided.until,
        "checks": [_json(check) for check in decided.checks],
        "rule": decided.rule,
        "program_hash": program_hash,
        "code_version": __version__,
        "first_at": now,
        "last_at": now,
        "count": 1,
    }


def _json(check: Check) -> dict[str, object]:
    """Return a check as an object: the database's JSON writer knows dataclasses too, and takes ten times as long."""
    return {"gate": check.gate, "passed": check.passed, "reason": check.reason, "inputs": check.inputs}
