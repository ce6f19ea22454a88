"""Message rows from plans: which sender, which template, which thread. Decides nothing about timing.

What cannot be planned (no owner, no address, a template that is gone) is held with its reason and tried again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """The message rows that a page of plans asks for, still without keys, and the plans as they are to be saved.

    `origins` has the origin of the message that each plan asks for, None where it asks for none (or cannot have it);
    `held` are the answers about those that cannot be planned now.
    """

    plans: Sequence[Plan]
    origins: Sequence[str | None]
    rows: Sequence[Mapping[str, Any]]
    held: Sequence[Decided]


def plan_messages(
    connection: Connection,
    program: Program,
    versions: Mapping[VersionId, Sequenced],
    loaded: Mapping[ContactId, Situation],
    plans: Sequence[Plan],
    now: datetime,
) -> Sequence[Plan]:
    """Insert the messages that `plans` ask for, with their timers; return the plans as they are now to be saved."""
    prepared = prepare(connection, program, versions, loaded, plans, now)
    if not prepared.rows and not prepared.held:
        return plans
    new = insert(connection, prepared.rows, now)
    decisions.record(connection, prepared.held, program.hash, now)
    return saved(prepared, new, now)


def prepare(
    connection: Connection,
    program: Program,
    versions: Mapping[VersionId, Sequenced],
    loaded: Mapping[ContactId, Situation],
    plans: Sequence[Plan],
    now: datetime,
) -> Prepared:
    """Make the rows of the messages that `plans` ask for, and insert nothing."""
    asking = [_asked(plan, versions, loaded) for plan in plans]
    wanted = [planned for planned in asking if planned is not None]
    if not wanted:
        return Prepared(plans, (None,) * len(plans), (), ())
    found = senders.every(connection)
    salt = instance.read(connection).instance_id
    who = _Senders({s.name: s for s in found}, {s.rep_id: s for s in found if s.rep_id is not None}, salt)
    threads = messages.thread_of(connection, [p.plan.enrollment.id for p in wanted if p.action.thread])
    rows: list[Mapping[str, Any]] = []
    held: list[Decided] = []
    as_saved: list[Plan] = []
    origins: list[str | None] = []
    for plan, planned in zip(plans, asking, strict=True):
        if planned is None:
            as_saved.append(plan)
            origins.append(None)
            continue
        try:
            row = _row(planned, program, who, threads, now)
        except _Unplannable as reason:
            held.append(_decided(planned, str(reason), now))
            as_saved.append(_waiting(plan, now))
            origins.append(None)
        else:
            rows.append(row)
            as_saved.append(_with_sender(plan, row))
            origins.append(row["origin_key"])
    return Prepared(as_saved, origins, rows, held)


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> Collection[str]:
    """Insert the rows whose origin is new, with their timers; return those origins. Personal mail is drafted now."""
    new = messages.plan(connection, rows)
    waits = [
        (TimerKind.DRAFT, key, now) if _personal(row) else (TimerKind.MESSAGE, key, row["due_at"])
        for row in rows
        if (key := new.get(row["origin_key"])) is not None
    ]
    timers.set_timers(connection, waits)
    return new.keys()


def saved(prepared: Prepared, new: Collection[str], now: datetime) -> Sequence[Plan]:
    """Return the plans as they are to be saved: one whose message was planned before looks at that message soon.

    It may have ended already.
    """
    if len(new) == len(prepared.rows):
        return prepared.plans
    return [
        plan if origin is None or origin in new else altered(plan, due_at=now + SOON)
        for plan, origin in zip(prepared.plans, prepared.origins, strict=True)
    ]


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
