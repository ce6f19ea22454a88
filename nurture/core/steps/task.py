"""Step `task`: something for the contact's rep to do.

Reads `params`: `kind` and `title`, `note`, `due` (a length of time), `wait` (whether the run stays until it is done)
and `timeout` (a length of time: then the run goes on without it; without one it waits as long as the task is open).
"""

from __future__ import annotations

from datetime import datetime

from nurture.core.answers import WATCHDOG, Advance, Answer, Sleep
from nurture.core.calendars import add, resolve_zone
from nurture.core.delays import reached_at, sleep_until
from nurture.core.effects import OpenTaskFor
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Enrollment, Situation
from nurture.core.sequence import Sequence, Step
from nurture.core.spans import Span, parse_span


def answer(
    step: Step,
    sequence: Sequence,
    enrollment: Enrollment,
    situation: Situation,
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> Answer:
    """Open the task once; go on at once, or when it is done or has timed out."""
    zone, _ = resolve_zone(situation.contact, company)
    if enrollment.waiting_for == "task":
        return _wait(step, enrollment, situation, zone, now)
    at = reached_at(step, enrollment, situation, company)
    if now < at:
        return sleep_until(at)
    task = _task(step, enrollment, zone, now)
    if not step.params.get("wait"):
        return Advance(f"opened task {task.title}", base_at=at, actions=(task,))
    until = _after(step.params.get("timeout"), now, zone) or now + WATCHDOG
    return Sleep(f"opened task {task.title} and waits for it", until, "task", (task,), base_at=now)


def _wait(step: Step, enrollment: Enrollment, situation: Situation, zone: str, now: datetime) -> Answer:
    """Go on when the task is no longer open or its time is up; since it was opened, `base_at` says when."""
    still_open = any(t.enrollment_id == enrollment.id and t.step_id == step.id for t in situation.tasks)
    if not still_open:
        return Advance("its task is no longer open", base_at=now)
    timeout = _after(step.params.get("timeout"), enrollment.base_at, zone)
    if timeout and now >= timeout:
        return Advance("its task was not done in time", base_at=timeout)
    return Sleep("waits for its task", timeout or now + WATCHDOG, "task")


def _task(step: Step, enrollment: Enrollment, zone: str, now: datetime) -> OpenTaskFor:
    note = step.params.get("note")
    return OpenTaskFor(
        kind=str(step.params.get("kind", "task")),
        title=str(step.params.get("title", step.id)),
        key=f"e:{enrollment.id}:{step.id}:{enrollment.occurrence}",
        due_at=_after(step.params.get("due"), now, zone),
        enrollment_id=enrollment.id,
        step_id=step.id,
        note=str(note) if note else None,
    )


def _after(length: object, base: datetime, zone: str) -> datetime | None:
    """Return the moment a length of time after `base`; None when no length is given."""
    if not length:
        return None
    return add(length if isinstance(length, Span) else parse_span(str(length)), base, zone)
