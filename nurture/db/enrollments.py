"""Named queries for enrollments: reading runs, writing what a plan or an ending made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from nurture.core.model import ContactId, Enrollment, EnrollmentId
from nurture.core.onward import SET, Stride
from nurture.core.words import EnrollmentState
from nurture.db import tables
from nurture.db.bulk import in_given, insert_rows, reserve_ids, update_rows
from nurture.db.fetching import by_columns

TABLE = tables.Enrollment.__table__
_C = TABLE.c


def of_contacts(connection: Connection, contact_ids: Collection[int]) -> dict[ContactId, list[Enrollment]]:
    """Return every run of those contacts, oldest first."""
    found: dict[ContactId, list[Enrollment]] = {}
    for run in _read(connection, _OF_CONTACTS, contact_ids):
        found.setdefault(run.contact_id, []).append(run)
    return found


def by_ids(connection: Connection, ids: Collection[int]) -> dict[EnrollmentId, Enrollment]:
    """Return the runs with those keys."""
    return {run.id: run for run in _read(connection, _BY_IDS, ids)}


def contacts_of(connection: Connection, ids: Collection[int]) -> set[int]:
    """Return the contacts whose runs those are: who is locked before anything is read that could change."""
    (found,) = by_columns(connection, _CONTACTS_OF, {"ids": list(ids)})
    return set(found)


def begin(connection: Connection, runs: Sequence[Mapping[str, Any]], now: datetime) -> list[EnrollmentId]:
    """Insert runs (contact_id, sequence, version_id, run, step_id, enroll_reason) and return their keys."""
    ids = reserve_ids(connection, TABLE, len(runs))
    rows = [
        {
            "occurrence": 0,
            "failures": 0,
            "state": EnrollmentState.ACTIVE,
            "entered_at": now,
            "base_at": now,
            "updated_at": now,
            "id": key,
            **run,
        }
        for key, run in zip(ids, runs, strict=True)
    ]
    insert_rows(connection, TABLE, rows)
    return [EnrollmentId(key) for key in ids]


def save(
    connection: Connection, runs: Sequence[Enrollment], now: datetime, before: Mapping[EnrollmentId, Enrollment]
) -> None:
    """Write what changed of runs, in one statement; `before` are the same runs as they were read.

    A column in which no run of the page changed is left out: an update of `state` alone costs as much as all others,
    because an index holds it.
    """
    if not runs:
        return
    columns = zip(*map(_changing, runs), strict=True)
    old = zip(*(_changing(before[run.id]) for run in runs), strict=True)
    changed = [name for name, new, was in zip(_CHANGING, columns, old, strict=True) if new != was]
    rows = [{"id": run.id, "updated_at": now} | {name: getattr(run, name) for name in changed} for run in runs]
    update_rows(connection, TABLE, "id", rows)


def move(connection: Connection, stride: Stride, now: datetime) -> None:
    """Write what many runs became alike: nothing of each is sent but its key."""
    to = {f"new_{name}": getattr(stride.to, name) for name in SET}
    connection.execute(_MOVING, {"ids": [key for key, _ in stride.due], "moment": now, **to})


def end(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """End runs: rows of id, state, reason, disposition, actor."""
    changes = [{**row, "ended_at": now, "updated_at": now, "waiting_for": None, "paused_until": None} for row in rows]
    update_rows(connection, TABLE, "id", changes)


_COLUMNS = tuple(_C[name] for name in Enrollment.__dataclass_fields__)
_OF_CONTACTS = select(*_COLUMNS).where(in_given(_C.contact_id)).order_by(_C.id)
_BY_IDS = select(*_COLUMNS).where(in_given(_C.id))
_CONTACTS_OF = select(_C.contact_id).where(in_given(_C.id))
_CHANGING = (
    "state",
    "step_id",
    "occurrence",
    "base_at",
    "waiting_for",
    "reason",
    "disposition",
    "ended_at",
    "paused_until",
    "sender_id",
    "failures",
)
_changing = attrgetter(*_CHANGING)
_MOVED = {"updated_at": "moment"} | {name: f"new_{name}" for name in SET}
_MOVING = (
    update(TABLE)
    .where(in_given(_C.id))
    .values({name: bindparam(parameter, type_=_C[name].type) for name, parameter in _MOVED.items()})
)
_STATE = tuple(Enrollment.__dataclass_fields__).index("state")
_STATES = {state.value: state for state in EnrollmentState}


def _read(connection: Connection, query: Select[Any], ids: Collection[int]) -> Iterable[Enrollment]:
    """Return the runs of a query of `_COLUMNS`, which are the fields of a run in their order."""
    columns = by_columns(connection, query, {"ids": list(ids)})
    return map(Enrollment, *columns[:_STATE], map(_STATES.__getitem__, columns[_STATE]), *columns[_STATE + 1 :])
