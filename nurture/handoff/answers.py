"""What sales says to a handoff: accept, reject for a reason, give back until a day. All of it through the one door.

Everything happens in the caller's transaction. Whoever comes second is told who was first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from nurture import intake
from nurture.core.bars import RETURNED, crosses
from nurture.core.conditions import end_of
from nurture.core.handoff import FOREVER
from nurture.core.model import ContactId, Event, Rep, Situation
from nurture.core.moves import manual_move
from nurture.core.program import Program
from nurture.core.words import HandoffState, Team, TimerKind
from nurture.core.working import between
from nurture.db import handoffs, redrafting, reps, situations, timers
from nurture.errors import NotFound, Refused, UsageError

TRIED_AGAIN = 25
"""How many of the queue are routed again at once when a rep has room for one more; the others within the hour."""


def accept(
    connection: Connection, program: Program, handoff_id: int, rep: Rep, now: datetime, *, take: bool = False
) -> None:
    """Accept a handoff: the rep owns the contact from now on, what marketing still runs for them ends.

    With `take` even one that another rep has. Raises NotFound; Refused when it is closed, or another rep's, or when the
    rep has no mailbox to write from.
    """
    if not reps.has_mailbox(connection, rep.id):
        todo = f'nurture reps add --email {rep.email} --name "{rep.name}"'
        raise Refused(f"{rep.name} has no mailbox that personal mail could go out from: {todo}")
    row, situation = _open(connection, program, handoff_id, rep, now, take=take)
    _close(connection, program, row, rep, HandoffState.ACCEPTED, now, take=take)
    contact, events = situation.contact, []
    handoffs.own(connection, [(contact.id, rep.id)], now)
    if program.lifecycle.handoff.owns_account and contact.account:
        handoffs.own_account(connection, contact.account.id, rep.id, now)
    if contact.owner and contact.owner.id != rep.id:
        told = {"from": contact.owner.email, "to": rep.email}
        events.append(_event(row, "owner_changed", rep, now, **told))
    events.append(_event(row, "handoff_accepted", rep, now))
    intake.record(connection, program, events, now)
    redrafting.redraft(connection, [contact.id], now)


def reject(
    connection: Connection,
    program: Program,
    handoff_id: int,
    rep: Rep,
    reason: str,
    note: str | None,
    now: datetime,
    *,
    take: bool = False,
) -> tuple[str, datetime | None]:
    """Reject a handoff for one of the reasons of the lifecycle file; return the stage and until when it holds.

    The contact goes back and is not handed over again within the cool-off (None: never again). A rep whom routing made
    the owner is so no longer. Raises NotFound, Refused, and UsageError for a reason that the file does not have.
    """
    policy = program.lifecycle.handoff.rejections.get(reason)
    if policy is None:
        known = ", ".join(sorted(program.lifecycle.handoff.rejections))
        raise UsageError(f"the lifecycle has no reason {reason!r} to reject a handoff: it has {known}")
    row, situation = _open(connection, program, handoff_id, rep, now, take=take)
    stage = _back(program, situation, row, policy.to, now)
    until = FOREVER if policy.cool_off is None else end_of(policy.cool_off, now, situation)
    _close(connection, program, row, rep, HandoffState.REJECTED, now, take=take, outcome=reason, note=note)
    handoffs.bar(connection, situation.contact.id, until, reason)
    if row.took_owner:
        handoffs.own(connection, [(situation.contact.id, None)], now)
    said = {"reason": f"rejected by sales: {reason}", "why": reason, "note": note, "task": policy.task}
    until_said = until.isoformat() if policy.cool_off else None
    events = [_event(row, "handoff_rejected", rep, now, **said, stage=stage, actor=rep.email, until=until_said)]
    intake.record(connection, program, events, now)
    return stage, until if policy.cool_off else None


def give_back(
    connection: Connection,
    program: Program,
    handoff_id: int,
    rep: Rep,
    until: datetime,
    reason: str | None,
    now: datetime,
    *,
    take: bool = False,
) -> str:
    """Return a contact to marketing until a moment, at which they come back (or are looked at, as the file says).

    Returns the stage. Raises NotFound, Refused, and UsageError when the moment is past or too far away.
    """
    most = program.lifecycle.handoff.return_at_most
    if not now < until <= now + most:
        raise UsageError(f"{until:%Y-%m-%d %H:%M} UTC is past, or more than {most.days} days away: say one between")
    row, situation = _open(connection, program, handoff_id, rep, now, take=take)
    stage = _back(program, situation, row, None, now)
    _close(connection, program, row, rep, HandoffState.RETURNED, now, take=take, note=reason, returns_at=until)
    handoffs.bar(connection, situation.contact.id, until, RETURNED)
    timers.set_timers(connection, [(TimerKind.SLA, row.id, until)])
    why = f"returned by sales until {until:%Y-%m-%d}" + (f": {reason}" if reason else "")
    said = {"reason": why, "until": until.isoformat(), "note": reason, "stage": stage, "actor": rep.email}
    intake.record(connection, program, [_event(row, "handoff_returned", rep, now, **said)], now)
    return stage


def _open(
    connection: Connection, program: Program, handoff_id: int, rep: Rep, now: datetime, *, take: bool
) -> tuple[Row[Any], Situation]:
    """Return an open handoff that the rep may answer, and its contact, both locked; refuse with the reason."""
    row = handoffs.by_ids(connection, [handoff_id]).get(handoff_id)
    if row is None:
        raise NotFound(f"there is no handoff {handoff_id}: nurture handoffs list")
    if not situations.lock(connection, [row.contact_id]):
        raise Refused(f"the contact of handoff {handoff_id} is gone: merged with another, or erased")
    row = handoffs.by_ids(connection, [handoff_id])[handoff_id]
    if row.state != HandoffState.OPEN:
        who = f" by {row.closed_by}" if row.closed_by else ""
        raise Refused(f"handoff {handoff_id} was {row.state}{who} on {row.closed_at:%Y-%m-%d %H:%M} UTC already")
    if row.rep_id not in (None, rep.id) and not take:
        holder = handoffs.shown(connection, handoff_id)
        name = holder.rep_name if holder else "another rep"
        raise Refused(f"handoff {handoff_id} is with {name}: answer it for them with --take")
    loaded = situations.load(connection, [row.contact_id], program.lifecycle.memory, now)
    return row, loaded[ContactId(row.contact_id)]


def _back(program: Program, situation: Situation, row: Row[Any], to: str | None, now: datetime) -> str:
    """Return the stage of marketing that the contact goes back to; refuse where the lifecycle has no such move."""
    lifecycle, here = program.lifecycle, situation.contact.stage
    if lifecycle.stage(here).owner is Team.MARKETING:
        return here
    came_from = row.from_stage if row.from_stage and crosses(row.from_stage, here, lifecycle) else None
    ways = [move.to_stage for move in lifecycle.moves if move.from_stage == here]
    ours = (stage for stage in ways if lifecycle.stage(stage).owner is Team.MARKETING)
    target = to or came_from or next(ours, lifecycle.start)
    manual_move(situation, lifecycle, target, "given back by sales", "sales", now)
    return target


def _close(
    connection: Connection,
    program: Program,
    row: Row[Any],
    rep: Rep,
    state: HandoffState,
    now: datetime,
    *,
    take: bool,
    **also: Any,
) -> None:
    """Close a handoff, say for whom its clock ran and how long, and let the queue have the place that is free now."""
    if not handoffs.close(connection, row.id, state, rep.email, now, **also):
        raise Refused(f"handoff {row.id} was closed by somebody else at the same moment: look at it again")
    rules, company = program.lifecycle.handoff, program.company
    since = row.assigned_at or row.opened_at
    calendar = reps.calendars(connection, [rep.id], rules, company, since, now).get(rep.id)
    if row.rep_id == rep.id:
        worked = int(between(calendar, since, now).total_seconds()) // 60 if calendar else None
        handoffs.end_assignment(connection, row.id, str(state), worked, now)
    else:
        handoffs.end_assignment(connection, row.id, f"answered by {rep.email}", None, now)
        taken = {"handoff_id": row.id, "rep_id": rep.id, "at": now, "reason": "answered it", "skipped": []}
        handoffs.assign(connection, [{**taken, "ended_at": now, "ended_why": str(state), "worked_minutes": 0}])
        handoffs.change(connection, [{"id": row.id, "rep_id": rep.id}])
    handoffs.wake_queue(connection, now, most=TRIED_AGAIN)


def _event(row: Row[Any], kind: str, rep: Rep, now: datetime, **data: object) -> Event:
    told = {"handoff": row.id, "rep": rep.email, "rep_id": rep.id, **data}
    return Event(kind, now, "rep", f"{kind}:handoff:{row.id}", ContactId(row.contact_id), data=told)
