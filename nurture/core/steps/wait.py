"""Step `wait`: nothing until its `delay` is over (a length, a weekday, a local time). No `params`."""

from __future__ import annotations

from datetime import datetime

from nurture.core.answers import Advance, Answer, moment
from nurture.core.delays import reached_at, sleep_until
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Enrollment, Situation
from nurture.core.sequence import Sequence, Step


def answer(
    step: Step,
    sequence: Sequence,
    enrollment: Enrollment,
    situation: Situation,
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> Answer:
    """Sleep until the wait is over; the next delay counts from its end."""
    at = reached_at(step, enrollment, situation, company)
    return sleep_until(at) if now < at else Advance(f"waited until {moment(at)}", base_at=at)
