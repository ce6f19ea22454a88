"""How many messages went out on a day: counted in the transaction that dispatches, so that no crash forgets one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection, func, select, update

from nurture.db import tables
from nurture.db.bulk import insert_new

TABLE = tables.SendCount.__table__
_C = TABLE.c


def used(connection: Connection, day: date) -> int:
    """Return how many messages all senders together put out on a day (UTC)."""
    return int(connection.scalar(select(func.coalesce(func.sum(_C.count), 0)).where(_C.day == day)) or 0)


def total(connection: Connection) -> int:
    """Return how many messages ever went out: a number that only a restored database knows less of."""
    return int(connection.scalar(select(func.coalesce(func.sum(_C.count), 0))) or 0)


def count(connection: Connection, day: date, by_sender: Mapping[int, int]) -> None:
    """Add to the counts of a day."""
    rows = [{"day": day, "sender_id": sender, "count": 0} for sender in sorted(by_sender)]
    insert_new(connection, TABLE, rows, ["day", "sender_id"])
    for sender, amount in sorted(by_sender.items()):
        statement = update(TABLE).where(_C.day == day, _C.sender_id == sender)
        connection.execute(statement.values(count=_C.count + amount))
