"""What becomes of mail whose moment has passed: a slot of its own later, or none. Nothing bursts after downtime.

Asked twice: before a step is planned (only whether it is too late for it), and by the gate when its message is to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nurture.core.calendars import add, closes_at, jitter, next_open
from nurture.core.sequence import LatePolicy, Step
from nurture.core.spans import Span, Unit
from nurture.core.windows import Window

GRACE = timedelta(minutes=15)
"""How long after its slot a message always counts as on time: ticks and queues take a while."""


TOO_LATE = Span(1, Unit.DAYS)
"""How late `skip` lets mail go when the step does not say."""


@dataclass(frozen=True, slots=True)
class Later:
    """It has missed its slot; `until` is a new one of its own."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Missed:
    """It is too late for it; `reason` says by which policy."""

    reason: str


def grace(window: Window) -> timedelta:
    """Return how long after its slot a message is still on time: the window's spread, or GRACE if that is longer."""
    return max(timedelta(minutes=window.spread), GRACE)


def missed(step: Step, planned: datetime, zone: str, now: datetime) -> Missed | None:
    """Say whether mail planned for `planned` is later than its step's policy, `skip` or `expire`, allows."""
    return Missed(_why(step)) if _may_miss(step) and now > _limit(step, planned, zone) else None


def is_on_time(step: Step, slot: datetime, now: datetime) -> bool:
    """Say of mail whose slot has not passed and that no policy ends that `judge` need not look closer."""
    return now <= slot and not _may_miss(step)


def judge(
    step: Step,
    window: Window,
    planned: datetime,
    slot: datetime,
    zone: str,
    seed: str,
    now: datetime,
    *,
    patience: timedelta = timedelta(),
) -> Later | Missed | None:
    """Say what a step's policy makes of mail planned for `planned` that was last to go at `slot`; None: on time.

    `skip` and `expire` count from `planned` and allow `late_after` (else TOO_LATE). `reschedule` waits
    for the next opening of the window, the others for the mail's own share of the spread from now on. `patience` is how
    long mail lies because of how rarely anybody looks. What has waited for a slot as long as it was late before is on
    time, so that nothing is sent round for ever.
    """
    gone = missed(step, planned, zone, now)
    if gone:
        return gone
    if now - slot <= max(grace(window), patience, slot - planned):
        return None
    until = _new_slot(step, window, zone, seed, now)
    return Missed(_why(step)) if _may_miss(step) and until > _limit(step, planned, zone) else Later(until)


_MISSING = frozenset({LatePolicy.SKIP, LatePolicy.EXPIRE})


def _may_miss(step: Step) -> bool:
    return step.late in _MISSING


def _limit(step: Step, planned: datetime, zone: str) -> datetime:
    """Return until when the step's policy puts up with its being late."""
    return add(step.late_after or TOO_LATE, planned, zone)


def _new_slot(step: Step, window: Window, zone: str, seed: str, now: datetime) -> datetime:
    closing = closes_at(window, now, zone) if step.late is LatePolicy.RESCHEDULE else None
    return next_open(window, closing or now + jitter(seed, grace(window)), zone, seed)


def _why(step: Step) -> str:
    verb = "expired" if step.late is LatePolicy.EXPIRE else "skipped"
    return f"{verb}: more than {step.late_after or TOO_LATE} late"
