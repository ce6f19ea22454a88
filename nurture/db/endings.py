"""Ending runs, cancelling messages and voiding approvals, for a page of reactions.

Only messages that have not begun to go out can be cancelled; one that is `dispatching` is in flight and stays so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select

from nurture.core.effects import CancelMessages, EndRun, Reaction, VoidApprovals
from nurture.core.model import ContactId, Event
from nurture.core.words import (
    CANCELLABLE_MESSAGES,
    LIVE_ENROLLMENTS,
    EnrollmentState,
    MessageState,
    TimerKind,
    Voice,
)
from nurture.db import enrollments, tables, tasks, timers
from nurture.db.bulk import in_page, update_rows

_MESSAGE = tables.Message.__table__
_RUN = tables.Enrollment.__table__

_APPROVED = (MessageState.APPROVED, MessageState.READY, MessageState.CLAIMED, MessageState.RETRY_WAIT)

DRAFT_LIFE = timedelta(days=7)
"""How long after its due time a draft waits for its rep (five business days with a weekend)."""


@dataclass(slots=True)
class Ended:
    """What was ended, with the timeline and the timers that come of it."""

    runs: int = 0
    cancelled: int = 0
    voided: int = 0
    facts: list[Event] = field(default_factory=list)
    wakes: dict[tuple[TimerKind, int], datetime] = field(default_factory=dict)


def write(connection: Connection, reactions: Sequence[Reaction], now: datetime) -> Ended:
    """End the runs, cancel the messages and void the approvals that `reactions` ask for."""
    ended = Ended()
    endings = {e.enrollment_id: (r.contact_id, e) for r in reactions for e in r.effects if isinstance(e, EndRun)}
    if endings:
        _end_runs(connection, endings, ended, now)
    cancels = {(r.contact_id, e.voice): e.reason for r in reactions for e in r.effects if isinstance(e, CancelMessages)}
    if endings or cancels:
        _cancel(connection, {key: e.reason for key, (_, e) in endings.items()}, cancels, ended, now)
    voids = {r.contact_id: e.reason for r in reactions for e in r.effects if isinstance(e, VoidApprovals)}
    if voids:
        ended.voided = void(connection, voids, now)
    return ended


def void(connection: Connection, reasons: Mapping[ContactId, str], now: datetime) -> int:
    """Send approved but unsent personal messages of those contacts back to their rep, with the reason."""
    query = (
        select(_MESSAGE.c.id, _MESSAGE.c.contact_id, _MESSAGE.c.enrollment_id, _MESSAGE.c.due_at)
        .where(
            in_page(_MESSAGE.c.contact_id, list(reasons)),
            _MESSAGE.c.voice == Voice.PERSONAL,
            _MESSAGE.c.state.in_(_APPROVED),
        )
        .order_by(_MESSAGE.c.id)
        .with_for_update()
    )
    found = connection.execute(query).fetchall()
    rows = [
        {
            "id": row.id,
            "state": MessageState.AWAITING_APPROVAL,
            "approval_id": None,
            "owner": None,
            "void_reason": reasons[ContactId(row.contact_id)],
            "updated_at": now,
        }
        for row in found
    ]
    update_rows(connection, _MESSAGE, "id", rows)
    timers.clear(connection, TimerKind.MESSAGE, [row.id for row in found])
    timers.set_timers(connection, [(TimerKind.DRAFT, row.id, max(row.due_at, now) + DRAFT_LIFE) for row in found])
    return len(rows)


def _end_runs(
    connection: Connection, endings: Mapping[Any, tuple[ContactId, EndRun]], ended: Ended, now: datetime
) -> None:
    live = connection.execute(
        select(_RUN.c.id, _RUN.c.sequence)
        .where(in_page(_RUN.c.id, list(endings)), _RUN.c.state.in_(LIVE_ENROLLMENTS))
        .order_by(_RUN.c.id)
        .with_for_update()
    ).fetchall()
    rows = []
    for row in live:
        contact_id, ending = endings[row.id]
        rows.append(_ending_row(row.id, ending))
        ended.facts.append(_ending_fact(contact_id, row, ending, now))
    enrollments.end(connection, rows, now)
    timers.clear(connection, TimerKind.ENROLLMENT, [row.id for row in live])
    stale = tasks.of_runs(connection, [row.id for row in live])
    tasks.cancel(connection, [task.id for task in stale], now)
    ended.runs = len(rows)


def _ending_row(key: int, ending: EndRun) -> dict[str, object]:
    return {
        "id": key,
        "state": ending.state,
        "reason": ending.reason,
        "disposition": ending.disposition,
        "actor": ending.actor,
    }


def _ending_fact(contact_id: ContactId, row: Any, ending: EndRun, now: datetime) -> Event:
    kind = "sequence_completed" if ending.state is EnrollmentState.COMPLETED else "sequence_exited"
    data = {"sequence": row.sequence, "reason": ending.reason, "disposition": ending.disposition}
    return Event(kind, now, "engine", f"{kind}:{row.id}", contact_id, data=data)


def _cancel(
    connection: Connection,
    by_run: Mapping[Any, str],
    by_contact: Mapping[tuple[ContactId, Voice | None], str],
    ended: Ended,
    now: datetime,
) -> None:
    query = (
        select(_MESSAGE.c.id, _MESSAGE.c.contact_id, _MESSAGE.c.voice, _MESSAGE.c.enrollment_id)
        .where(
            or_(
                in_page(_MESSAGE.c.enrollment_id, list(by_run)),
                in_page(_MESSAGE.c.contact_id, sorted({contact for contact, _ in by_contact})),
            ),
            _MESSAGE.c.state.in_(CANCELLABLE_MESSAGES),
        )
        .order_by(_MESSAGE.c.id)
        .with_for_update()
    )
    rows = []
    for row in connection.execute(query):
        contact_id = ContactId(row.contact_id)
        reason = (
            by_run.get(row.enrollment_id)
            or by_contact.get((contact_id, Voice(row.voice)))
            or by_contact.get((contact_id, None))
        )
        if reason is None:
            continue
        rows.append({"id": row.id, "state": MessageState.CANCELLED, "reason": reason, "owner": None, "updated_at": now})
        if row.enrollment_id is not None and row.enrollment_id not in by_run:
            ended.wakes[TimerKind.ENROLLMENT, row.enrollment_id] = now
    update_rows(connection, _MESSAGE, "id", rows)
    keys = [row["id"] for row in rows]
    timers.clear(connection, TimerKind.MESSAGE, keys)
    timers.clear(connection, TimerKind.DRAFT, keys)
    ended.cancelled = len(rows)
