"""Who has work that is due: the kinds of timers, and for messages the senders, each a lane of its own. PostgreSQL only.

Each answer costs a look at the beginning of an index, whatever lies behind it. A trigger gives every new timer of a
message its lane; `assign` does it for those that came another way, such as a copy from SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from nurture.core.words import TimerKind
from nurture.db import tables
from nurture.db.timers import free

_TIMERS = tables.Timer.__table__
_T = _TIMERS.c
_SENDER = tables.Sender.__table__.c
_MESSAGE = tables.Message.__table__.c
_OF_MESSAGE = _T.kind == sa.literal_column("'message'")  # as in the condition of the index


@dataclass(frozen=True, slots=True)
class Due:
    """The kinds of timers that are due and nobody's, and the senders whose messages are."""

    kinds: frozenset[TimerKind]
    lanes: frozenset[int]


def due(connection: Connection, now: datetime) -> Due:
    """Return what is due at `now` and held by nobody."""
    others = [kind for kind in TimerKind if kind is not TimerKind.MESSAGE]
    found = sa.union_all(*(_of_kind(kind, now) for kind in others), _of_senders(now))
    kinds: set[TimerKind] = set()
    lanes: set[int] = set()
    for kind, lane in connection.execute(found).all():
        if lane is None:
            kinds.add(TimerKind(kind))
        else:
            lanes.add(int(lane))
    return Due(frozenset(kinds), frozenset(lanes))


def more(connection: Connection, kind: TimerKind, now: datetime, than: int, lane: int | None = None) -> bool:
    """Tell whether more than that many timers of a kind (in a lane) are due and nobody's."""
    which = _T.kind == kind.value if lane is None else sa.and_(_OF_MESSAGE, _T.lane == lane)
    query = sa.select(_T.subject_id).where(which, _T.due_at <= now, free()).order_by(_T.due_at, _T.subject_id)
    return connection.scalar(query.offset(than).limit(1)) is not None


def assign(connection: Connection) -> int:
    """Give timers of messages that have no lane their sender's, but none that somebody is changing; return how many."""
    without = sa.select(_T.subject_id).where(_OF_MESSAGE, _T.lane.is_(None)).with_for_update(skip_locked=True)
    mine = sa.update(_TIMERS).where(_OF_MESSAGE, _T.subject_id.in_(without), _MESSAGE.id == _T.subject_id)
    return connection.execute(mine.values(lane=_MESSAGE.sender_id)).rowcount


def _of_kind(kind: TimerKind, now: datetime) -> sa.Select[Any, Any]:
    first = sa.select(_T.subject_id).where(_T.kind == kind.value, _T.due_at <= now, free())
    return sa.select(sa.literal(kind.value), sa.cast(sa.null(), sa.BigInteger)).where(
        sa.exists(first.order_by(_T.due_at).limit(1))
    )


def _of_senders(now: datetime) -> sa.Select[Any, Any]:
    # A lateral look per sender, and no join: a plan that read everything due would cost what is due.
    mine = sa.select(sa.true().label("found")).where(_OF_MESSAGE, _T.lane == _SENDER.id, _T.due_at <= now, free())
    first = mine.order_by(_T.due_at, _T.subject_id).limit(1).lateral()
    return sa.select(sa.literal(TimerKind.MESSAGE.value), _SENDER.id).join_from(_SENDER.id.table, first, sa.true())
