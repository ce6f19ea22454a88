"""What becomes of mail whose moment has passed: a slot of its own later, or none. Nothing bursts after downtime.

Asked twice: when a step is planned, and by the lateness gate when its message is about to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nurture.core.calendars import add, closes_at, jitter, next_open
from nurture.core.sequence import LatePolicy, Step, Window

GRACE = timedelta(minutes=15)
"""How long after its slot a message always counts as on time: ticks and queues take a while."""


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


def judge(
    step: Step, window: Window, planned: datetime, slot: datetime, zone: str, seed: str, now: datetime
) -> Later | Missed | None:
    """Say what a step's policy makes of mail planned for `planned` that was last to go at `slot`; None: on time.

    `skip` and `expire` count from `planned` and allow `late_after` (the grace when it is not given). `reschedule` waits
    for the next opening of the window, `send` for the mail's own share of the spread from now on.
    """
    limit = add(step.late_after, planned, zone) if step.late_after else planned + grace(window)
    may_miss = step.late in (LatePolicy.SKIP, LatePolicy.EXPIRE)
    if may_miss and now > limit:
        return Missed(_why(step, window))
    patience = limit - planned if step.late is LatePolicy.RESCHEDULE else grace(window)
    if now - slot <= patience:
        return None
    until = _new_slot(step, window, zone, seed, now)
    return Missed(_why(step, window)) if may_miss and until > limit else Later(until)


def _new_slot(step: Step, window: Window, zone: str, seed: str, now: datetime) -> datetime:
    closing = closes_at(window, now, zone) if step.late is LatePolicy.RESCHEDULE else None
    return next_open(window, closing or now + jitter(seed, grace(window)), zone, seed)


def _why(step: Step, window: Window) -> str:
    minutes = int(grace(window).total_seconds()) // 60
    allowed = str(step.late_after) if step.late_after else f"{minutes} minutes"
    verb = "expired" if step.late is LatePolicy.EXPIRE else "skipped"
    return f"{verb}: more than {allowed} late"
