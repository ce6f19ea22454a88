"""Keeping decisions: one row per answer, counted as often as it is given. What many have in common is in `readings`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, delete, select

from nurture.core.decision import Check
from nurture.core.model import EnrollmentId
from nurture.core.quick import quick_init
from nurture.db import readings, tables
from nurture.db.bulk import in_given, page_columns, page_parameters, update_rows
from nurture.db.columns import insert_columns
from nurture.db.values import Same

TABLE = tables.Decision.__table__
_C = TABLE.c


@quick_init
@dataclass(frozen=True, slots=True)
class Decided:
    """One answer about a message (or, without one, about a run's step).

    Of its checks only the last may have an answer, with the same reason.
    """

    contact_id: int
    enrollment_id: int | None
    message_id: int | None
    step_id: str | None
    outcome: str
    reason: str
    checks: tuple[Check, ...] = ()
    until: datetime | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that was given `times` times. `checks` are what the gates read: `gate`, `passed`, `reason`, `inputs`.

    `rule` is `file:line` of the step, `program_hash` and `code_version` say by what it was first given.
    """

    contact_id: int
    enrollment_id: EnrollmentId | None
    message_id: int | None
    step_id: str | None
    outcome: str
    reason: str
    until: datetime | None
    checks: Sequence[dict[str, Any]]
    rule: str | None
    program_hash: str
    code_version: str
    first_at: datetime
    last_at: datetime
    times: int


def record(
    connection: Connection, page: Sequence[Decided], program_hash: str, now: datetime, *, fresh: bool = False
) -> None:
    """Write a page of answers: one that was given before, however long ago, only moves its count and last time.

    So answers that take turns (a closed window, a value that a template lacks) keep one row each. `fresh` says that
    nothing can have been said of these messages before, so that nobody has to look.
    """
    given = {} if fresh else _given(connection, page)
    repeated, new = [], []
    for decided in page:
        before = given.get(_same(decided)) if given else None
        if before is not None:
            repeated.append({"id": before.id, "count": before.times + 1, "last_at": now, "until": decided.until})
        else:
            new.append(decided)
    update_rows(connection, TABLE, "id", repeated)
    _insert(connection, new, program_hash, now)


def of_contact(connection: Connection, contact_id: int, limit: int) -> list[Given]:
    """Return the latest answers about a contact, newest first."""
    latest = _WHOLE.where(_C.contact_id == contact_id).order_by(_C.last_at.desc(), _C.id.desc()).limit(limit)
    return [_whole(row) for row in connection.execute(latest)]


def forget(connection: Connection, before: datetime) -> int:
    """Delete answers last given before a moment, and what only they had in common; return how many answers."""
    gone = connection.execute(delete(TABLE).where(_C.last_at < before)).rowcount
    readings.forget(connection, before)
    return gone


KEPT = timedelta(days=180)
"""How long answers are kept."""


_ABOUT = ("contact_id", "enrollment_id", "message_id", "step_id", "outcome", "reason", "until", "first_at", "last_at")
_WHOLE = select(*(_C[name] for name in _ABOUT), _C.count.label("times"), *readings.OF_DECISION).outerjoin(
    readings.TABLE, readings.TABLE.c.id == _C.readings_id
)


def _whole(row: Any) -> Given:
    values = {name: getattr(row, name) for name in _ABOUT}
    by = {"rule": row.rule, "program_hash": row.program_hash, "code_version": row.code_version}
    return Given(**values, **by, checks=readings.whole(row), times=row.times)


# --- what was answered before -----------------------------------------------------------------------------------------


def _given(connection: Connection, page: Sequence[Decided]) -> dict[tuple[object, ...], Any]:
    """Return the answers that were given about the same messages (or, without one, the same steps)."""
    messages = {d.message_id: d.contact_id for d in page if d.message_id is not None}
    contacts = [d.contact_id for d in page if d.message_id is None]
    rows: list[Any] = []
    if messages:
        asked = [{"contact_id": contact, "message_id": message} for message, contact in messages.items()]
        parameters = page_parameters(connection, TABLE, asked)
        rows += connection.execute(_about_messages(connection.dialect.name), parameters)
    if contacts:
        rows += connection.execute(_ABOUT_STEPS, {"ids": contacts})
    return {_same(row): row for row in rows}


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
_ABOUT_STEPS = _GIVEN.where(in_given(_C.contact_id), _C.message_id.is_(None))


@lru_cache(maxsize=2)
def _about_messages(dialect: str) -> Any:
    asked = page_columns(TABLE, ("contact_id", "message_id"), dialect)
    return _GIVEN.where(*(_C[name] == value for name, value in asked.items()))


def _same(answer: Any) -> tuple[object, ...]:
    """Return what makes two answers the same."""
    about = (answer.contact_id, answer.enrollment_id, answer.step_id) if answer.message_id is None else ()
    return (answer.message_id, *about, answer.outcome, answer.reason)


# --- what is new ------------------------------------------------------------------------------------------------------

_ALIKE = ("step_id", "outcome", "reason", "until")


class _Kind:
    """Answers of a page that differ in nothing but whom they are about and what is their own."""

    __slots__ = ("first", "readings", "readings_id")

    def __init__(self, first: Decided, program_hash: str) -> None:
        self.first = first
        self.readings = readings.of(first.rule, first.checks, program_hash)
        self.readings_id = 0


def _insert(connection: Connection, page: Sequence[Decided], program_hash: str, now: datetime) -> None:
    if not page:
        return
    kinds: dict[tuple[object, ...], _Kind] = {}
    found: list[_Kind] = []
    owns: list[list[object] | None] = []
    for decided in page:
        own: list[object] = []
        read: list[int] = []
        for check in decided.checks:
            read.append(id(check.reading))  # the page holds it, so that no other gets its id
            own += check.own
        passed = not decided.checks or decided.checks[-1].answer is None
        key = (decided.step_id, decided.outcome, decided.reason, decided.until, decided.rule, passed, *read)
        kind = kinds.get(key)
        if kind is None:
            kind = kinds[key] = _Kind(decided, program_hash)
        owns.append(own or None)
        found.append(kind)
    keys = readings.keep(connection, [kind.readings for kind in kinds.values()], now)
    for kind in kinds.values():
        kind.readings_id = keys[kind.readings["hash"]]
    columns = {
        "contact_id": [decided.contact_id for decided in page],
        "enrollment_id": [decided.enrollment_id for decided in page],
        "message_id": [decided.message_id for decided in page],
        "own": owns,
        "readings_id": _column([kind.readings_id for kind in found], kinds),
        **{name: _column([getattr(kind.first, name) for kind in found], kinds) for name in _ALIKE},
        "first_at": Same(now),
        "last_at": Same(now),
        "count": Same(1),
    }
    insert_columns(connection, TABLE, len(page), columns)


def _column(values: Sequence[Any], kinds: Collection[object]) -> Sequence[Any] | Same:
    return Same(values[0]) if len(kinds) == 1 else values
