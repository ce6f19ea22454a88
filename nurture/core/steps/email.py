"""Step `email`: one message. Reads `template`, `content`, `late`, `late_after`, `draft_ahead`, `thread`; no `params`.

Marketing mail is planned when its slot is reached, personal mail so much earlier that its rep can approve it in time.
What is planned late keeps its slot: the lateness gate finds it a new one.
"""

from __future__ import annotations

from datetime import datetime

from nurture.core.answers import WATCHDOG, Advance, Answer, Sleep, moment
from nurture.core.calendars import add, due, next_open, resolve_zone, subtract
from nurture.core.decision import seed_of
from nurture.core.delays import sleep_until
from nurture.core.effects import PlanMessage
from nurture.core.lateness import missed
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Enrollment, EnrollmentId, Situation
from nurture.core.sequence import LatePolicy, Sequence, Step
from nurture.core.spans import Span, Unit
from nurture.core.words import Voice

DRAFT_AHEAD = Span(1, Unit.BUSINESS_DAYS)
"""How long before its slot personal mail is drafted, unless its step says otherwise."""

DRAFT_LIFE = Span(5, Unit.BUSINESS_DAYS)
"""How long after its slot a draft still waits for its rep, unless its step says otherwise."""


def answer(
    step: Step,
    sequence: Sequence,
    enrollment: Enrollment,
    situation: Situation,
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> Answer:
    """Sleep until it is time to plan the message, then plan it and wait for it; skip it when it is too late for it."""
    zone, _ = resolve_zone(situation.contact, company)
    slot = slot_of(step, sequence, enrollment.base_at, enrollment.id, zone)
    begin = subtract(step.draft_ahead or DRAFT_AHEAD, slot, zone) if sequence.voice is Voice.PERSONAL else slot
    if now < begin:
        return sleep_until(begin)
    gone = missed(step, slot, zone, now)
    if gone:
        return Advance(gone.reason, base_at=now)
    message = PlanMessage(
        step_id=step.id,
        occurrence=enrollment.occurrence,
        template=step.template or "",
        voice=sequence.voice,
        due_at=slot,
        not_after=_not_after(step, sequence, slot, zone, now),
        thread=step.thread,
    )
    return Sleep(f"plans its message for {moment(slot)}", max(now, slot) + WATCHDOG, "message", (message,))


def slot_of(step: Step, sequence: Sequence, base_at: datetime, enrollment_id: EnrollmentId, zone: str) -> datetime:
    """Return when the mail of a step is to go: once its delay is over, at the run's place in an open window."""
    return next_open(sequence.window, due(step.delay, base_at, zone), zone, seed_of(enrollment_id))


def _not_after(step: Step, sequence: Sequence, slot: datetime, zone: str, now: datetime) -> datetime | None:
    """Return when the message is no longer to go: what its step says, and for drafts always a limit."""
    if step.late is LatePolicy.EXPIRE and step.late_after:
        return add(step.late_after, slot, zone)
    return add(DRAFT_LIFE, max(slot, now), zone) if sequence.voice is Voice.PERSONAL else None
