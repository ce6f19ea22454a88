"""A rep's morning in the demo: drafts are read and mostly approved, calls are made, replies are answered.

Everything goes through the functions behind `nurture approvals`; what a rep makes of a draft is a hash of both.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from nurture import drafts, handoff, intake, tasks
from nurture.core.model import ContactId, Event, Rep
from nurture.core.program import Program
from nurture.core.words import HandoffState
from nurture.db import handoffs, listings
from nurture.db import tasks as task_rows
from nurture.demo.people import chance

BEGINS = time(8, 30)


def next_morning(rep: Rep, after: datetime) -> datetime:
    """Return when the rep next comes to work after a moment."""
    zone = ZoneInfo(rep.time_zone or "UTC")
    day = after.astimezone(zone).date()
    while True:
        begins = datetime.combine(day, BEGINS, zone).astimezone(UTC)
        if begins > after and day.weekday() < 5:
            return begins
        day += timedelta(days=1)


def morning(connection: Connection, program: Program, rep: Rep, now: datetime) -> None:
    """Let a rep take what is handed over, answer what came in, make calls, and go through drafts, in this order."""
    for row in handoffs.listed(connection, rep_id=rep.id, state=HandoffState.OPEN):
        handoff.accept(connection, program, row.id, rep, now)
    for task in task_rows.open_of(connection, rep.id):
        _do(connection, program, rep, task, now)
    for draft in listings.drafts(connection, rep.id):
        _read(connection, rep, draft, now)


def _do(connection: Connection, program: Program, rep: Rep, task: Row[Any], now: datetime) -> None:
    who, luck = ContactId(task.contact_id), chance(task.origin_key, now.date().isoformat())
    if task.kind == "reply":
        _record(connection, program, "rep_wrote", f"{task.id}", who, now, rep=rep.email)
        tasks.finish(connection, program, task.id, rep, "answered", now)
    elif luck < 0.25:
        _record(connection, program, "called", f"{task.id}", who, now, rep=rep.email)
        tasks.finish(connection, program, task.id, rep, "reached", now)
    elif luck < 0.7:
        tasks.finish(connection, program, task.id, rep, "not reached", now)


def _record(
    connection: Connection, program: Program, kind: str, key: str, who: ContactId, now: datetime, **data: object
) -> None:
    event = Event(kind, now, "rep", f"{kind}:{key}", who, data=data)
    intake.record(connection, program, [event], now)


def _read(connection: Connection, rep: Rep, draft: Row[Any], now: datetime) -> None:
    """Approve a draft, now and then after a change; reject or skip a few, and leave some until tomorrow."""
    luck = chance(draft.origin_key, now.date().isoformat())
    if luck < 0.12:
        return
    if luck < 0.15:
        drafts.reject(connection, draft.id, rep, "they are with one of our partners", now)
    elif luck < 0.19:
        drafts.skip(connection, draft.id, rep, now)
    else:
        approved = _edited(connection, rep, draft, now) if luck > 0.88 else draft.content_hash
        drafts.approve(connection, draft.id, rep, approved, rep.email, now)


def _edited(connection: Connection, rep: Rep, draft: Row[Any], now: datetime) -> str:
    greeting, _, rest = draft.text_body.partition("\n\n")
    text = f"{greeting}\n\nI hope the week has begun well for you.\n\n{rest}"
    return drafts.edit(connection, draft.id, rep, subject=None, text=text, now=now)
