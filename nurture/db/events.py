"""Named queries for events: adding a page (duplicates fall out) and reading a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from nurture.core.model import ContactId, Event, EventId
from nurture.db import tables
from nurture.db.alike import Each, insert_alike
from nurture.db.bulk import insert_new, reserve_ids

TABLE = tables.Event.__table__
_C = TABLE.c


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
