"""How many messages went out on a day, and the meters of rates: counted in the transactions that claim and dispatch.

So no crash forgets one, and workers that claim at the same time share what there is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import date

from sqlalchemy import Connection, func, select, update

from nurture.core.rates import Meter
from nurture.db import tables
from nurture.db.bulk import in_page, insert_new, update_rows

TABLE = tables.SendCount.__table__
_C = TABLE.c
_METERS = tables.Meter.__table__
_M = _METERS.c


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


def lock_meters(connection: Connection, names: Collection[str]) -> dict[str, Meter]:
    """Return meters by name, nobody else's until the transaction ends; one that is new has counted nothing."""
    found = _locked(connection, names)
    if missing := sorted(set(names) - found.keys()):
        insert_new(connection, _METERS, [{"name": name, **asdict(Meter())} for name in missing], ["name"])
        found = _locked(connection, names)
    return found


def save_meters(connection: Connection, meters: Mapping[str, Meter]) -> None:
    """Write meters that are locked."""
    update_rows(connection, _METERS, "name", [{"name": name, **asdict(meter)} for name, meter in meters.items()])


def _locked(connection: Connection, names: Collection[str]) -> dict[str, Meter]:
    query = select(_METERS).where(in_page(_M.name, sorted(names))).order_by(_M.name).with_for_update()
    return {
        row.name: Meter(row.window, row.sent, row.promised, row.last, row.last_promised)
        for row in connection.execute(query)
    }
