"""Counts for reports and forecasts, each one statement. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, exists, func, or_, select

from nurture.core.words import MessageState, Scope, TaskState, TimerKind, Voice
from nurture.db import tables
from nurture.db.bulk import in_page

_ADDRESS = tables.Address.__table__
_CHANGE = tables.StageChange.__table__
_CONTACT = tables.Contact.__table__
_EVENT = tables.Event.__table__
_MESSAGE = tables.Message.__table__
_REP = tables.Rep.__table__
_RUN = tables.Enrollment.__table__
_SENDER = tables.Sender.__table__
_STAGE = tables.Stage.__table__
_SUPPRESSION = tables.Suppression.__table__
_TASK = tables.Task.__table__
_TIMER = tables.Timer.__table__

Rows = Sequence[Row[Any]]


def stages(connection: Connection) -> Rows:
    """Return the live stages in order with how many contacts are in each: name, label, voice, contacts."""
    counted = func.count(_CONTACT.c.id).label("contacts")
    here = (_CONTACT.c.stage == _STAGE.c.name) & _CONTACT.c.merged_into.is_(None) & _CONTACT.c.erased_at.is_(None)
    query = select(_STAGE.c.name, _STAGE.c.label, _STAGE.c.voice, counted).outerjoin(_CONTACT, here)
    return connection.execute(query.group_by(*_STAGE.c).order_by(_STAGE.c.position)).fetchall()


def moves(connection: Connection, since: datetime) -> Rows:
    """Return the moves since then: from_stage, to_stage, reason, count. Becoming known is none."""
    query = _counted(_CHANGE, _CHANGE.c.from_stage, _CHANGE.c.to_stage, _CHANGE.c.reason)
    return connection.execute(query.where(_CHANGE.c.at >= since, _CHANGE.c.from_stage.is_not(None))).fetchall()


def messages(connection: Connection) -> Rows:
    """Return how many messages of each voice are in each state: voice, state, count."""
    return connection.execute(_counted(_MESSAGE, _MESSAGE.c.voice, _MESSAGE.c.state)).fetchall()


def sent(connection: Connection, since: datetime) -> Rows:
    """Return how many messages went out since then: voice, count."""
    return connection.execute(_counted(_MESSAGE, _MESSAGE.c.voice).where(_MESSAGE.c.sent_at >= since)).fetchall()


def drafts(connection: Connection) -> Rows:
    """Return the drafts that wait for each rep: rep, count, oldest (the earliest due time)."""
    waiting = (_MESSAGE.c.voice == Voice.PERSONAL) & (_MESSAGE.c.state == MessageState.AWAITING_APPROVAL)
    query = (
        select(_REP.c.email.label("rep"), func.count().label("number"), func.min(_MESSAGE.c.due_at).label("oldest"))
        .join_from(_MESSAGE, _SENDER, _SENDER.c.id == _MESSAGE.c.sender_id)
        .join(_REP, _REP.c.id == _SENDER.c.rep_id)
    )
    return connection.execute(query.where(waiting).group_by(_REP.c.email).order_by(_REP.c.email)).fetchall()


def tasks(connection: Connection, now: datetime) -> Rows:
    """Return the open tasks of each rep: rep (None: nobody's), count, overdue."""
    late = func.count().filter(_TASK.c.due_at < now).label("overdue")
    query = select(_REP.c.email.label("rep"), func.count().label("number"), late)
    joined = query.select_from(_TASK.outerjoin(_REP, _REP.c.id == _TASK.c.rep_id))
    opened = joined.where(_TASK.c.state == TaskState.OPEN)
    return connection.execute(opened.group_by(_REP.c.email).order_by(_REP.c.email)).fetchall()


def events(connection: Connection, kinds: Collection[str], since: datetime) -> Rows:
    """Return how often those kinds of events happened since then: kind, count, contacts."""
    people = func.count(_EVENT.c.contact_id.distinct()).label("contacts")
    query = select(_EVENT.c.kind, func.count().label("number"), people)
    return connection.execute(
        query.where(_EVENT.c.kind.in_(sorted(kinds)), _EVENT.c.at >= since).group_by(_EVENT.c.kind)
    ).fetchall()


def suppressions(connection: Connection) -> Rows:
    """Return the suppressions: scope, reason, count."""
    return connection.execute(_counted(_SUPPRESSION, _SUPPRESSION.c.scope, _SUPPRESSION.c.reason)).fetchall()


def runs(connection: Connection) -> Rows:
    """Return the runs of every sequence: sequence, state, count."""
    return connection.execute(_counted(_RUN, _RUN.c.sequence, _RUN.c.state)).fetchall()


# --- before the first mail --------------------------------------------------------------------------------------------


def runs_due(connection: Connection, until: datetime, after: int, limit: int) -> list[int]:
    """Return the next runs above key `after` whose timer comes due by `until`, in order."""
    query = select(_TIMER.c.subject_id).where(_TIMER.c.kind == TimerKind.ENROLLMENT, _TIMER.c.due_at <= until)
    ordered = query.where(_TIMER.c.subject_id > after).order_by(_TIMER.c.subject_id).limit(limit)
    return list(connection.scalars(ordered))


def contacts_with_mail_due(connection: Connection, until: datetime, voices: Collection[Voice]) -> set[int]:
    """Return the contacts who have a message of those voices that waits for nothing but its time, due by `until`."""
    query = (
        select(_MESSAGE.c.contact_id)
        .distinct()
        .join_from(_MESSAGE, _TIMER, _TIMER.c.subject_id == _MESSAGE.c.id)
        .where(_TIMER.c.kind == TimerKind.MESSAGE, _TIMER.c.due_at <= until)
        .where(_MESSAGE.c.state.not_in((MessageState.AMBIGUOUS, MessageState.DISPATCHING)))
        .where(_MESSAGE.c.voice.in_(voices))
    )
    return set(connection.scalars(query))


def newcomers(connection: Connection, sequence: str, stage_names: Collection[str], voice: Voice) -> set[int]:
    """Return the contacts in those stages, with an address and not suppressed, who were never in the sequence."""
    forbidden = exists().where(
        _SUPPRESSION.c.address_hash == _ADDRESS.c.address_hash,
        or_(_SUPPRESSION.c.scope == Scope.ALL, _SUPPRESSION.c.scope == voice),
    )
    been = exists().where(_RUN.c.contact_id == _CONTACT.c.id, _RUN.c.sequence == sequence)
    query = (
        select(_CONTACT.c.id)
        .join(_ADDRESS, (_ADDRESS.c.contact_id == _CONTACT.c.id) & _ADDRESS.c.is_primary)
        .where(in_page(_CONTACT.c.stage, sorted(stage_names)), ~forbidden, ~been)
        .where(_CONTACT.c.merged_into.is_(None), _CONTACT.c.erased_at.is_(None))
    )
    return set(connection.scalars(query))


def _counted(table: Table, *columns: ColumnElement[Any]) -> Any:
    query = select(*columns, func.count().label("number")).select_from(table)
    return query.group_by(*columns).order_by(*columns)
