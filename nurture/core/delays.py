"""When a step of a run is reached: its delay, counted from where the step before it ended, in the contact's zone."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from nurture.core.answers import Sleep, moment
from nurture.core.calendars import due, resolve_zone
from nurture.core.model import Company, Enrollment, Situation
from nurture.core.sequence import Step


def reached_at(step: Step, enrollment: Enrollment, situation: Situation, company: Company) -> datetime:
    """Return when the step's delay is over."""
    zone, _ = resolve_zone(situation.contact, company)
    return due(step.delay, enrollment.base_at, zone)


@lru_cache(maxsize=1024)
def sleep_until(at: datetime) -> Sleep:
    """Wait for a moment, which is often that of many runs of a page."""
    return Sleep(f"waits until {moment(at)}", at, "time")
