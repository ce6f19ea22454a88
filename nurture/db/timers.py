"""Everything that waits: claiming, leasing and proving that nothing is lost.

Two clocks meet here and never mix: what is *due* is asked with program time (`now`), how long a claim *holds* is
counted by the database's own clock, which nobody can pretend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from nurture.core.quick import quick_init
from nurture.core.words import FINAL_MESSAGES, EnrollmentState, MessageState, TimerKind
from nurture.db import bulk, lite
from nurture.db.clock import database_clock
from nurture.db.columns import Columns, insert_columns
from nurture.db.fetching import by_columns
from nurture.db.tables import Enrollment, Message, Timer
from nurture.db.values import Same, encoded_columns

_timers: Table = Timer.__table__
_enrollments: Table = Enrollment.__table__
_messages: Table = Message.__table__


@quick_init
@dataclass(frozen=True, slots=True)
class Claimed:
    """A timer that this process may act on; `attempts` counts this claim too."""

    subject_id: int
    due_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Something unfinished that nothing will ever wake. There must be none."""

    kind: str
    subject_id: int
    state: str


def set_timers(connection: Connection, timers: Iterable[tuple[str, int, datetime]]) -> None:
    """Set the timer of each (kind, subject id) to a due time; a claim on it ends, and its attempts begin again."""
    moments = {(kind, subject): due for kind, subject, due in timers}
    if not moments:
        return
    if connection.dialect.name == "sqlite":
        kinds, subjects = zip(*moments, strict=True)
        columns: Columns = {
            "kind": kinds,
            "subject_id": subjects,
            "due_at": tuple(moments.values()),
            "attempts": Same(0),
        }
        lite.insert(connection, "timers", encoded_columns(connection, _timers, columns), len(moments), _MOVED)
        return
    rows = [
        {"kind": kind, "subject_id": subject, "due_at": due, "owner": None, "lease_until": None, "attempts": 0}
        for (kind, subject), due in moments.items()
    ]
    bulk.upsert(connection, _timers, rows, ("kind", "subject_id"))


_MOVED = (
    "ON CONFLICT (kind, subject_id) "
    "DO UPDATE SET due_at = excluded.due_at, owner = NULL, lease_until = NULL, attempts = 0"
)


def move(connection: Connection, kind: str, timers: Iterable[tuple[int, datetime]]) -> None:
    """Do what `set_timers` does, where most subjects have a timer already and many of them come to the same moment.

    No subject may come twice.
    """
    alike: dict[datetime, list[int]] = {}
    for subject, due in timers:
        alike.setdefault(due, []).append(subject)
    others: list[tuple[str, int, datetime]] = []
    for due, ids in alike.items():
        if len(ids) < _MANY or not _moved(connection, kind, ids, due):
            others += ((kind, subject, due) for subject in ids)
    set_timers(connection, others)


def _moved(connection: Connection, kind: str, ids: Sequence[int], due: datetime) -> bool:
    """Set the timers of many subjects to one moment; say whether all have one now."""
    if connection.dialect.name == "sqlite":  # whose update of a key takes as long as to delete and insert it twice
        clear(connection, kind, ids)
        columns: Columns = {"kind": Same(kind), "subject_id": ids, "due_at": Same(due), "attempts": Same(0)}
        insert_columns(connection, _timers, len(ids), columns)
        return True
    given = {"the_kind": str(kind), "ids": ids, "moment": due}
    return connection.execute(_MOVING, given).rowcount == len(ids)


def hold(connection: Connection, timers: Sequence[tuple[int, datetime, int]], owner: str, lease_seconds: float) -> None:
    """Set the first timers of new messages, as `owner` claimed them for that long.

    They are given by message id, due time and sender, whose lane spares the trigger a question for each. One attempt is
    counted, as `claim` would. For messages of this very transaction: a timer that is there already is an error.
    """
    if not timers:
        return
    ids, moments, senders = zip(*timers, strict=True)
    until = connection.scalar(_UNTIL, {"seconds": lease_seconds})
    columns: Columns = {
        "due_at": moments,
        "kind": Same(TimerKind.MESSAGE),
        "subject_id": ids,
        "owner": Same(owner),
        "lease_until": Same(until),
        "attempts": Same(1),
    }
    lanes: Columns = {"lane": senders} if connection.dialect.name == "postgresql" else {}
    insert_columns(connection, _timers, len(ids), {**columns, **lanes})


def clear(connection: Connection, kind: str, ids: Sequence[int]) -> None:
    """Remove the timers of subjects that are finished."""
    if ids:
        connection.execute(_CLEARING, {"the_kind": str(kind), "ids": list(ids)})


def claim(
    connection: Connection,
    kind: str,
    owner: str,
    now: datetime,
    limit: int,
    lease_seconds: float,
    *,
    lane: int | None = None,
) -> list[Claimed]:
    """Take up to `limit` due timers of `kind`, earliest first, for `lease_seconds`; nobody else gets them meanwhile.

    An attempt is counted before it is tried, so that what kills its process is found out. With a `lane`, only messages
    of that sender are taken, as `lanes` knows them.
    """
    statement = _claim(connection.dialect.name, lane is not None)
    values = {"claimer": owner, "now": now, "most": limit, "seconds": lease_seconds}
    values |= {"the_kind": str(kind)} if lane is None else {"the_lane": lane}
    claimed = [Claimed(*row) for row in connection.execute(statement, values)]
    return sorted(claimed, key=lambda timer: (timer.due_at, timer.subject_id))


def due(connection: Connection, kind: str, now: datetime, limit: int) -> list[Claimed]:
    """Return up to `limit` due timers of `kind`, earliest first, that are nobody's, until the transaction ends.

    For work that is done in the same transaction and sets or clears every one of them: nobody else could see a claim.
    """
    values = {"the_kind": str(kind), "now": now, "most": limit}
    return list(map(Claimed, *by_columns(connection, _due(connection.dialect.name), values)))


def count_due(connection: Connection, kind: str, now: datetime, most: int) -> int:
    """Return how many timers of `kind` are due and nobody's; it counts no further than `most`."""
    first = sa.select(_timers.c.subject_id).where(_timers.c.kind == str(kind), _timers.c.due_at <= now, free())
    return connection.scalar(sa.select(sa.func.count()).select_from(first.limit(most).subquery())) or 0


def release(connection: Connection, kind: str, ids: Sequence[int], owner: str) -> None:
    """Give claims of `owner` back untried: the attempt does not count."""
    if ids:
        connection.execute(_RELEASING, {"the_kind": str(kind), "ids": list(ids), "claimer": owner})


def postpone(connection: Connection, kind: str, ids: Sequence[int], owner: str, until: datetime) -> None:
    """Give claims of `owner` back, due again at `until`. Their attempts count on."""
    mine = (_timers.c.kind == str(kind), bulk.in_page(_timers.c.subject_id, ids), _timers.c.owner == owner)
    if ids:
        connection.execute(sa.update(_timers).where(*mine).values(owner=None, lease_until=None, due_at=until))


def take(connection: Connection, kind: str, ids: Sequence[int], owner: str, seconds: float) -> None:
    """Hold timers that `due` found in this transaction until `owner` sets or clears them; no attempt is counted."""
    if ids:
        until = connection.scalar(_UNTIL, {"seconds": seconds})  # once, not for every row
        connection.execute(_HOLDING, {"the_kind": str(kind), "ids": list(ids), "claimer": owner, "until": until})


def extend(connection: Connection, kind: str, ids: Sequence[int], owner: str, seconds: float) -> frozenset[int]:
    """Hold claims of `owner` for `seconds` from now. Return the subject ids that are still its own."""
    given = {"the_kind": str(kind), "ids": list(ids), "claimer": owner, "seconds": seconds}
    return frozenset(connection.scalars(_EXTENDING, given) if ids else ())


def due_times(connection: Connection, kind: str, ids: Sequence[int]) -> dict[int, datetime]:
    """Return to which moments the timers of subjects are set, as far as they have one."""
    query = sa.select(_timers.c.subject_id, _timers.c.due_at)
    mine = query.where(_timers.c.kind == str(kind), bulk.in_page(_timers.c.subject_id, ids))
    return {row.subject_id: row.due_at for row in connection.execute(mine)} if ids else {}


def next_due(connection: Connection) -> datetime | None:
    """Return when the next timer that nobody holds comes due."""
    statement = sa.select(_timers.c.due_at).where(free()).order_by(*_timers.primary_key).limit(1)
    due: datetime | None = connection.scalar(statement)
    return due


def lost(connection: Connection) -> list[Lost]:
    """Return everything unfinished that lacks the timer it needs: the proof that nothing is lost is an empty list."""
    statement = sa.union_all(_lost_enrollments(), _lost_messages()).order_by("kind", "subject_id")
    return [Lost(*row) for row in connection.execute(statement)]


def free() -> sa.ColumnElement[bool]:
    """Return the condition that nobody holds a timer."""
    return sa.or_(_timers.c.owner.is_(None), _timers.c.lease_until < database_clock())


def _first(columns: Iterable[sa.Column[Any]], dialect: str, *, in_lane: bool = False) -> sa.Select[Any]:
    # No parameter has the name of a column: SQLAlchemy would set that column.
    # The plus keeps SQLite from reading every timer of the kind, due or not, by the index of (kind, subject_id).
    kind = sa.literal_column("+timers.kind") if dialect == "sqlite" else _timers.c.kind
    which = kind == sa.bindparam("the_kind")
    if in_lane:  # the kind as it stands in the condition of the index
        which = sa.and_(_timers.c.kind == sa.literal_column("'message'"), _timers.c.lane == sa.bindparam("the_lane"))
    return (
        sa.select(*columns)
        .where(which, _timers.c.due_at <= sa.bindparam("now"), free())
        .order_by(_timers.c.due_at, _timers.c.kind, _timers.c.subject_id)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=2)
def _due(dialect: str) -> Any:
    return _first((_timers.c.subject_id, _timers.c.due_at, _timers.c.attempts), dialect)


@lru_cache(maxsize=4)
def _claim(dialect: str, in_lane: bool) -> Any:
    key = tuple(_timers.primary_key)
    due = _first(key, dialect, in_lane=in_lane)
    claiming = sa.update(_timers).values(
        owner=sa.bindparam("claimer"),
        lease_until=database_clock(sa.bindparam("seconds", type_=sa.Float())),
        attempts=_timers.c.attempts + 1,
    )
    if dialect == "postgresql":
        picked = due.cte("picked")
        claiming = claiming.where(*(column == picked.c[column.name] for column in key))
    else:
        claiming = claiming.where(sa.tuple_(*key).in_(due))
    return claiming.returning(_timers.c.subject_id, _timers.c.due_at, _timers.c.attempts)


_OF_KIND = _timers.c.kind == sa.bindparam("the_kind")
_MANY = 8
_MOVING = (
    sa.update(_timers)
    .where(_OF_KIND, bulk.in_given(_timers.c.subject_id))
    .values(due_at=sa.bindparam("moment", type_=_timers.c.due_at.type), owner=None, lease_until=None, attempts=0)
)
_MINE = sa.and_(_OF_KIND, bulk.in_given(_timers.c.subject_id), _timers.c.owner == sa.bindparam("claimer"))
_LATER = database_clock(sa.bindparam("seconds", type_=sa.Float()))
_UNTIL = sa.select(_LATER)
_CLEARING = sa.delete(_timers).where(_OF_KIND, bulk.in_given(_timers.c.subject_id))
_RELEASING = sa.update(_timers).where(_MINE).values(owner=None, lease_until=None, attempts=_timers.c.attempts - 1)
_HOLDING = (
    sa.update(_timers)
    .where(_OF_KIND, bulk.in_given(_timers.c.subject_id))
    .values(owner=sa.bindparam("claimer"), lease_until=sa.bindparam("until", type_=_timers.c.lease_until.type))
)
_EXTENDING = sa.update(_timers).where(_MINE).values(lease_until=_LATER).returning(_timers.c.subject_id)


def _lost_enrollments() -> sa.Select[Any]:
    runs, messages = _enrollments.c, _messages.c
    unfinished_message = sa.exists().where(messages.enrollment_id == runs.id, messages.state.not_in(FINAL_MESSAGES))
    needs_one = sa.or_(
        runs.state.in_((EnrollmentState.PENDING, EnrollmentState.ACTIVE, EnrollmentState.WAITING)),
        sa.and_(runs.state == EnrollmentState.HELD, ~unfinished_message),  # a held run is woken by its message
        sa.and_(runs.state == EnrollmentState.PAUSED, runs.paused_until.is_not(None)),
    )
    return _without_timer(_enrollments, sa.literal(TimerKind.ENROLLMENT.value), needs_one)


def _lost_messages() -> sa.Select[Any]:
    waits_for_rep = _messages.c.state == MessageState.AWAITING_APPROVAL
    kind = sa.case((waits_for_rep, TimerKind.DRAFT.value), else_=TimerKind.MESSAGE.value)
    return _without_timer(_messages, kind, _messages.c.state.not_in(FINAL_MESSAGES))


def _without_timer(subjects: Table, kind: sa.ColumnElement[str], needs_one: sa.ColumnElement[bool]) -> sa.Select[Any]:
    timer = sa.exists().where(_timers.c.kind == kind, _timers.c.subject_id == subjects.c.id)
    return sa.select(kind.label("kind"), subjects.c.id.label("subject_id"), subjects.c.state).where(needs_one, ~timer)
