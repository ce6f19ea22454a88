"""Runs move on: what the core planned for a page of runs is written, and what follows goes through the one door.

Shared by the tick, by drafts and by sending, so that a run advances in one way only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import Connection

from nurture import intake, live, planning
from nurture.core.effects import MoveStage, OpenTaskFor, Plan, PlanMessage, Reaction, RecordEvent, UpdateContact
from nurture.core.model import Contact, ContactId, Enrollment, EnrollmentId, Event, SenderId, Situation, VersionId
from nurture.core.onward import Ended, onward
from nurture.core.program import Program
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, TimerKind
from nurture.db import effects, enrollments, tasks, timers

NOBODY: Mapping[ContactId, Contact] = MappingProxyType({})
NONE: Mapping[EnrollmentId, SenderId] = MappingProxyType({})

WATCHDOG = timedelta(days=14)
"""When a run that waits for a message or a task is looked at again, should nothing wake it before."""


def carry_out(
    connection: Connection,
    program: Program,
    plans: Sequence[Plan],
    versions: Mapping[VersionId, Sequenced],
    loaded: Mapping[ContactId, Situation],
    before: Mapping[EnrollmentId, Enrollment],
    now: datetime,
) -> None:
    """Write a page of plans in the caller's transaction: messages, runs, timers, tasks, and events for the one door.

    `before` are the runs as they were read, for what did not change is not written.
    """
    plans = planning.plan_messages(connection, program, versions, loaded, plans, now)
    save(connection, program, plans, versions, loaded, before, now)


def save(
    connection: Connection,
    program: Program,
    plans: Sequence[Plan],
    versions: Mapping[VersionId, Sequenced],
    loaded: Mapping[ContactId, Situation],
    before: Mapping[EnrollmentId, Enrollment],
    now: datetime,
) -> None:
    """Write what `carry_out` writes, without the messages: somebody has seen to them."""
    enrollments.save(connection, [plan.enrollment for plan in plans], now, before)
    _set_timers(connection, plans, now)
    _cancel_tasks(connection, plans, versions, now)
    _open_tasks(connection, program, plans, loaded, now)
    intake.record(connection, program, list(_events(plans, now)), now)


def after_messages(
    connection: Connection,
    program: Program,
    results: Mapping[EnrollmentId, tuple[str, datetime]],
    now: datetime,
    *,
    known: Mapping[ContactId, Contact] = NOBODY,
    senders: Mapping[EnrollmentId, SenderId] = NONE,
) -> None:
    """Let runs go on after their message ended: (`sent`, `skipped`, `refused`, `rejected`, `expired` …, when).

    `senders` are those who sent it, by run. The runs of `known` contacts sleep through their next delay at once; the
    others are due now, and the tick says so. Of `program` only the lifecycle and the company are read.
    """
    found = enrollments.by_ids(connection, list(results))
    open_runs = [run for run in found.values() if run.state in LIVE_ENROLLMENTS]
    versions = live.versions(connection, {run.version_id for run in open_runs})
    ended = (Ended(run, *results[run.id], known.get(run.contact_id), senders.get(run.id)) for run in open_runs)
    strides, plans = onward(ended, versions, program.lifecycle, program.company, now)
    for stride in strides:
        enrollments.move(connection, stride, now)
    due = [(key, at or now + WATCHDOG) for stride in strides for key, at in stride.due]
    timers.move(connection, TimerKind.ENROLLMENT, due)
    if plans:
        carry_out(connection, live.current(connection), plans, versions, {}, found, now)


def _set_timers(connection: Connection, plans: Sequence[Plan], now: datetime) -> None:
    over = [plan.enrollment.id for plan in plans if plan.enrollment.state not in LIVE_ENROLLMENTS]
    timers.clear(connection, TimerKind.ENROLLMENT, over)
    waiting = [plan for plan in plans if plan.enrollment.state in LIVE_ENROLLMENTS]
    rows = [(TimerKind.ENROLLMENT, plan.enrollment.id, plan.due_at or now + WATCHDOG) for plan in waiting]
    timers.set_timers(connection, rows)


def _cancel_tasks(
    connection: Connection, plans: Sequence[Plan], versions: Mapping[VersionId, Sequenced], now: datetime
) -> None:
    """Cancel the tasks that runs waited for in vain, now that they are over. Others stay with their rep."""
    over = {plan.enrollment.id: plan.enrollment for plan in plans if plan.enrollment.state not in LIVE_ENROLLMENTS}
    stale = []
    for task in tasks.of_runs(connection, over):
        step = versions[over[EnrollmentId(task.enrollment_id)].version_id].step(task.step_id)
        if step is None or step.params.get("wait"):
            stale.append(task.id)
    tasks.cancel(connection, stale, now)


def _open_tasks(
    connection: Connection,
    program: Program,
    plans: Sequence[Plan],
    loaded: Mapping[ContactId, Situation],
    now: datetime,
) -> None:
    asked = [
        Reaction(plan.enrollment.contact_id, tasks, None, None)
        for plan in plans
        if (tasks := tuple(action for action in plan.actions if isinstance(action, OpenTaskFor)))
    ]
    if asked:
        effects.write(connection, asked, loaded, program, now)


def _events(plans: Sequence[Plan], now: datetime) -> Iterator[Event]:
    """Turn what steps changed, and every end of a run, into events for the one door."""
    for plan in plans:
        run = plan.enrollment
        source, contact = f"sequence:{run.sequence}", run.contact_id
        for number, action in enumerate(plan.actions):
            if isinstance(action, PlanMessage):
                continue
            key = f"{run.id}:{now.isoformat()}:{number}"
            if isinstance(action, UpdateContact):
                yield Event("updated", now, source, key, contact, data={"set": dict(action.values)})
            elif isinstance(action, MoveStage):
                asked = {"stage": action.to_stage, "reason": action.reason, "actor": action.actor}
                yield Event("updated", now, source, key, contact, data=asked)
            elif isinstance(action, RecordEvent):
                yield Event(action.kind, now, source, action.external_id, contact, data=action.data)
        if run.state not in LIVE_ENROLLMENTS:
            yield _ended(run, now)


def _ended(run: Enrollment, now: datetime) -> Event:
    kind = "sequence_completed" if run.state is EnrollmentState.COMPLETED else "sequence_exited"
    data = {"sequence": run.sequence, "reason": run.reason, "disposition": run.disposition, "state": run.state}
    return Event(kind, now, "engine", f"{kind}:{run.id}", run.contact_id, data=data)
