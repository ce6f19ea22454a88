"""Step `update`: change the contact. Reads `params`: `set` (field → value), `stage` (a name), `event` (a kind)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nurture.core.answers import Advance, Answer
from nurture.core.delays import reached_at, sleep_until
from nurture.core.effects import Action, MoveStage, RecordEvent, UpdateContact
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
    """Set the fields, move the stage and record the event, in this order; then go on."""
    at = reached_at(step, enrollment, situation, company)
    if now < at:
        return sleep_until(at)
    actions = tuple(_actions(step, sequence, enrollment, situation))
    changed = [name for name, value in step.params.items() if value]
    return Advance(f"updates {', '.join(changed) or 'nothing'}", base_at=at, actions=actions)


def _actions(step: Step, sequence: Sequence, enrollment: Enrollment, situation: Situation) -> list[Action]:
    actions: list[Action] = []
    values = step.params.get("set")
    if isinstance(values, Mapping) and values:
        actions.append(UpdateContact(dict(values)))
    stage, here = step.params.get("stage"), situation.contact.stage
    if stage and str(stage) != here:
        rule = f"{sequence.file or sequence.name}:{step.line}"
        actions.append(MoveStage(here, str(stage), f"step {step.id} of {sequence.name}", rule))
    event = step.params.get("event")
    if event:
        key = f"e:{enrollment.id}:{step.id}:{enrollment.occurrence}"
        actions.append(RecordEvent(str(event), key, {"sequence": sequence.name, "step": step.id}))
    return actions
