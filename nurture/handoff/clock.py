"""The clock of handoffs: who has waited too long is warned, escalated, given to somebody else; who waits is routed.

A page is one transaction. Contacts whom somebody else is changing are left for later, as everywhere that starts from
timers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from nurture import intake, live
from nurture.core.bars import RETURNED
from nurture.core.handoff import Then
from nurture.core.model import ContactId, Event, Situation
from nurture.core.program import Program
from nurture.core.routing import Candidate, Desk, Routed, route
from nurture.core.sla import Clock, Step, due_at, pending, rings_at
from nurture.core.words import HandoffState, TimerKind
from nurture.core.working import away_until, between
from nurture.db import handing, handoffs, people, redrafting, situations, timers
from nurture.db.session import Database

PAGE = 250
"""Handoffs that are looked at in one transaction."""


@dataclass(slots=True)
class _Page:
    """A page of handoffs while it is worked on, and all that will be written in the end."""

    program: Program
    desk: Desk
    loaded: Mapping[ContactId, Situation]
    had: Mapping[int, Sequence[Row[Any]]]
    now: datetime
    events: list[Event] = field(default_factory=list)
    changes: list[dict[str, object]] = field(default_factory=list)
    ended: list[tuple[Row[Any], str, int | None]] = field(default_factory=list)
    given: list[dict[str, object]] = field(default_factory=list)
    owners: list[tuple[ContactId, int | None]] = field(default_factory=list)
    wakes: dict[int, datetime | None] = field(default_factory=dict)
    unbarred: list[ContactId] = field(default_factory=list)

    def tell(self, row: Row[Any], kind: str, number: object, **data: object) -> None:
        """Record an event about a handoff; `number` tells it from others of its kind."""
        contact_id = ContactId(row.contact_id)
        told = {"handoff": row.id, **data}
        self.events.append(Event(kind, self.now, "handoff", f"{kind}:{row.id}:{number}", contact_id, data=told))


def watch(database: Database, owner: str, now: datetime, *, limit: int = PAGE) -> int:
    """Look at a page of handoffs whose clock has rung, in one transaction; return how many were due."""
    with database.write() as connection:
        waiting = timers.due(connection, TimerKind.SLA, now, limit)
        if waiting:
            program = live.current(connection)
            rows, locked = _free(connection, [timer.subject_id for timer in waiting], now)
            page = _load(connection, program, rows, now)
            for row in rows:
                _look(page, row)
            _write(connection, page)
            intake.record(connection, program, page.events, now, locked=locked)
            redrafting.redraft(connection, [contact_id for contact_id, _ in page.owners], now)
    return len(waiting)


def _free(connection: Connection, ids: Sequence[int], now: datetime) -> tuple[list[Row[Any]], set[int]]:
    """Return the handoffs whose contact nobody else is changing, as they are under the lock; the others wait."""
    contacts = {row.contact_id for row in handoffs.by_ids(connection, ids).values()}
    locked = set(situations.lock(connection, contacts, wait=False))
    rows = handoffs.by_ids(connection, ids)
    known = people.contact_rows(connection, contacts - locked)
    gone = {key for key, each in known.items() if each.merged_into is not None or each.erased_at is not None}
    busy = [key for key, row in rows.items() if row.contact_id not in locked | gone]
    timers.set_timers(connection, [(TimerKind.SLA, key, now) for key in busy])
    over = [key for key in ids if key not in rows or rows[key].contact_id in gone]
    timers.clear(connection, TimerKind.SLA, over)
    return [row for row in rows.values() if row.contact_id in locked], locked


def _load(connection: Connection, program: Program, rows: Sequence[Row[Any]], now: datetime) -> _Page:
    ids = [row.contact_id for row in rows]
    loaded = situations.load(connection, ids, program.lifecycle.memory, now)
    rules = program.lifecycle.handoff
    desk = handoffs.desk(connection, list(loaded.values()), rules, program.company, now)
    had = handoffs.assignments(connection, [row.id for row in rows])
    return _Page(program, desk, loaded, had, now)


def _look(page: _Page, row: Row[Any]) -> None:
    """Do what a handoff's clock asks for, and set it again."""
    page.wakes[row.id] = None
    if row.state == HandoffState.RETURNED and row.returns_at is not None:
        _resume(page, row)
    elif row.state == HandoffState.OPEN:
        held = page.desk.of(row.rep_id)
        if row.rep_id is None:
            _from_queue(page, row)
        elif held is None:
            _pass_on(page, row, "is not active any more")
        elif not _while_away(page, row, held):
            _tick(page, row, held)


def _while_away(page: _Page, row: Row[Any], held: Candidate) -> bool:
    """Pass on what somebody who is away has not answered, where another can take it: tell whether it was."""
    back = away_until(held.calendar, page.now)
    return back is not None and _pass_on(page, row, f"is away until {back}", or_keep=True)


def _tick(page: _Page, row: Row[Any], held: Candidate) -> None:
    """Warn, escalate and pass on, as far as it is time to. Without a clock in the file only absences count."""
    sla = page.program.lifecycle.handoff.sla
    since = row.assigned_at or row.opened_at
    moved = max(0, len(page.had.get(row.id, ())) - 1)
    clock = Clock(since, row.warned_at is not None, row.escalated_at is not None, moved)
    page.wakes[row.id] = rings_at(sla, held.calendar, clock, page.now)
    if sla is None:
        return
    coming = pending(sla, held.calendar, clock)
    due = [step for at, step in coming if at <= page.now]
    if Step.REASSIGN in due and _pass_on(page, row, "did not answer in time", or_keep=True):
        return
    promised = due_at(sla, held.calendar, since)
    said = {"rep": held.rep.email, "rep_id": held.rep.id, "due_at": promised.isoformat() if promised else None}
    change = {"warned_at": row.warned_at, "escalated_at": row.escalated_at, "due_at": promised}
    if Step.WARN in due:
        page.tell(row, "handoff_warned", moved, **said)
        change["warned_at"] = page.now
    if Step.ESCALATE in due:
        above = next((each.rep for each in page.desk.candidates if each.rep.email == sla.escalate_to), None)
        page.tell(row, "handoff_escalated", moved, **said, to=sla.escalate_to, to_id=above.id if above else None)
        change["escalated_at"] = page.now
    _change(page, row, **change)


def _from_queue(page: _Page, row: Row[Any]) -> None:
    """Give a handoff that nobody had to a rep, if one is free now."""
    situation = page.loaded[row.contact_id]
    routed = _routed(page, row, ())
    if routed.rep is None:
        page.wakes[row.id] = page.now + handing.LOOK_AGAIN
        return
    page.ended.append((row, "a rep is free", None))
    _give(page, row, routed, takes_owner=situation.contact.owner is None or not situation.contact.owner.active)
    page.tell(row, "handoff_assigned", len(page.had.get(row.id, ())), rep=routed.rep.email, because=routed.reason)


def _pass_on(page: _Page, row: Row[Any], why: str, *, or_keep: bool = False) -> bool:
    """Give a handoff to the next rep who has not had it, else to the queue, or let it be (`or_keep`): tell which."""
    had = [each.rep_id for each in page.had.get(row.id, ()) if each.rep_id is not None]
    routed = _routed(page, row, had)
    if routed.rep is None and or_keep:
        return False
    held = page.desk.of(row.rep_id)
    worked = _minutes(held, row, page.now)
    page.ended.append((row, why, worked))
    before = next((each.email for each in reversed(page.had.get(row.id, ())) if each.rep_id == row.rep_id), None)
    _give(page, row, routed, takes_owner=row.took_owner)
    to = routed.rep.email if routed.rep else None
    page.tell(row, "handoff_reassigned", len(had), rep=to, before=before, why=why, because=routed.reason)
    return True


def _routed(page: _Page, row: Row[Any], had: Sequence[int]) -> Routed:
    situation = page.loaded[row.contact_id]
    owner = situation.contact.owner
    if row.took_owner and owner is not None and owner.id == row.rep_id:  # the owner only because they had it
        situation = replace(situation, contact=replace(situation.contact, owner=None))
    lifecycle = page.program.lifecycle
    return route(situation, lifecycle.handoff, page.desk, lifecycle, page.now, had=had)


def _give(page: _Page, row: Row[Any], routed: Routed, *, takes_owner: bool) -> None:
    """Let somebody have a handoff from now on, with a clock that begins anew."""
    situation = page.loaded[row.contact_id]
    page.desk = page.desk.after(routed, situation)
    due, rings = handing.clock_of(page.program.lifecycle.handoff, page.desk, routed, page.now)
    page.given.append(handing.assignment(row.id, routed, due, page.now))
    page.wakes[row.id] = rings
    change: dict[str, object] = {"warned_at": None, "escalated_at": None, "due_at": due}
    rep_id = routed.rep.id if routed.rep else None
    _change(
        page,
        row,
        **change,
        rep_id=rep_id,
        assigned_at=page.now if routed.rep else None,
        took_owner=takes_owner and rep_id is not None,
        packet={**row.packet, **handing.routing(routed)},
    )
    if takes_owner:
        owner = situation.contact.owner
        page.owners.append((ContactId(row.contact_id), rep_id))
        if owner is not None:
            told = {"from": owner.email, "to": routed.rep.email if routed.rep else None}
            page.tell(row, "owner_changed", len(page.had.get(row.id, ())), **told)


def _resume(page: _Page, row: Row[Any]) -> None:
    """Let a contact come back whom sales had returned until now, or ask the rules about them, as the file says."""
    bar = page.loaded[ContactId(row.contact_id)].bar
    if bar is None or (bar.why, bar.until) != (RETURNED, row.returns_at):
        return  # they came to sales again meanwhile, and what sales said then counts
    page.unbarred.append(ContactId(row.contact_id))
    if page.program.lifecycle.handoff.returned is Then.COME_BACK and row.to_stage:
        reason = f"returned until {row.returns_at:%Y-%m-%d}"
        page.tell(row, "handoff_resumed", 0, stage=row.to_stage, reason=reason, actor=row.closed_by)
    else:
        page.tell(row, "time_passed", 0)


def _change(page: _Page, row: Row[Any], **values: object) -> None:
    """Change a handoff. The rows of a page have the same columns."""
    kept = ("rep_id", "assigned_at", "took_owner", "warned_at", "escalated_at", "due_at", "packet")
    page.changes.append({"id": row.id, **{name: getattr(row, name) for name in kept}, **values})


def _write(connection: Connection, page: _Page) -> None:
    """Write what a page led to: a constant number of statements, but for those who changed hands."""
    handoffs.change(connection, page.changes)
    for row, why, worked in page.ended:
        handoffs.end_assignment(connection, row.id, why, worked, page.now)
    handoffs.cancel_tasks(connection, [row.contact_id for row, _, _ in page.ended], page.now)
    handoffs.assign(connection, page.given)
    handoffs.keep_turns(connection, page.desk.last)
    handoffs.own(connection, page.owners, page.now)
    handoffs.unbar(connection, page.unbarred)
    _wake(connection, page.wakes.items())


def _wake(connection: Connection, wakes: Iterable[tuple[int, datetime | None]]) -> None:
    timed = list(wakes)
    timers.set_timers(connection, [(TimerKind.SLA, key, at) for key, at in timed if at is not None])
    timers.clear(connection, TimerKind.SLA, [key for key, at in timed if at is None])


def _minutes(held: Candidate | None, row: Row[Any], now: datetime) -> int | None:
    if held is None or row.assigned_at is None:
        return None
    return int(between(held.calendar, row.assigned_at, now).total_seconds()) // 60
