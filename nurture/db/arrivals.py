"""Writing what follows for a page of new contacts: a statement for each kind of thing, not a row at a time.

What is written is what `effects.write` would write of the same enrollments and standings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from nurture.core.arrivals import Arrival
from nurture.core.effects import Enroll
from nurture.core.model import ContactId, Event
from nurture.core.program import Program
from nurture.core.words import EnrollmentState, TimerKind
from nurture.db import events, tables, timers
from nurture.db.alike import Each, insert_alike
from nurture.db.bulk import reserve_ids
from nurture.db.columns import insert_columns
from nurture.db.effects import standing_values

_RUN = tables.Enrollment.__table__
_STANDING = tables.Standing.__table__
_MEMBER = tables.SegmentMember.__table__
_TIMER = tables.Timer.__table__

Arrived = Sequence[tuple[ContactId, Arrival]]


def write(connection: Connection, program: Program, arrived: Arrived, told: Sequence[Event], now: datetime) -> int:
    """Write the events, runs, standings and timers of new contacts; return how many runs began.

    `told` are events that all of them have, with external ids that end with the contact's id.
    """
    ids = [contact_id for contact_id, _ in arrived]
    for event in told:
        events.add_alike(connection, event, ids, ids, now)
    entering: dict[Enroll, list[ContactId]] = {}
    for contact_id, arrival in arrived:
        for enroll in arrival.enrolling:
            if enroll.sequence in program.versions:
                entering.setdefault(enroll, []).append(contact_id)
    for enroll, who in entering.items():
        _enroll(connection, program, enroll, who, now)
    _stand(connection, program, arrived)
    _belong(connection, arrived, now)
    reviews = [(TimerKind.REVIEW, key, at) for key, arrival in arrived if (at := arrival.review_at) is not None]
    timers.set_timers(connection, reviews)
    return sum(map(len, entering.values()))


def _enroll(connection: Connection, program: Program, enroll: Enroll, who: Sequence[ContactId], now: datetime) -> None:
    keys = reserve_ids(connection, _RUN, len(who))
    run = {
        "id": Each(keys),
        "contact_id": Each(who),
        "sequence": enroll.sequence,
        "version_id": program.versions[enroll.sequence],
        "run": enroll.run,
        "step_id": program.sequences[enroll.sequence].first,
        "enroll_reason": enroll.reason,
        "state": EnrollmentState.ACTIVE.value,
        "occurrence": 0,
        "failures": 0,
        "entered_at": now,
        "base_at": now,
        "updated_at": now,
    }
    insert_alike(connection, _RUN, run)
    due = {"due_at": now, "kind": TimerKind.ENROLLMENT.value, "subject_id": Each(keys), "attempts": 0}
    insert_alike(connection, _TIMER, due)
    data = {"sequence": enroll.sequence, "run": enroll.run, "reason": enroll.reason}
    entered = Event("sequence_entered", now, "engine", "sequence_entered:", data=data)
    events.add_alike(connection, entered, who, keys, now)


def _belong(connection: Connection, arrived: Arrived, now: datetime) -> None:
    """Put newcomers into segments, and tell so."""
    entering: dict[str, list[ContactId]] = {}
    for contact_id, arrival in arrived:
        for name in arrival.segments:
            entering.setdefault(name, []).append(contact_id)
    for name, who in entering.items():
        insert_alike(connection, _MEMBER, {"contact_id": Each(who), "segment": name, "since": now})
        entered = Event("segment_entered", now, "engine", "segment_entered:", data={"segment": name})
        events.add_alike(connection, entered, who, reserve_ids(connection, events.TABLE, len(who)), now)


def _stand(connection: Connection, program: Program, arrived: Arrived) -> None:
    if not arrived:
        return
    different = {id(arrival.standing): arrival.standing for _, arrival in arrived}
    values = {key: standing_values(standing, program) for key, standing in different.items()}
    rows = [values[id(arrival.standing)] for _, arrival in arrived]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    insert_columns(connection, _STANDING, len(rows), {"contact_id": [key for key, _ in arrived], **columns})
