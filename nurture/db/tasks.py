"""Named queries for tasks: what is open, done, and no longer wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from nurture.core.lives import Duty
from nurture.core.model import OpenTask
from nurture.core.words import TaskState
from nurture.db import tables
from nurture.db.bulk import in_given, in_page, insert_new

TABLE = tables.Task.__table__
_T = TABLE.c


def by_id(connection: Connection, task_id: int) -> Row[Any] | None:
    """Return the row of a task."""
    return connection.execute(select(TABLE).where(_T.id == task_id)).one_or_none()


def open_of(connection: Connection, rep_id: int) -> Sequence[Row[Any]]:
    """Return a rep's open tasks, the most urgent first."""
    query = select(TABLE).where(_T.rep_id == rep_id, _T.state == TaskState.OPEN)
    return connection.execute(query.order_by(_T.due_at, _T.id)).fetchall()


def open_new(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Open tasks whose origin is new; all rows have the same columns."""
    insert_new(connection, TABLE, [{**row, "state": TaskState.OPEN} for row in rows], ["origin_key"])


def close(connection: Connection, origin_keys: Collection[str], outcome: str, now: datetime) -> None:
    """Close the open tasks of those origins: what they asked for is known by now."""
    if origin_keys:
        answered = update(TABLE).where(_T.origin_key.in_(origin_keys), _T.state == TaskState.OPEN)
        connection.execute(answered.values(state=TaskState.DONE, outcome=outcome, done_at=now))


def finish(connection: Connection, task_id: int, outcome: str | None, now: datetime) -> bool:
    """Mark a task done; tell whether it was open."""
    done = update(TABLE).where(_T.id == task_id, _T.state == TaskState.OPEN)
    return connection.execute(done.values(state=TaskState.DONE, outcome=outcome, done_at=now)).rowcount > 0


def of_runs(connection: Connection, run_ids: Collection[int]) -> Sequence[Row[Any]]:
    """Return the open tasks that steps of those runs asked for."""
    return connection.execute(_OF_RUNS, {"ids": list(run_ids)}).fetchall() if run_ids else ()


_OPEN_STEPS = (_T.state == TaskState.OPEN, _T.step_id.is_not(None))
_OF_RUNS = select(TABLE).where(in_given(_T.enrollment_id), *_OPEN_STEPS).order_by(_T.id)


def duties(connection: Connection, contact_ids: Collection[int]) -> dict[int, list[Duty]]:
    """Return every task that contacts ever had, and when it was open, oldest first."""
    query = select(_T.id, _T.contact_id, _T.kind, _T.due_at, _T.created_at, _T.done_at).order_by(_T.created_at, _T.id)
    found: dict[int, list[Duty]] = {}
    for row in connection.execute(query.where(in_page(_T.contact_id, contact_ids))) if contact_ids else ():
        duty = Duty(OpenTask(row.id, row.kind, row.due_at), row.created_at, row.done_at)
        found.setdefault(row.contact_id, []).append(duty)
    return found


def cancel(connection: Connection, ids: Collection[int], now: datetime) -> None:
    """Cancel open tasks: nobody waits for them any more."""
    if ids:
        stale = update(TABLE).where(in_page(_T.id, ids), _T.state == TaskState.OPEN)
        connection.execute(stale.values(state=TaskState.CANCELLED, done_at=now))
