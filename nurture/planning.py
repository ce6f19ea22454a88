"""Message rows from plans: which sender, which template, which thread. Decides nothing about timing.

What cannot be planned (no owner, no address, a template that is gone) is held with its reason and tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from nurture.core.effects import Plan, PlanMessage
from nurture.core.model import ContactId, Sender, SenderId, Situation, VersionId
from nurture.core.program import Program
from nurture.core.quick import altered, quick_init
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.words import EnrollmentState, MessageState, TimerKind, Voice
from nurture.db import decisions, instance, messages, senders, timers
from nurture.db.decisions import Decided
from nurture.mail.thread import mint_message_id, references

RETRY = timedelta(hours=4)
"""How long a run waits when its message cannot be planned."""

SOON = timedelta(minutes=1)


@quick_init
@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan's message, on its way to become a row."""

    plan: Plan
    action: PlanMessage
    situation: Situation
    sequence: Sequenced


class _Unplannable(Exception):
    """Why a message cannot be planned now."""


@dataclass(frozen=True, slots=True)
class _Senders:
    """The senders of a page, by name and by rep, and what makes this database's Message-IDs its own."""

    by_name: Mapping[str, Sender]
    by_rep: Mapping[int, Sender]
    salt: str


def plan_messages(
    connection: Connection,
    program: Program,
    versions: Mapping[VersionId, Sequenced],
    loaded: Mapping[ContactId, Situation],
    plans: Sequence[Plan],
    now: datetime,
) -> list[Plan]:
    """Insert the messages that `plans` ask for, with their timers; return the plans as they are now to be saved."""
    asking = [_asked(plan, versions, loaded) for plan in plans]
    wanted = [planned for planned in asking if planned is not None]
    if not wanted:
        return list(plans)
    found = senders.every(connection)
    salt = instance.read(connection).instance_id
    who = _Senders({s.name: s for s in found}, {s.rep_id: s for s in found if s.rep_id is not None}, salt)
    threads = messages.thread_of(connection, [p.plan.enrollment.id for p in wanted if p.action.thread])
    rows, held, saved = [], [], []
    for plan, planned in zip(plans, asking, strict=True):
        if planned is None:
            saved.append(plan)
            continue
        try:
            row = _row(planned, program, who, threads, now)
        except _Unplannable as reason:
            held.append(_decided(planned, str(reason), now))
            saved.append(_waiting(plan, now))
        else:
            rows.append(row)
            saved.append(_with_sender(plan, row))
    known = {row["origin_key"] for row in rows} - _insert(connection, rows, now)
    decisions.record(connection, held, program.hash, now)
    return [_look_soon(plan, known, now) for plan in saved] if known else saved


def _asked(
    plan: Plan, versions: Mapping[VersionId, Sequenced], loaded: Mapping[ContactId, Situation]
) -> _Planned | None:
    action = next((action for action in plan.actions if isinstance(action, PlanMessage)), None)
    run = plan.enrollment
    return _Planned(plan, action, loaded[run.contact_id], versions[run.version_id]) if action else None


def _row(
    planned: _Planned,
    program: Program,
    who: _Senders,
    threads: Mapping[int, Sequence[Row[Any]]],
    now: datetime,
) -> dict[str, Any]:
    run, action, contact = planned.plan.enrollment, planned.action, planned.situation.contact
    if not contact.email or not contact.address_hash:
        raise _Unplannable("the contact has no e-mail address")
    if action.template not in program.templates:
        raise _Unplannable(f"the template {action.template!r} is not in the live program")
    sender = _sender(planned, who)
    origin = f"e:{run.id}:{action.step_id}:{action.occurrence}"
    thread = threads.get(run.id, ()) if action.thread else ()
    personal = action.voice is Voice.PERSONAL
    return {
        "origin_key": origin,
        "contact_id": contact.id,
        "enrollment_id": run.id,
        "version_id": run.version_id,
        "step_id": action.step_id,
        "voice": action.voice,
        "sender_id": sender.id,
        "template": action.template,
        "template_hash": program.templates[action.template],
        "program_hash": program.hash,
        "state": MessageState.PLANNED if personal else MessageState.READY,
        "due_at": action.due_at,
        "not_after": action.not_after,
        "to_address": contact.email,
        "to_hash": contact.address_hash,
        "message_id_header": mint_message_id(origin, sender.address, who.salt),
        "in_reply_to": (thread[-1].wire_id or thread[-1].message_id_header) if thread else None,
        "thread_references": " ".join(_references(thread)) or None,
        "created_at": now,
        "updated_at": now,
    }


def _references(thread: Sequence[Row[Any]]) -> tuple[str, ...]:
    if not thread:
        return ()
    last = thread[-1]
    return references((last.thread_references or "").split(), last.wire_id or last.message_id_header)


def _sender(planned: _Planned, who: _Senders) -> Sender:
    """Return the marketing sender that the sequence names, or the mailbox of the contact's owner."""
    if planned.action.voice is Voice.MARKETING:
        if (sender := who.by_name.get(planned.sequence.sender)) is None:
            raise _Unplannable(f"there is no sender {planned.sequence.sender!r}: add it to nurture.toml and apply")
        return sender
    owner = planned.situation.contact.owner
    if owner is None or not owner.active:
        raise _Unplannable("the contact has no owner: give them one, or add a rep with `nurture reps add`")
    if (mailbox := who.by_rep.get(owner.id)) is None:
        raise _Unplannable(f"{owner.email} has no mailbox to send from: run `nurture reps add` for them again")
    return mailbox


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> set[str]:
    """Insert rows whose origin is new and return those origins: personal ones are drafted now."""
    new = messages.plan(connection, rows)
    waits = [
        (TimerKind.DRAFT, key, now) if _personal(row) else (TimerKind.MESSAGE, key, row["due_at"])
        for row in rows
        if (key := new.get(row["origin_key"])) is not None
    ]
    timers.set_timers(connection, waits)
    return set(new)


def _look_soon(plan: Plan, known: set[str], now: datetime) -> Plan:
    """Let a run whose message was planned before look at that message soon: it may have ended already."""
    run = plan.enrollment
    return altered(plan, due_at=now + SOON) if f"e:{run.id}:{run.step_id}:{run.occurrence}" in known else plan


def _with_sender(plan: Plan, row: Mapping[str, Any]) -> Plan:
    state = EnrollmentState.HELD if _personal(row) else plan.enrollment.state
    run = altered(plan.enrollment, sender_id=SenderId(row["sender_id"]), state=state)
    return Plan(run, plan.due_at, plan.actions, plan.trail)


def _personal(row: Mapping[str, Any]) -> bool:
    return row["voice"] is Voice.PERSONAL


def _waiting(plan: Plan, now: datetime) -> Plan:
    run = altered(plan.enrollment, state=EnrollmentState.WAITING, waiting_for="time")
    return Plan(run, now + RETRY, tuple(a for a in plan.actions if not isinstance(a, PlanMessage)), plan.trail)


def _decided(planned: _Planned, reason: str, now: datetime) -> Decided:
    run, step = planned.plan.enrollment, planned.sequence.step(planned.action.step_id)
    rule = f"{planned.sequence.file}:{step.line}" if step else planned.sequence.file
    return Decided(run.contact_id, run.id, None, planned.action.step_id, "hold", reason, (), now + RETRY, rule)
