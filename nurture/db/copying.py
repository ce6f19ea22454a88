"""Copying a whole database into another one, of either kind: every table in pages, keys kept, claims forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Table, delete, func, select, text

from nurture.core.words import MessageState
from nurture.db.bulk import insert_rows, update_rows
from nurture.db.tables import Base

PAGE = 1000

_SKIPPED = frozenset({"leases"})
"""What means something to the running processes of one database only."""

_CLAIM = {"owner": None, "lease_until": None}

_LATER: Mapping[str, tuple[str, ...]] = {"contacts": ("merged_into",), "messages": ("approval_id", "state")}
"""Columns that refer to rows which come later: written when all rows are there. The first says whether it refers."""


def clear(connection: Connection) -> None:
    """Empty every table of ours. For a database without contacts: it does not untie what refers to each other."""
    for table in reversed(_in_order()):
        connection.execute(delete(table))


def copy(source: Connection, target: Connection) -> dict[str, int]:
    """Copy every row into the empty tables of `target`, in the callers' transactions; return the counts by table."""
    counts = {}
    for table in _in_order():
        if table.name in _SKIPPED:
            continue
        counts[table.name] = 0
        for page in _pages(source, select(table)):
            insert_rows(target, table, [_first(table, row) for row in page])
            counts[table.name] += len(page)
    for name, columns in _LATER.items():
        _complete(source, target, Base.metadata.tables[name], columns)
    if target.dialect.name == "postgresql":
        _raise_sequences(target)
    return counts


def _in_order() -> list[Table]:
    """Return the tables so that what is referred to comes first; messages before the approvals that bind them."""
    tables = list(Base.metadata.sorted_tables)
    approvals = Base.metadata.tables["approvals"]
    tables.remove(approvals)
    tables.insert(tables.index(Base.metadata.tables["messages"]) + 1, approvals)
    return tables


def _first(table: Table, row: RowMapping) -> dict[str, Any]:
    """Return a row as it is written at first: without what refers to later rows, in a state that allows that."""
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    if table.name == "timers":
        return values | _CLAIM
    if table.name == "messages":
        state = values["state"] if values["approval_id"] is None else MessageState.CANCELLED.value
        return values | {"approval_id": None, "state": state, "owner": None}
    return values | dict.fromkeys(_LATER.get(table.name, ()))


def _complete(source: Connection, target: Connection, table: Table, columns: Sequence[str]) -> None:
    wanted = select(table.c.id, *(table.c[name] for name in columns)).where(table.c[columns[0]].is_not(None))
    for page in _pages(source, wanted):
        update_rows(target, table, "id", [{str(name): value for name, value in row.items()} for row in page])


def _pages(source: Connection, query: Select[Any]) -> Iterator[Sequence[RowMapping]]:
    """Read in the order of the first key columns, with no more than a page in memory."""
    return source.execute(query, execution_options={"yield_per": PAGE}).mappings().partitions()


def _raise_sequences(target: Connection) -> None:
    """Let new keys begin above those that were copied."""
    for table in _in_order():
        if "id" not in table.c:
            continue
        highest = target.scalar(select(func.max(table.c.id)))
        if highest is not None:
            statement = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :highest)")
            target.execute(statement, {"table": table.name, "highest": highest})
