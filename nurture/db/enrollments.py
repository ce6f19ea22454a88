"""Named queries for enrollments: reading runs, writing what a plan or an ending made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from nurture.core.model import ContactId, Enrollment, EnrollmentId, SenderId, VersionId
from nurture.core.words import EnrollmentState
from nurture.db import tables
from nurture.db.bulk import in_page, insert_rows, reserve_ids, update_rows

TABLE = tables.Enrollment.__table__
_C = TABLE.c


def of_contacts(connection: Connection, contact_ids: Collection[int]) -> dict[ContactId, list[Enrollment]]:
    """Return every run of those contacts, oldest first."""
    found: dict[ContactId, list[Enrollment]] = {}
    for row in connection.execute(select(TABLE).where(in_page(_C.contact_id, contact_ids)).order_by(_C.id)):
        found.setdefault(ContactId(row.contact_id), []).append(from_row(row))
    return found


def by_ids(connection: Connection, ids: Collection[int]) -> dict[EnrollmentId, Enrollment]:
    """Return the runs with those keys."""
    rows = connection.execute(select(TABLE).where(in_page(_C.id, ids)))
    return {EnrollmentId(row.id): from_row(row) for row in rows}


def begin(connection: Connection, runs: Sequence[Mapping[str, Any]], now: datetime) -> list[EnrollmentId]:
    """Insert runs (contact_id, sequence, version_id, run, step_id, enroll_reason) and return their keys."""
    ids = reserve_ids(connection, TABLE, len(runs))
    rows = [
        {
            "occurrence": 0,
            "failures": 0,
            "state": EnrollmentState.ACTIVE,
            "entered_at": now,
            "base_at": now,
            "updated_at": now,
            "id": key,
            **run,
        }
        for key, run in zip(ids, runs, strict=True)
    ]
    insert_rows(connection, TABLE, rows)
    return [EnrollmentId(key) for key in ids]


def save(connection: Connection, runs: Iterable[Enrollment], now: datetime) -> None:
    """Write the changing part of runs, in one statement."""
    update_rows(connection, TABLE, "id", [_row(run, now) for run in runs])


def end(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """End runs: rows of id, state, reason, disposition, actor."""
    changes = [{**row, "ended_at": now, "updated_at": now, "waiting_for": None, "paused_until": None} for row in rows]
    update_rows(connection, TABLE, "id", changes)


def from_row(row: Row[Any]) -> Enrollment:
    """Return the run that a row holds."""
    return Enrollment(
        id=EnrollmentId(row.id),
        contact_id=ContactId(row.contact_id),
        sequence=row.sequence,
        version_id=VersionId(row.version_id),
        run=row.run,
        state=EnrollmentState(row.state),
        entered_at=row.entered_at,
        base_at=row.base_at,
        step_id=row.step_id,
        occurrence=row.occurrence,
        waiting_for=row.waiting_for,
        reason=row.reason,
        disposition=row.disposition,
        ended_at=row.ended_at,
        paused_until=row.paused_until,
        sender_id=SenderId(row.sender_id) if row.sender_id is not None else None,
        failures=row.failures,
    )


def _row(run: Enrollment, now: datetime) -> dict[str, Any]:
    return {
        "id": run.id,
        "state": run.state,
        "step_id": run.step_id,
        "occurrence": run.occurrence,
        "base_at": run.base_at,
        "waiting_for": run.waiting_for,
        "reason": run.reason,
        "disposition": run.disposition,
        "ended_at": run.ended_at,
        "paused_until": run.paused_until,
        "sender_id": run.sender_id,
        "failures": run.failures,
        "updated_at": now,
    }
