"""Named queries for messages: planning them, reading them, writing what became of them. Going out is `dispatching`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from nurture.core.words import MessageState
from nurture.db import tables
from nurture.db.bulk import in_given, in_page, insert_new, reserve_ids, update_rows

TABLE = tables.Message.__table__
M = TABLE.c


def plan(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Insert planned messages and return the keys of those whose origin was new, by origin."""
    if not rows:
        return {}
    keys = reserve_ids(connection, TABLE, len(rows))
    keyed = [{"id": key, **row} for key, row in zip(keys, rows, strict=True)]
    return dict(insert_new(connection, TABLE, keyed, ["origin_key"], ["origin_key", "id"]))


def known(connection: Connection, origins: Collection[str]) -> set[str]:
    """Return those of the origins of which there are messages."""
    return set(connection.scalars(_KNOWN, {"ids": list(origins)})) if origins else set()


def by_ids(connection: Connection, ids: Collection[int]) -> list[Row[Any]]:
    """Return message rows by key."""
    return list(connection.execute(_BY_IDS, {"ids": list(ids)}).fetchall())


def locked(connection: Connection, ids: Collection[int]) -> list[Row[Any]]:
    """Return message rows by key, nobody else's to change until the transaction ends; lock their contacts first."""
    return list(connection.execute(_BY_IDS.with_for_update(), {"ids": list(ids)}).fetchall())


def contacts_of(connection: Connection, ids: Collection[int]) -> set[int]:
    """Return the contacts to whom those messages go: who is locked before anything is read that could change."""
    return set(connection.scalars(_CONTACTS_OF, {"ids": list(ids)}))


_KNOWN = select(M.origin_key).where(in_given(M.origin_key))
_BY_IDS = select(TABLE).where(in_given(M.id)).order_by(M.id)
_CONTACTS_OF = select(M.contact_id).where(in_given(M.id))


BRIEFLY: tuple[ColumnElement[Any], ...] = (
    M.id,
    M.contact_id,
    M.enrollment_id,
    M.step_id,
    M.voice,
    M.sender_id,
    M.template,
    M.state,
    M.subject,
    M.attempts,
    M.dispatching_at,
    M.owner,
)


def briefly(connection: Connection, ids: Collection[int]) -> list[Row[Any]]:
    """Return what settling reads of messages, by key: no bodies."""
    return list(connection.execute(_BRIEF_ROWS, {"ids": list(ids)}).all())


_BRIEF_ROWS = select(*BRIEFLY).where(in_given(M.id)).order_by(M.id)


def save(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Write changes of messages by `id`; every row has the same columns."""
    update_rows(connection, TABLE, "id", [{**row, "updated_at": now} for row in rows])


def thread_of(connection: Connection, enrollment_ids: Collection[int]) -> dict[int, list[Any]]:
    """Return the sent messages of each run, oldest first: what a follow-up answers."""
    if not enrollment_ids:
        return {}
    query = (
        select(M.id, M.enrollment_id, M.message_id_header, M.wire_id, M.subject, M.thread_references, M.sender_id)
        .where(in_page(M.enrollment_id, enrollment_ids), M.sent_at.is_not(None))
        .order_by(M.sent_at, M.id)
    )
    threads: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        threads.setdefault(row.enrollment_id, []).append(row)
    return threads


def count_by_state(connection: Connection) -> dict[str, int]:
    """Return how many messages are in each state."""
    return {row[0]: row[1] for row in connection.execute(select(M.state, func.count()).group_by(M.state))}


def count_in(connection: Connection, state: MessageState) -> int:
    """Return how many messages are in one state, without looking at the others."""
    return connection.scalar(select(func.count()).where(M.state == state)) or 0


def ambiguous(connection: Connection, sender_id: int | None) -> list[int]:
    """Return the messages nobody knows about by key, of one sender or (None) of all."""
    query = select(M.id).where(M.state == MessageState.AMBIGUOUS).order_by(M.id)
    return list(connection.scalars(query if sender_id is None else query.where(M.sender_id == sender_id)))


def states_of(connection: Connection, origin_keys: Sequence[str]) -> dict[str, tuple[MessageState, datetime]]:
    """Return state and last moment (sent, or last change) of the messages with those origins."""
    query = select(M.origin_key, M.state, func.coalesce(M.sent_at, M.updated_at, type_=M.updated_at.type).label("at"))
    rows = connection.execute(query.where(M.origin_key.in_(origin_keys)))
    return {row.origin_key: (MessageState(row.state), row.at) for row in rows}
