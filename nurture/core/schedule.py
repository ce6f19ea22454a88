"""How one run of a sequence goes on: `schedule` walks its steps as far as time allows, and says so as a `Plan`.

`after_message` and `after_task` say how it goes on once what it waited for has ended; `next_send` looks ahead. What
ends a run early is `exits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from nurture.core.answers import WATCHDOG, Advance, Finish, Sleep
from nurture.core.delays import reached_at
from nurture.core.effects import Action, Plan, PlanMessage
from nurture.core.exits import exits as exits
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Contact, Enrollment, Situation
from nurture.core.quick import altered
from nurture.core.sequence import Sequence, Step
from nurture.core.steps import STEPS
from nurture.core.words import LIVE_ENROLLMENTS, SENT_MESSAGES, EnrollmentState, MessageState

RESULTS = frozenset({"sent", "skipped", "refused", "rejected", "expired", "cancelled"})
"""How a message can end, as its run sees it."""

Trail = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NextSend:
    """The next mail of a run as far as one can tell now: its step, its template and about when."""

    step_id: str
    template: str
    about: datetime


def schedule(
    sequence: Sequence,
    enrollment: Enrollment,
    situation: Situation,
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> Plan:
    """Walk the steps of a run until it has to wait, has done something, or is over.

    A run that is paused, or waits for its message, is only looked at again later. After a step that did something the
    plan is due at once, so that the next step sees what came of it.
    """
    if enrollment.state not in LIVE_ENROLLMENTS:
        return Plan(enrollment, None)
    if enrollment.state is EnrollmentState.PAUSED and not _pause_is_over(enrollment, now):
        return Plan(enrollment, enrollment.paused_until or now + WATCHDOG)
    if enrollment.waiting_for == "message":
        return _look_after_message(sequence, _unpaused(enrollment), situation, now)
    run = enrollment if enrollment.step_id else altered(enrollment, step_id=sequence.first)
    return _walk(sequence, run, situation, lifecycle, company, now)


def after_message(
    sequence: Sequence,
    enrollment: Enrollment,
    step: Step,
    result: str,
    at: datetime,
    now: datetime,
    *,
    reason: str | None = None,
) -> Plan:
    """Say how a run goes on after the message of `step` ended at `at` with one of `RESULTS`; `reason` says more.

    The message of a step that the run has left changes nothing: the run is looked at and stays where it is. Raise
    ValueError for a result that is none.
    """
    if result not in RESULTS:
        raise ValueError(f"{result!r} is no way for a message to end: {', '.join(sorted(RESULTS))}")
    if enrollment.state not in LIVE_ENROLLMENTS:
        return Plan(enrollment, None)
    if enrollment.step_id != step.id:
        return Plan(enrollment, _next_look(enrollment, now))
    why = f"{result}: {reason}" if reason else result
    if result == "cancelled":
        return _over(enrollment, EnrollmentState.EXITED, why, now)
    if result == "refused" and step.on_refused != "advance":
        return _over(enrollment, EnrollmentState.FAILED, why, now)
    if result in ("rejected", "expired") and step.on_rejected != "advance":
        return _over(enrollment, EnrollmentState.EXITED, why, now)
    return _go_on(enrollment, step, why, at, now)


def after_task(sequence: Sequence, enrollment: Enrollment, step: Step, at: datetime, now: datetime) -> Plan:
    """Say how a run goes on after the task of `step` was done at `at`; one that did not wait for it stays."""
    if enrollment.state not in LIVE_ENROLLMENTS:
        return Plan(enrollment, None)
    if enrollment.step_id != step.id or enrollment.waiting_for != "task":
        return Plan(enrollment, _next_look(enrollment, now))
    return _go_on(enrollment, step, "its task was done", at, now)


def rest(
    plan: Plan, sequence: Sequence, contact: Contact, lifecycle: Lifecycle, company: Company, now: datetime
) -> Plan:
    """Let a run that goes on now sleep through the delay of its next step at once; every other plan stays as it is.

    What a tick would find out, without the tick: until its delay is over, a step reads the contact and nothing more.
    """
    run = plan.enrollment
    step = sequence.step(run.step_id or "")
    if step is None or step.kind not in STEPS or run.state is not EnrollmentState.ACTIVE or plan.actions:
        return plan
    situation = Situation(contact)
    if now >= reached_at(step, run, situation, company):
        return plan
    answer = STEPS[step.kind](step, sequence, run, situation, lifecycle, company, now)
    if not isinstance(answer, Sleep) or answer.waiting_for != "time" or answer.actions:
        return plan
    return _asleep(run, answer, plan.trail)


def reads_more(sequence: Sequence, run: Enrollment) -> bool:
    """Say whether going on with a run may read more of its situation than the contact."""
    return run.waiting_for in ("message", "task") or any(step.kind not in _READ_THE_CONTACT for step in sequence.steps)


_READ_THE_CONTACT = frozenset({"email", "wait", "update", "exit"})
"""Kinds of steps that read nothing of a situation but the contact. A new kind need not be here: it costs time only."""


def next_send(
    sequence: Sequence,
    enrollment: Enrollment,
    situation: Situation,
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> NextSend | None:
    """Return the next mail that a run will send if nothing happens until then; None when there is none or no telling.

    It walks the run through its waits; branches are taken as they would be for what is known now.
    """
    waiting = _pending_mail(enrollment, situation, now)
    if waiting:
        return waiting
    run, at = enrollment, now
    for _ in range(3 * len(sequence.steps) + 2):
        plan = schedule(sequence, run, situation, lifecycle, company, at)
        for action in plan.actions:
            if isinstance(action, PlanMessage):
                return NextSend(action.step_id, action.template, max(action.due_at, now))
        if plan.due_at is None or (plan.enrollment == run and plan.due_at <= at):
            return None
        run, at = plan.enrollment, max(at, plan.due_at)
    return None


def _walk(
    sequence: Sequence,
    run: Enrollment,
    situation: Situation,
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> Plan:
    """Ask one step after the other. Sequences have no way back; the bound is for one that was not checked.

    Wherever the run comes to, it is no longer paused.
    """
    trail: Trail = ()
    for _ in range(2 * len(sequence.steps)):
        step = sequence.step(run.step_id or "")
        kind = STEPS.get(step.kind) if step else None
        if step is None or kind is None:
            missing = f"step kind {step.kind} is unknown" if step else f"step {run.step_id} is not in this version"
            return _over(run, EnrollmentState.FAILED, missing, now, trail=trail)
        answer = kind(step, sequence, run, situation, lifecycle, company, now)
        match answer:
            case Sleep():
                return _asleep(run, answer, trail)
            case Finish():
                return _finished(run, answer, trail, now)
            case Advance():
                trail += ((step.id, answer.note),)
                target = answer.to or step.next
                base_at = answer.base_at or run.base_at
                if target is None:
                    return _completed(run, answer.actions, trail, now)
                run = altered(
                    run,
                    state=EnrollmentState.ACTIVE,
                    step_id=target,
                    occurrence=0,
                    waiting_for=None,
                    base_at=base_at,
                    paused_until=None,
                )
                if answer.actions:
                    return Plan(run, now, answer.actions, trail)
            case _:
                assert_never(answer)
    return _over(run, EnrollmentState.FAILED, f"step {run.step_id} comes round for ever", now, trail=trail)


def _asleep(run: Enrollment, answer: Sleep, trail: Trail) -> Plan:
    waiting = altered(
        run,
        state=EnrollmentState.WAITING,
        waiting_for=answer.waiting_for,
        base_at=answer.base_at or run.base_at,
        paused_until=None,
    )
    return Plan(waiting, answer.until, answer.actions, (*trail, (run.step_id or "", answer.note)))


def _finished(run: Enrollment, answer: Finish, trail: Trail, now: datetime) -> Plan:
    plan = _over(run, answer.state, answer.reason, now, trail=(*trail, (run.step_id or "", f"ends: {answer.reason}")))
    return altered(plan, enrollment=altered(plan.enrollment, disposition=answer.disposition), actions=answer.actions)


def _completed(run: Enrollment, actions: tuple[Action, ...], trail: Trail, now: datetime) -> Plan:
    return altered(_over(run, EnrollmentState.COMPLETED, "finished", now, trail=trail), actions=actions)


def _over(run: Enrollment, state: EnrollmentState, reason: str, now: datetime, *, trail: Trail = ()) -> Plan:
    ended = altered(run, state=state, reason=reason, ended_at=now, waiting_for=None, paused_until=None)
    return Plan(ended, None, (), trail or ((run.step_id or "", reason),))


def _go_on(run: Enrollment, step: Step, note: str, at: datetime, now: datetime) -> Plan:
    """Go to the next step, whose delay counts from `at`. A paused run stays paused, one step further."""
    trail: Trail = ((step.id, note),)
    if step.next is None:
        return _completed(run, (), trail, now)
    paused = run.state is EnrollmentState.PAUSED
    state = run.state if paused else EnrollmentState.ACTIVE
    moved = altered(run, state=state, step_id=step.next, occurrence=0, waiting_for=None, base_at=at)
    return Plan(moved, _next_look(moved, now), (), trail)


def _next_look(run: Enrollment, now: datetime) -> datetime:
    """Return when a run that may be paused is due: now, or at the end of its pause."""
    if run.state is not EnrollmentState.PAUSED:
        return now
    return max(now, run.paused_until) if run.paused_until else now + WATCHDOG


def _pause_is_over(run: Enrollment, now: datetime) -> bool:
    return run.paused_until is not None and run.paused_until <= now


def _unpaused(run: Enrollment) -> Enrollment:
    """Return a run that waits for its message as one that is not paused."""
    held = run.state is EnrollmentState.HELD
    return run if held else altered(run, state=EnrollmentState.WAITING, paused_until=None)


def _look_after_message(sequence: Sequence, run: Enrollment, situation: Situation, now: datetime) -> Plan:
    """Look at the message that a run waits for: its end has moved the run, unless something went wrong there."""
    step = sequence.step(run.step_id or "")
    mine = [m for m in situation.messages if m.enrollment_id == run.id and m.step_id == run.step_id]
    if step is None or not mine:
        lost = f"the message of step {run.step_id} is neither waiting nor sent"
        return _over(run, EnrollmentState.FAILED, lost, now)
    last = max(mine, key=lambda message: message.id)
    result = _ENDED.get(last.state)
    if result:
        return after_message(sequence, run, step, result, last.sent_at or now, now)
    return Plan(run, max(now, last.due_at) + WATCHDOG)


_ENDED = dict.fromkeys(SENT_MESSAGES, "sent") | {
    MessageState.REFUSED: "refused",
    MessageState.CANCELLED: "cancelled",
}


def _pending_mail(run: Enrollment, situation: Situation, now: datetime) -> NextSend | None:
    """Return the mail that the run waits for."""
    if run.waiting_for != "message":
        return None
    for message in situation.messages:
        if message.enrollment_id == run.id and message.step_id == run.step_id and message.state not in SENT_MESSAGES:
            return NextSend(message.step_id or "", message.template, max(message.due_at, now))
    return None
