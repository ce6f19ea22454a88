"""Writing a page of new handoffs: each is routed under one lock, gets its owner, its clock and its packet, in bulk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from nurture.core.effects import OpenHandoff
from nurture.core.handoff import Handoff
from nurture.core.model import ContactId, Event, RepId, Situation
from nurture.core.program import Program
from nurture.core.routing import Desk, Routed, route
from nurture.core.sla import Clock, due_at, rings_at
from nurture.core.words import HandoffState, TimerKind
from nurture.db import handoffs, tables
from nurture.db.bulk import insert_rows, reserve_ids, update_rows

LOOK_AGAIN = timedelta(hours=1)
"""How often a handoff that nobody could take is routed again, should nothing wake it before."""

_ACCOUNT = tables.Account.__table__
_GROUND = tables.Ground.__table__


@dataclass(frozen=True, slots=True)
class Opened:
    """A handoff to be opened, and the situation by which it is routed."""

    situation: Situation
    effect: OpenHandoff


@dataclass(slots=True)
class Handed:
    """What came of a page: who got the contacts, what the timeline says, when the clocks ring."""

    reps: dict[ContactId, RepId] = field(default_factory=dict)
    facts: list[Event] = field(default_factory=list)
    wakes: dict[tuple[TimerKind, int], datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Given:
    """One handoff on its way into the tables."""

    id: int
    opened: Opened
    routed: Routed
    due_at: datetime | None

    @property
    def contact_id(self) -> ContactId:
        return self.opened.situation.contact.id

    @property
    def takes_owner(self) -> bool:
        """Whether the rep becomes the contact's owner now: nobody is, or somebody who is gone."""
        owner = self.opened.situation.contact.owner
        return self.routed.rep is not None and (owner is None or not owner.active)


def open_all(connection: Connection, program: Program, page: Sequence[Opened], now: datetime) -> Handed:
    """Route and write the handoffs of a page; the contacts are locked. The number of statements is constant."""
    handed = Handed()
    if not page:
        return handed
    rules, ids = program.lifecycle.handoff, reserve_ids(connection, handoffs.TABLE, len(page))
    before = desk = handoffs.desk(connection, [each.situation for each in page], rules, program.company, now)
    given: list[_Given] = []
    for key, opened in zip(ids, page, strict=True):
        routed = route(opened.situation, rules, desk, program.lifecycle, now)
        desk = desk.after(routed, opened.situation)
        due, rings = clock_of(rules, desk, routed, now)
        given.append(_Given(key, opened, routed, due))
        if rings is not None:
            handed.wakes[TimerKind.SLA, key] = rings
    if desk.last != before.last:
        handoffs.keep_turns(connection, desk.last)
    _write(connection, given, now)
    _own(connection, given, rules, now)
    handed.reps = {each.contact_id: each.routed.rep.id for each in given if each.routed.rep}
    handed.facts = [_told(each, now) for each in given]
    return handed


def clock_of(rules: Handoff, desk: Desk, routed: Routed, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return by when the rep is to answer, and when the clock rings first; of one that waits, when to look again."""
    held = desk.of(routed.rep.id) if routed.rep else None
    if held is None:
        return None, now + LOOK_AGAIN
    due = due_at(rules.sla, held.calendar, now) if rules.sla else None
    return due, rings_at(rules.sla, held.calendar, Clock(now), now)


def assignment(handoff_id: int, routed: Routed, due: datetime | None, now: datetime) -> dict[str, Any]:
    """Return the row that says who has a handoff from now on."""
    return {
        "handoff_id": handoff_id,
        "rep_id": routed.rep.id if routed.rep else None,
        "at": now,
        "reason": routed.reason,
        "rule": routed.rule,
        "skipped": list(routed.skipped),
        "due_at": due,
    }


def routing(routed: Routed) -> dict[str, object]:
    """Return what a packet says of the routing."""
    return {
        "rep": routed.rep.email if routed.rep else None,
        "assigned_because": routed.reason,
        "routing_rule": routed.rule,
        "skipped": list(routed.skipped),
        "conflicts": list(routed.conflicts),
    }


def _write(connection: Connection, given: Sequence[_Given], now: datetime) -> None:
    rows = [
        {
            "id": each.id,
            "contact_id": each.contact_id,
            "rep_id": each.routed.rep.id if each.routed.rep else None,
            "state": HandoffState.OPEN,
            "reason": each.opened.effect.reason,
            "packet": {**each.opened.effect.packet, **routing(each.routed)},
            "from_stage": each.opened.effect.from_stage,
            "to_stage": each.opened.effect.to_stage,
            "opened_at": now,
            "assigned_at": now if each.routed.rep else None,
            "took_owner": each.takes_owner,
            "due_at": each.due_at,
        }
        for each in given
    ]
    insert_rows(connection, handoffs.TABLE, rows)
    handoffs.assign(connection, [assignment(each.id, each.routed, each.due_at, now) for each in given])
    grounds = [
        {"handoff_id": each.id, "kind": kind, "name": name, "points": points}
        for each in given
        for kind, name, points in each.opened.effect.grounds
    ]
    insert_rows(connection, _GROUND, grounds)


def _own(connection: Connection, given: Sequence[_Given], rules: Handoff, now: datetime) -> None:
    """Make the reps owners of their contacts (and, as the file says, accounts), and forget what barred these."""
    mine = [(each.opened.situation.contact, each.routed.rep) for each in given if each.takes_owner]
    handoffs.own(connection, [(contact.id, rep.id) for contact, rep in mine if rep], now)
    handoffs.unbar(connection, [each.contact_id for each in given if each.opened.situation.bar is not None])
    if rules.owns_account:
        accounts = [(c.account.id, rep.id) for c, rep in mine if rep and c.account and c.account.owner_id is None]
        rows = [
            {"id": account, "owner_id": rep, "updated_at": now} for account, rep in dict(reversed(accounts)).items()
        ]
        update_rows(connection, _ACCOUNT, "id", rows)


def _told(given: _Given, now: datetime) -> Event:
    routed, effect = given.routed, given.opened.effect
    data: Mapping[str, object] = {
        "handoff": given.id,
        "reason": effect.reason,
        "rep": routed.rep.email if routed.rep else None,
        "because": routed.reason,
        "conflicts": list(routed.conflicts),
    }
    return Event("handoff_opened", now, "engine", f"handoff_opened:{given.id}", given.contact_id, data=data)
