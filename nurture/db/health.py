"""Questions about the whole installation: what is late, what hangs, what waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from nurture.core.words import MessageState, TimerKind
from nurture.db import tables
from nurture.db.clock import database_clock

_TIMER = tables.Timer.__table__.c
_MESSAGE = tables.Message.__table__.c
_EVENT = tables.Event.__table__.c
_SENDER = tables.Sender.__table__.c


@dataclass(frozen=True, slots=True)
class Late:
    """Timers of one kind that were due: how many, since when, and how many of them a process holds."""

    kind: str
    count: int
    since: datetime
    held: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Messages of a sender of which nobody knows whether they were sent: how many, and since when the oldest is so."""

    sender: str
    count: int
    since: datetime | None


def late(connection: Connection, before: datetime) -> list[Late]:
    """Return what was due before a moment and still is, by kind."""
    held = func.count().filter(_TIMER.owner.is_not(None), _TIMER.lease_until >= database_clock())
    query = select(_TIMER.kind, func.count(), func.min(_TIMER.due_at), held).where(_TIMER.due_at < before)
    return [Late(*row) for row in connection.execute(query.group_by(_TIMER.kind).order_by(_TIMER.kind))]


def tried(connection: Connection, times: int) -> list[tuple[str, int, int]]:
    """Return kind, subject and attempts of what was claimed at least that often without coming to an end."""
    query = select(_TIMER.kind, _TIMER.subject_id, _TIMER.attempts).where(_TIMER.attempts >= times)
    return [(row.kind, row.subject_id, row.attempts) for row in connection.execute(query.limit(100))]


def ambiguous(connection: Connection) -> list[Unknown]:
    """Return of each sender how many of its messages nobody knows about, and since when the oldest is so."""
    query = (
        select(_SENDER.name, func.count(), func.min(_MESSAGE.dispatching_at))
        .where(_MESSAGE.state == MessageState.AMBIGUOUS, _SENDER.id == _MESSAGE.sender_id)
        .group_by(_SENDER.name)
    )
    return [Unknown(*row) for row in connection.execute(query.order_by(_SENDER.name))]


def in_flight(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many messages a process has claimed or is sending, and when the last of its leases runs out."""
    busy = (MessageState.CLAIMED, MessageState.DISPATCHING)
    held = select(func.count(), func.max(_TIMER.lease_until)).where(
        _TIMER.kind == TimerKind.MESSAGE, _TIMER.subject_id == _MESSAGE.id, _MESSAGE.state.in_(busy)
    )
    count, until = connection.execute(held).one()
    return count, until


def clock(connection: Connection) -> datetime:
    """Return what time it is for the database."""
    moment: datetime = connection.scalar(select(database_clock()))
    return moment


def last_recorded(connection: Connection) -> datetime | None:
    """Return the moment at which the newest event was recorded."""
    newest = select(_EVENT.recorded_at).order_by(_EVENT.id.desc()).limit(1)
    moment: datetime | None = connection.scalar(newest)
    return moment
