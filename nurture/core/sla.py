"""The clock of a handoff: when its rep is warned, when it is escalated, when it goes to somebody else.

All lengths are working time of the rep who has it, counted from when they got it. It stands still while they are off;
so whoever is away does not keep it where somebody else could take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from nurture.core.handoff import Sla
from nurture.core.working import WorkingCalendar, absent_from, add


class Step(StrEnum):
    """What the clock asks for."""

    WARN = "warn"
    ESCALATE = "escalate"
    REASSIGN = "reassign"


@dataclass(frozen=True, slots=True)
class Clock:
    """How far it has come with the rep who has it since `since`; `moved` is how often it changed hands."""

    since: datetime
    warned: bool = False
    escalated: bool = False
    moved: int = 0


def due_at(sla: Sla, calendar: WorkingCalendar, since: datetime) -> datetime | None:
    """Return by when the rep is to accept or reject it; None for somebody who never works."""
    return add(calendar, sla.accept_within, since)


def rings_at(sla: Sla | None, calendar: WorkingCalendar, clock: Clock, now: datetime) -> datetime | None:
    """Return the next moment after `now` at which there is something to do: a step, or an absence that begins."""
    coming = [at for at, _ in pending(sla, calendar, clock) if at > now] if sla else []
    absent = absent_from(calendar, now)
    return min([*coming, *([absent] if absent else [])], default=None)


def pending(sla: Sla, calendar: WorkingCalendar, clock: Clock) -> list[tuple[datetime, Step]]:
    """Return what is still to come, soonest first; what comes at one moment in the order of the steps."""
    wanted: list[tuple[Step, timedelta | None, bool]] = [
        (Step.WARN, sla.warn_after, clock.warned),
        (Step.ESCALATE, sla.escalate_after, clock.escalated),
        (Step.REASSIGN, sla.reassign_after, clock.moved >= sla.reassign_at_most),
    ]
    coming = [
        (add(calendar, after, clock.since), step) for step, after, over in wanted if after is not None and not over
    ]
    order = list(Step)
    return sorted(
        ((at, step) for at, step in coming if at is not None), key=lambda each: (each[0], order.index(each[1]))
    )
