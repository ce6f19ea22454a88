"""Writing a page of reactions: every kind of effect in bulk, a constant number of statements for the page.

Locks are taken in one order everywhere, so that pages wait for each other instead of dying: contacts, runs, messages,
timers. What follows an effect on the timeline (`stage_entered`, `sequence_exited` …) is added here too.
Ending runs and cancelling messages is `endings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import cycle
from typing import TypeVar

from sqlalchemy import Connection, func, select

from nurture.core.effects import (
    CloseHandoff,
    Effect,
    EndRun,
    Enroll,
    EnterSegment,
    LeaveSegment,
    MoveStage,
    OpenHandoff,
    OpenTaskFor,
    PauseRun,
    Reaction,
    Suppress,
    UpdateContact,
    WakeRun,
)
from nurture.core.facts import count_filled
from nurture.core.model import Contact, ContactId, Event, RepId, Situation, Standing
from nurture.core.program import Program
from nurture.core.words import EnrollmentState, TaskState, TimerKind
from nurture.db import endings, enrollments, events, handing, handoffs, members, tables, timers
from nurture.db.bulk import in_page, insert_new, insert_rows, reserve_ids, update_rows, upsert
from nurture.db.handing import Opened

_CONTACT = tables.Contact.__table__
_RUN = tables.Enrollment.__table__
_TASK = tables.Task.__table__
_CHANGE = tables.StageChange.__table__
_ADDRESS = tables.Address.__table__
_SUPPRESSION = tables.Suppression.__table__
_REP = tables.Rep.__table__
_STANDING = tables.Standing.__table__

Kind = TypeVar("Kind", bound=Effect)


@dataclass(slots=True)
class Written:
    """What a page led to, counted. `moved` are (from stage, to stage)."""

    moved: list[tuple[str, str]] = field(default_factory=list)
    enrolled: int = 0
    ended: int = 0
    cancelled: int = 0
    voided: int = 0


@dataclass(slots=True)
class Page:
    """A page while it is written: its reactions, whom they are about, and the timeline and timers that come of it."""

    connection: Connection
    reactions: Sequence[Reaction]
    loaded: Mapping[ContactId, Situation]
    program: Program
    now: datetime
    written: Written = field(default_factory=Written)
    facts: list[Event] = field(default_factory=list)
    wakes: dict[tuple[TimerKind, int], datetime] = field(default_factory=dict)
    owners: dict[ContactId, RepId] = field(default_factory=dict)

    def all(self, kind: type[Kind]) -> Iterator[tuple[ContactId, Kind]]:
        """Yield the effects of one kind with their contacts."""
        return ((r.contact_id, e) for r in self.reactions for e in r.effects if isinstance(e, kind))

    def tell(self, kind: str, contact_id: ContactId, key: int, **data: object) -> None:
        """Put an event on the timeline."""
        self.facts.append(Event(kind, self.now, "engine", f"{kind}:{key}", contact_id, data=data))


def write(
    connection: Connection,
    reactions: Sequence[Reaction],
    loaded: Mapping[ContactId, Situation],
    program: Program,
    now: datetime,
) -> Written:
    """Write every effect of `reactions` and return the counts. The contacts are locked by the caller."""
    page = Page(connection, reactions, loaded, program, now)
    for part in _PARTS:
        part(page)
    timers.set_timers(connection, [(kind, subject, at) for (kind, subject), at in page.wakes.items()])
    events.add(connection, page.facts, now)
    return page.written


def _moves(page: Page) -> None:
    moves = list(page.all(MoveStage))
    stages = {contact_id: move.to_stage for contact_id, move in moves}
    update_rows(
        page.connection,
        _CONTACT,
        "id",
        [{"id": c, "stage": s, "stage_since": page.now, "updated_at": page.now} for c, s in stages.items()],
    )
    rows = []
    for (contact_id, move), key in zip(moves, reserve_ids(page.connection, _CHANGE, len(moves)), strict=True):
        rows.append(_change(page, contact_id, move, key))
        page.tell("stage_left", contact_id, key, stage=move.from_stage, to=move.to_stage)
        page.tell("stage_entered", contact_id, key, stage=move.to_stage, reason=move.reason)
        page.written.moved.append((move.from_stage, move.to_stage))
    insert_rows(page.connection, _CHANGE, rows)


def _change(page: Page, contact_id: ContactId, move: MoveStage, key: int) -> dict[str, object]:
    return {
        "id": key,
        "contact_id": contact_id,
        "from_stage": move.from_stage,
        "to_stage": move.to_stage,
        "at": page.now,
        "reason": move.reason,
        "rule": move.rule,
        "actor": move.actor,
        "program_hash": page.program.hash,
    }


def _updates(page: Page) -> None:
    changed: dict[ContactId, dict[str, object]] = {}
    for contact_id, effect in page.all(UpdateContact):
        row = changed.setdefault(contact_id, _writable(page.loaded[contact_id].contact))
        for name, value in effect.values.items():
            _set(row, name, value)
    rows = [{"id": contact_id, "updated_at": page.now, **row} for contact_id, row in changed.items()]
    update_rows(page.connection, _CONTACT, "id", rows)


_WRITABLE = ("first_name", "last_name", "title", "buying_role", "time_zone", "locale", "country", "source")


def _writable(contact: Contact) -> dict[str, object]:
    return {name: getattr(contact, name) for name in _WRITABLE} | {"fields": dict(contact.fields)}


def _set(row: dict[str, object], name: str, value: object) -> None:
    fields = row["fields"]
    if name.startswith("fields.") and isinstance(fields, dict):
        fields[name.removeprefix("fields.")] = value
    elif name in _WRITABLE:
        row[name] = value


def _suppressions(page: Page) -> None:
    wishes = list(page.all(Suppress))
    if not wishes:
        return
    query = select(_ADDRESS.c.contact_id, _ADDRESS.c.address_hash, _ADDRESS.c.email_key)
    addresses: dict[int, list[tuple[str, str]]] = {}
    for row in page.connection.execute(query.where(in_page(_ADDRESS.c.contact_id, [c for c, _ in wishes]))):
        addresses.setdefault(row.contact_id, []).append((row.address_hash, row.email_key))
    rows = {
        (address_hash, wish.scope): {
            "address_hash": address_hash,
            "address": email,
            "scope": wish.scope,
            "reason": wish.reason,
            "source": "event",
            "actor": "engine",
            "created_at": page.now,
        }
        for contact_id, wish in wishes
        for address_hash, email in addresses.get(contact_id, ())
    }
    insert_new(page.connection, _SUPPRESSION, list(rows.values()), ["address_hash", "scope"])


def _owners(page: Page) -> None:
    """Find who gets tasks: the rep who was given the handoff, the owner, the account's, else the next in rotation."""
    rotation: Iterator[int] | None = None
    for contact_id in dict.fromkeys(c for c, _ in page.all(OpenTaskFor)):
        if contact_id in page.owners:
            continue
        contact = page.loaded[contact_id].contact
        if contact.owner and contact.owner.active:
            page.owners[contact_id] = contact.owner.id
        elif contact.account and contact.account.owner_id:
            page.owners[contact_id] = contact.account.owner_id
        else:
            rotation = rotation or _rotation(page.connection)
            if (rep := next(rotation, None)) is not None:
                page.owners[contact_id] = RepId(rep)


def _rotation(connection: Connection) -> Iterator[int]:
    """Return the active reps for ever, beginning with the one who owns the fewest contacts."""
    owned = select(func.count()).where(_CONTACT.c.owner_id == _REP.c.id).scalar_subquery()
    return cycle(connection.scalars(select(_REP.c.id).where(_REP.c.active).order_by(owned, _REP.c.id)).all())


def _handoffs(page: Page) -> None:
    """Take back the handoffs of those who left, and route the new ones."""
    leaving = {c: effect.reason for c, effect in page.all(CloseHandoff)}
    for row in handoffs.leave(page.connection, leaving, page.now):
        page.tell(
            "handoff_returned", row.contact_id, row.id, handoff=row.id, reason=leaving[row.contact_id], actor="engine"
        )
    standings = {r.contact_id: r.standing for r in page.reactions}
    opened = [
        Opened(replace(page.loaded[c], standing=standings[c]), effect)
        for c, effect in page.all(OpenHandoff)
        if not page.loaded[c].open_handoff
    ]
    handed = handing.open_all(page.connection, page.program, opened, page.now)
    page.owners.update(handed.reps)
    page.facts.extend(handed.facts)
    page.wakes.update(handed.wakes)


def _tasks(page: Page) -> None:
    rows = [
        {
            "origin_key": task.key,
            "contact_id": contact_id,
            "rep_id": task.rep_id or page.owners.get(contact_id),
            "enrollment_id": task.enrollment_id,
            "step_id": task.step_id,
            "kind": task.kind,
            "title": task.title,
            "note": task.note,
            "due_at": task.due_at,
            "state": TaskState.OPEN,
            "created_at": page.now,
        }
        for contact_id, task in page.all(OpenTaskFor)
    ]
    insert_new(page.connection, _TASK, rows, ["origin_key"])


def _endings(page: Page) -> None:
    ended = endings.write(page.connection, page.reactions, page.now)
    page.written.ended, page.written.cancelled, page.written.voided = ended.runs, ended.cancelled, ended.voided
    page.facts.extend(ended.facts)
    page.wakes.update(ended.wakes)


def _pauses(page: Page) -> None:
    pauses = {effect.enrollment_id: effect for _, effect in page.all(PauseRun)}
    rows = [
        {
            "id": key,
            "state": EnrollmentState.PAUSED,
            "paused_until": pause.until,
            "reason": pause.reason,
            "updated_at": page.now,
        }
        for key, pause in pauses.items()
    ]
    update_rows(page.connection, _RUN, "id", rows)
    page.wakes.update({(TimerKind.ENROLLMENT, key): pause.until for key, pause in pauses.items()})
    page.wakes.update({(TimerKind.ENROLLMENT, wake.enrollment_id): page.now for _, wake in page.all(WakeRun)})


def _enrollments(page: Page) -> None:
    entering = [(c, e) for c, e in page.all(Enroll) if e.sequence in page.program.versions]
    rows = [
        {
            "contact_id": contact_id,
            "sequence": enroll.sequence,
            "version_id": page.program.versions[enroll.sequence],
            "run": enroll.run,
            "step_id": page.program.sequences[enroll.sequence].first,
            "enroll_reason": enroll.reason,
        }
        for contact_id, enroll in entering
    ]
    for (contact_id, enroll), key in zip(entering, enrollments.begin(page.connection, rows, page.now), strict=True):
        page.tell("sequence_entered", contact_id, key, sequence=enroll.sequence, run=enroll.run, reason=enroll.reason)
        page.wakes[TimerKind.ENROLLMENT, key] = page.now
    page.written.enrolled = len(rows)


def _standings(page: Page) -> None:
    rows = [
        {"contact_id": reaction.contact_id, **standing_values(reaction.standing, page.program)}
        for reaction in page.reactions
        if reaction.standing is not None
    ]
    upsert(page.connection, _STANDING, rows, ["contact_id"])
    reviewed = [r for r in page.reactions if r.standing is not None]
    page.wakes.update({(TimerKind.REVIEW, r.contact_id): r.review_at for r in reviewed if r.review_at is not None})
    timers.clear(page.connection, TimerKind.REVIEW, [r.contact_id for r in reviewed if r.review_at is None])


def standing_values(standing: Standing, program: Program) -> dict[str, object]:
    """Return what is stored of a standing, by column."""
    values: dict[str, object] = {
        "fit_points": standing.fit_points,
        "grade": standing.grade,
        "engagement": standing.engagement,
        "level": standing.level,
        "as_of": standing.as_of,
        "model_hash": standing.model_hash,
    }
    if not program.lifecycle.slots:
        return values
    filled = count_filled(standing.slots, program.lifecycle)
    return values | {"slots": dict(standing.slots), "slots_filled": filled}


def _segments(page: Page) -> None:
    """Write who enters and leaves segments; what else this page did that their rules ask for is reviewed at once."""
    every = page.program.segments
    if not every:
        return
    entering, leaving = list(page.all(EnterSegment)), list(page.all(LeaveSegment))
    members.enter(page.connection, [(c, e.segment) for c, e in entering], page.now)
    members.leave(page.connection, [(c, e.segment) for c, e in leaving])
    told = [("segment_entered", c, e.segment) for c, e in entering]
    told += [("segment_left", c, e.segment) for c, e in leaving]
    for (kind, contact_id, name), key in zip(told, _event_keys(page, len(told)), strict=True):
        page.tell(kind, contact_id, key, segment=name)
    again = {fact.contact_id for fact in page.facts if fact.kind in every.kinds - _ANSWERED}
    if every.ask_of_runs:
        again |= {r.contact_id for r in page.reactions if any(isinstance(e, _OF_RUNS) for e in r.effects)}
    page.wakes.update({(TimerKind.REVIEW, c): page.now for c in again if c is not None})


def _event_keys(page: Page, count: int) -> Sequence[int]:
    """Return numbers that nobody else gets, for events that stand for no row of their own."""
    return reserve_ids(page.connection, events.TABLE, count) if count else ()


_ANSWERED = frozenset({"stage_entered", "stage_left"})
"""Events of a page's own that the core has seen already when it asked for segments."""

_OF_RUNS = (CloseHandoff, Enroll, EndRun, OpenHandoff, OpenTaskFor)
"""Effects that change what there is of runs, tasks and handoffs."""

_PARTS: tuple[Callable[[Page], None], ...] = (
    _moves,
    _updates,
    _suppressions,
    _handoffs,
    _owners,
    _tasks,
    _endings,
    _pauses,
    _enrollments,
    _standings,
    _segments,
)
