"""Rows as people read lists: messages and drafts beside their contact, company, run and sender. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select

from nurture.core.words import MessageState, TaskState, Voice
from nurture.db import tables

_MESSAGE = tables.Message.__table__
_CONTACT = tables.Contact.__table__
_ACCOUNT = tables.Account.__table__
_RUN = tables.Enrollment.__table__
_SENDER = tables.Sender.__table__
_REP = tables.Rep.__table__
_CHANGE = tables.StageChange.__table__
_PAUSED = tables.PausedSequence.__table__
_M = _MESSAGE.c


def drafts(connection: Connection, rep_id: int | None) -> Sequence[Row[Any]]:
    """Return the drafts that wait for a rep (None: for any), by due time."""
    query = _messages().where(_M.voice == Voice.PERSONAL, _M.state == MessageState.AWAITING_APPROVAL)
    if rep_id is not None:
        query = query.where(_SENDER.c.rep_id == rep_id)
    return connection.execute(query.order_by(_M.due_at, _M.id)).fetchall()


def unwritten(connection: Connection) -> int:
    """Return how many drafts could not be written yet, because their template lacks a value."""
    held = and_(_M.voice == Voice.PERSONAL, _M.state == MessageState.PLANNED, _M.reason.is_not(None))
    return len(connection.execute(select(_M.id).where(held)).fetchall())


def messages(
    connection: Connection, *, state: MessageState | None, contact_id: int | None, limit: int
) -> Sequence[Row[Any]]:
    """Return messages, the last due first."""
    query = _messages()
    if state is not None:
        query = query.where(_M.state == state)
    if contact_id is not None:
        query = query.where(_M.contact_id == contact_id)
    return connection.execute(query.order_by(_M.due_at.desc(), _M.id.desc()).limit(limit)).fetchall()


def message(connection: Connection, message_id: int) -> Row[Any] | None:
    """Return one message with whom and what it is about."""
    return connection.execute(_messages().where(_M.id == message_id)).one_or_none()


def thread(connection: Connection, enrollment_id: int) -> Sequence[Row[Any]]:
    """Return what was sent in a run, oldest first."""
    query = _messages().where(_M.enrollment_id == enrollment_id, _M.sent_at.is_not(None))
    return connection.execute(query.order_by(_M.sent_at, _M.id)).fetchall()


def stage_changes(connection: Connection, contact_id: int, limit: int) -> Sequence[Row[Any]]:
    """Return the latest moves of a contact with their rules, newest first."""
    query = select(_CHANGE).where(_CHANGE.c.contact_id == contact_id).order_by(_CHANGE.c.at.desc(), _CHANGE.c.id.desc())
    return connection.execute(query.limit(limit)).fetchall()


def paused_sequences(connection: Connection) -> dict[str, str]:
    """Return why each stopped sequence was stopped, by name."""
    return {row.name: row.reason for row in connection.execute(select(_PAUSED.c.name, _PAUSED.c.reason))}


def _messages() -> Select[Any]:
    joined = (
        _MESSAGE.join(_CONTACT, _CONTACT.c.id == _M.contact_id)
        .join(_SENDER, _SENDER.c.id == _M.sender_id)
        .outerjoin(_ACCOUNT, _ACCOUNT.c.id == _CONTACT.c.account_id)
        .outerjoin(_RUN, _RUN.c.id == _M.enrollment_id)
        .outerjoin(_REP, _REP.c.id == _SENDER.c.rep_id)
    )
    return select(
        *_M,
        _CONTACT.c.first_name,
        _CONTACT.c.last_name,
        _CONTACT.c.title,
        _ACCOUNT.c.name.label("company"),
        _RUN.c.sequence,
        _SENDER.c.address.label("from_address"),
        _SENDER.c.rep_id,
        _REP.c.email.label("rep"),
    ).select_from(joined)


def tasks(connection: Connection, rep_id: int | None) -> Sequence[Row[Any]]:
    """Return the open tasks of a rep (None: of all), the most urgent first, each with its contact's address."""
    task, address = tables.Task.__table__, tables.Address.__table__
    columns: list[Any] = [task.c[name] for name in ("id", "kind", "title", "note", "due_at")]
    columns += [address.c.email, _REP.c.email.label("rep")]
    query = (
        select(*columns)
        .join_from(task, _REP, _REP.c.id == task.c.rep_id, isouter=True)
        .outerjoin(address, and_(address.c.contact_id == task.c.contact_id, address.c.is_primary))
        .where(task.c.state == TaskState.OPEN)
    )
    if rep_id is not None:
        query = query.where(task.c.rep_id == rep_id)
    return connection.execute(query.order_by(task.c.due_at.is_(None), task.c.due_at, task.c.id)).fetchall()
