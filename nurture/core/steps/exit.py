"""Step `exit`: the run is over. Reads `params`: `reason` and `disposition`."""

from __future__ import annotations

from datetime import datetime

from nurture.core.answers import Answer, Finish
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
    """End the run with the reason and the disposition that the step gives."""
    at = reached_at(step, enrollment, situation, company)
    if now < at:
        return sleep_until(at)
    disposition = step.params.get("disposition")
    return Finish(str(step.params.get("reason", "exit")), str(disposition) if disposition else None)
