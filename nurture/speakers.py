"""Who speaks for a page of due runs: of all that stand alike, one is planned, and what the gates read of it is loaded.

The first part of direct sending. A run has no speaker when it goes the plain way: it does not stand at marketing mail,
that mail is not due yet or cannot be planned, or its sender has a rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from nurture import deciding, engine, planning, rationing
from nurture.core.cohorts import cohorts
from nurture.core.effects import Plan
from nurture.core.model import Contact, ContactId, Enrollment, EnrollmentId
from nurture.core.words import EnrollmentState, Voice
from nurture.deciding import Pending
from nurture.engine import Page
from nurture.postroom import Postroom


@dataclass(frozen=True, slots=True)
class Speaker:
    """One run that speaks for its cohort: its plan, the row of its message, and what the gates read of that."""

    cohort: Sequence[Enrollment]
    plan: Plan
    row: Mapping[str, Any]
    pending: Pending


def speakers(connection: Connection, page: Page, postroom: Postroom, now: datetime) -> list[Speaker]:
    """Return the speakers of a page, with the mail of their runs planned, but nothing written."""
    able = [run for run in page.before.values() if _may_mail(page, run)]
    people = {run.contact_id: page.loaded[run.contact_id].contact for run in able}
    apart = deciding.told_of(connection, page.program, people, able, now)
    found = {group[0].id: group for group in cohorts(able, people, apart, page.versions, page.program.company)}
    speaking = replace(page, plans=[], failed=[])
    engine.plan(connection, speaking, [page.before[key] for key in found])
    prepared = planning.prepare(connection, page.program, page.versions, page.loaded, speaking.plans, now)
    plans = {plan.enrollment.id: plan for plan in prepared.plans}
    rows = {number: row for number, row in enumerate(prepared.rows, 1) if _goes_now(page, row, now)}
    return [
        Speaker(found[pending.row.enrollment_id], plans[pending.row.enrollment_id], rows[pending.row.id], pending)
        for pending in _pendings(connection, page, postroom, rows, plans, people, now)
        if not rationing.is_limited(postroom.rates, pending.due.sender)
    ]


def _may_mail(page: Page, run: Enrollment) -> bool:
    """Say whether a run stands at marketing mail that answers no other, and waits for nothing but time."""
    sequence = page.versions.get(run.version_id)
    step = sequence.step(run.step_id or "") if sequence else None
    if sequence is None or step is None or step.kind != "email" or step.thread:
        return False
    free = run.state in _GOING_ON and run.paused_until is None and run.waiting_for in (None, "time")
    return free and sequence.voice is Voice.MARKETING


_GOING_ON = (EnrollmentState.ACTIVE, EnrollmentState.WAITING)


def _goes_now(page: Page, row: Mapping[str, Any], now: datetime) -> bool:
    """Say whether a message is due, and that of the step at which its run stood already."""
    return bool(row["due_at"] <= now) and row["step_id"] == page.before[row["enrollment_id"]].step_id


def _pendings(
    connection: Connection,
    page: Page,
    postroom: Postroom,
    rows: Mapping[int, Mapping[str, Any]],
    plans: Mapping[EnrollmentId, Plan],
    people: Mapping[ContactId, Contact],
    now: datetime,
) -> list[Pending]:
    """Return what the gates read of messages that are only planned: their keys are but numbers in the page."""
    planned: list[Any] = [SimpleNamespace(id=number, **_UNSENT, **row) for number, row in rows.items()]
    return deciding.load(
        connection,
        page.program,
        planned,
        postroom.policy,
        {row.id: row.due_at for row in planned},
        now,
        people={row.contact_id: people[row.contact_id] for row in planned},
        runs={row.enrollment_id: plans[row.enrollment_id].enrollment for row in planned},
    )


_UNSENT = {"approval_id": None, "content_hash": None, "sent_at": None, "date_header": None}
"""What the row of a message that is only planned has not, and is asked for."""
