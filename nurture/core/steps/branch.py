"""Step `branch`: the first of its `arms` whose condition holds when it is reached. No `params`."""

from __future__ import annotations

from datetime import datetime

from nurture.core.answers import Advance, Answer
from nurture.core.conditions import evaluate, say
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
    """Go on in the first arm that holds now, or after the branch when none does."""
    at = reached_at(step, enrollment, situation, company)
    if now < at:
        return sleep_until(at)
    for arm in step.arms:
        if arm.when is None:
            return Advance("took the arm for everybody else", arm.to, at)
        if evaluate(arm.when, situation, lifecycle, now):
            return Advance(f"took the arm: {say(arm.when)}", arm.to, at)
    return Advance("no arm applied", base_at=at)
