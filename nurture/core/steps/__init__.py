"""The kinds of steps. One file each: `answer(step, sequence, enrollment, situation, lifecycle, company, now)`.

A kind is added with its file and its line here; the engine is never touched. Every kind waits for its `delay` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from nurture.core.answers import Answer
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Enrollment, Situation
from nurture.core.sequence import Sequence, Step
from nurture.core.steps import branch, email, exit, task, update, wait


class StepKind(Protocol):
    """Say what a step does for one run now."""

    def __call__(
        self,
        step: Step,
        sequence: Sequence,
        enrollment: Enrollment,
        situation: Situation,
        lifecycle: Lifecycle,
        company: Company,
        now: datetime,
    ) -> Answer:
        """Answer for one step of one run."""


STEPS: Mapping[str, StepKind] = {
    "email": email.answer,
    "wait": wait.answer,
    "branch": branch.answer,
    "task": task.answer,
    "update": update.answer,
    "exit": exit.answer,
}
"""Every kind of step by the name that it has in a sequence file."""
