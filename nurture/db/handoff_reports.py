"""Counts for the report of handoffs, each one statement over the tables. Changes nothing.

Every row has the same columns: `name`, how many were opened (or given), accepted, rejected, returned and still open,
how many broke the promise (`late`) or went to somebody else (`passed_on`), and the working minutes until they were
accepted on average (`minutes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Result, Row, Select, and_, func, literal, select

from nurture.core.words import HandoffState
from nurture.db import tables

_H = tables.Handoff.__table__
_A = tables.Assignment.__table__
_G = tables.Ground.__table__
_REP = tables.Rep.__table__

Rows = Sequence[Row[Any]]


def total(connection: Connection, since: datetime, now: datetime) -> Rows:
    """Return one row about all handoffs that were opened since then."""
    return connection.execute(_handoffs(literal("all"), since, now)).fetchall()


def by_rep(connection: Connection, since: datetime, now: datetime) -> Rows:
    """Return a row for each rep about what they were given since then."""
    query = _counted(
        _REP.c.email,
        (_A.c.id, _A.c.ended_why, _late(_A.c.due_at, _A.c.ended_at, now), _A.c.worked_minutes),
        _A.c.ended_at.is_(None),
    )
    others = func.count(_A.c.id).filter(_passed_on(_A)).label("passed_on")
    joined = query.add_columns(others).select_from(_A.join(_REP, _REP.c.id == _A.c.rep_id))
    ordered = joined.where(_A.c.at >= since).group_by(_REP.c.email).order_by(_REP.c.email)
    return connection.execute(ordered).fetchall()


def by_reason(connection: Connection, since: datetime) -> Rows:
    """Return (reason, count) of the rejections since then, the most frequent first."""
    number = func.count().label("number")
    query = select(_H.c.outcome, number).where(_H.c.opened_at >= since, _H.c.state == HandoffState.REJECTED)
    return connection.execute(query.group_by(_H.c.outcome).order_by(number.desc(), _H.c.outcome)).fetchall()


def by_ground(connection: Connection, since: datetime, now: datetime) -> Rows:
    """Return a row for each fit rule and engagement category about those whom it had given points; with its `kind`."""
    query = _handoffs(_G.c.name, since, now).add_columns(_G.c.kind).join(_G, _G.c.handoff_id == _H.c.id)
    return connection.execute(query.group_by(_G.c.kind, _G.c.name).order_by(_G.c.kind.desc(), _G.c.name)).fetchall()


def reasons_by_ground(connection: Connection, since: datetime) -> Rows:
    """Return (kind, name, reason, count) of the rejections since then, by what had given those people points."""
    columns: list[Any] = [_G.c.kind, _G.c.name, _H.c.outcome]
    query = select(*columns, func.count().label("number")).join_from(_G, _H, _H.c.id == _G.c.handoff_id)
    rejected = query.where(_H.c.opened_at >= since, _H.c.state == HandoffState.REJECTED)
    found: Result[Any] = connection.execute(rejected.group_by(*columns).order_by(*columns))
    return found.fetchall()


def _handoffs(name: ColumnElement[Any], since: datetime, now: datetime) -> Select[Any]:
    """Count handoffs: late is one that some rep had for too long, the minutes are those of whoever accepted."""
    accepted = and_(_A.c.handoff_id == _H.c.id, _A.c.ended_why == str(HandoffState.ACCEPTED))
    had = _A.alias("had")
    late = select(had.c.id).where(had.c.handoff_id == _H.c.id, _late(had.c.due_at, had.c.ended_at, now)).exists()
    of = (_H.c.id, _H.c.state, late, _A.c.worked_minutes)
    gone = select(had.c.id).where(had.c.handoff_id == _H.c.id, had.c.rep_id.is_not(None), _passed_on(had)).exists()
    passed_on = func.count(_H.c.id).filter(gone).label("passed_on")
    query = _counted(name, of, _H.c.state == HandoffState.OPEN).add_columns(passed_on)
    return query.select_from(_H.outerjoin(_A, accepted)).where(_H.c.opened_at >= since)


def _counted(
    name: ColumnElement[Any], of: tuple[ColumnElement[Any], ...], still_open: ColumnElement[bool]
) -> Select[Any]:
    key, ended, late, minutes = of
    count = func.count(key)
    columns: list[Any] = [
        name.label("name"),
        count.label("opened"),
        *(count.filter(ended == str(s)).label(s.value) for s in HandoffState if s is not HandoffState.OPEN),
        count.filter(still_open).label("still_open"),
        count.filter(late).label("late"),
        func.avg(minutes).filter(ended == str(HandoffState.ACCEPTED)).label("minutes"),
    ]
    return select(*columns)


def _passed_on(had: FromClause) -> ColumnElement[bool]:
    """Say of an assignment that it ended without an answer of the rep who had it."""
    answers = (*(str(state) for state in HandoffState if state is not HandoffState.OPEN), "left sales")
    return and_(had.c.ended_at.is_not(None), had.c.ended_why.not_in(answers))


def _late(due: ColumnElement[Any], ended: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    return and_(due.is_not(None), func.coalesce(ended, literal(now, type_=_H.c.due_at.type)) > due)
