"""Named queries for events: adding a page (duplicates fall out) and reading a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, bindparam, cast, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from nurture.core.model import ContactId, Event, EventId
from nurture.db import tables
from nurture.db.alike import Each, insert_alike
from nurture.db.bulk import in_given, insert_new, reserve_ids

TABLE = tables.Event.__table__
_C = TABLE.c
_M = tables.Message.__table__.c
_P = tables.Contact.__table__.c


def add(connection: Connection, events: Sequence[Event], now: datetime) -> list[Event]:
    """Insert events and return those that were new, with their keys, in the order given."""
    ids = reserve_ids(connection, TABLE, len(events))
    rows = [
        {
            "id": key,
            "contact_id": event.contact_id,
            "account_id": event.account_id,
            "message_id": event.message_id,
            "kind": event.kind,
            "at": event.at,
            "recorded_at": now,
            "source": event.source,
            "external_id": event.external_id,
            "trust": event.trust,
            "data": dict(event.data),
        }
        for key, event in zip(ids, events, strict=True)
    ]
    new = {key for (key,) in insert_new(connection, TABLE, rows, ["source", "external_id"], ["id"])}
    return [_recorded(event, EventId(key)) for key, event in zip(ids, events, strict=True) if key in new]


def add_alike(
    connection: Connection, event: Event, contact_ids: Sequence[int], named: Sequence[int], now: datetime
) -> None:
    """Insert the same event for each of those contacts; its external id ends with their number in `named`.

    For what cannot have been told before: nothing falls out.
    """
    keys = reserve_ids(connection, TABLE, len(contact_ids))
    row = {
        "id": Each(keys),
        "contact_id": Each(contact_ids),
        "kind": event.kind,
        "at": event.at,
        "recorded_at": now,
        "source": event.source,
        "external_id": Each(named, event.external_id),
        "trust": event.trust,
        "data": dict(event.data),
    }
    insert_alike(connection, TABLE, row)


def add_sent(connection: Connection, message_ids: Sequence[int], now: datetime) -> None:
    """Insert that messages were sent, for contacts that are there, in the order given: the database has all of it.

    What was told before falls out.
    """
    if message_ids:
        connection.execute(_sent(connection.dialect.name), {"ids": list(message_ids), "moment": now})


_TOLD = ("contact_id", "message_id", "kind", "at", "recorded_at", "source", "external_id", "trust", "data")
_SAID = {"template": _M.template, "voice": _M.voice, "step": _M.step_id, "subject": _M.subject}

# OFFSET 0 keeps PostgreSQL from joining with all contacts, whom it takes to be few as long as it has not counted them.
_THERE = (
    select(literal(1))
    .where(_P.id == _M.contact_id, _P.merged_into.is_(None), _P.erased_at.is_(None))
    .offset(0)
    .exists()
)


@lru_cache(maxsize=2)
def _sent(dialect: str) -> Any:
    moment = bindparam("moment", type_=_C.at.type)
    name: ColumnElement[str] = literal("sent:").concat(cast(_M.id, Text))
    told = [_M.contact_id, _M.id, literal("sent"), moment, moment, literal("engine"), name, literal(1.0)]
    data = chain.from_iterable((literal(key), value) for key, value in _SAID.items())
    make, insert = (
        (func.jsonb_build_object, postgresql.insert) if dialect == "postgresql" else (func.json_object, sqlite.insert)
    )
    rows = select(*told, make(*data)).where(in_given(_M.id), _THERE).order_by(_M.id)
    return insert(TABLE).from_select(_TOLD, rows, include_defaults=False).on_conflict_do_nothing()


def _recorded(event: Event, key: EventId) -> Event:
    """Return the event with its key; `replace` takes four times as long."""
    return Event(
        event.kind,
        event.at,
        event.source,
        event.external_id,
        event.contact_id,
        event.account_id,
        event.data,
        event.trust,
        event.message_id,
        key,
    )


def timeline(connection: Connection, contact_id: ContactId, limit: int) -> Sequence[Row[Any]]:
    """Return the latest `limit` events of a contact, newest first."""
    query = select(TABLE).where(_C.contact_id == contact_id).order_by(_C.at.desc(), _C.id.desc()).limit(limit)
    return connection.execute(query).fetchall()
