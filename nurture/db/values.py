"""The values of a page of rows, encoded for the driver: as one JSON document, or as tuples.

A page is encoded a column at a time, each through its column's type.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Table

Rows = Sequence[Mapping[str, Any]]
Encoder = Callable[[Any], Any]


def document(connection: Connection, table: Table, columns: tuple[str, ...], rows: Rows) -> str:
    """Return the page as JSON: objects for PostgreSQL, arrays for SQLite."""
    dialect = connection.dialect
    page = _encoded(columns, rows, [_json_encoder(table, name, dialect) for name in columns])
    if dialect.name == "postgresql":
        return orjson.dumps([dict(zip(columns, values, strict=True)) for values in page]).decode()
    return orjson.dumps(page).decode()


def _json_encoder(table: Table, name: str, dialect: Dialect) -> Encoder | None:
    """Return what makes a column's value fit for the document (never called with None)."""
    if dialect.name == "postgresql":
        if is_binary(table, name):
            return lambda value: "\\x" + value.hex()
        if isinstance(table.c[name].type, sa.JSON):
            return None  # nested as it is
    elif is_binary(table, name):
        return lambda value: base64.b64encode(value).decode()
    return processor(table, name, dialect)


def tuples(connection: Connection, table: Table, columns: tuple[str, ...], rows: Rows) -> list[tuple[Any, ...]]:
    """Return the page as tuples of what the driver takes."""
    return _encoded(columns, rows, [processor(table, name, connection.dialect) for name in columns])


def _encoded(columns: tuple[str, ...], rows: Rows, encoders: Sequence[Encoder | None]) -> list[tuple[Any, ...]]:
    """Return the page as tuples, encoded a column at a time: row by row took three times as long."""
    pick = itemgetter(*columns) if len(columns) > 1 else _only(columns[0])
    try:
        page: list[Any] = list(zip(*map(pick, rows), strict=True))
    except KeyError:
        raise _unequal(rows) from None
    for place, encode in enumerate(encoders):
        if encode is not None:
            page[place] = [None if value is None else encode(value) for value in page[place]]
        elif isinstance(page[place][0], StrEnum):
            page[place] = list(map(_plain, page[place]))
    return list(zip(*page, strict=True))


def _only(column: str) -> Encoder:
    return lambda row: (row[column],)


def _plain(value: Any) -> Any:
    """Return a word of an enumeration as the text that it is: the driver takes long to find that out."""
    return str.__str__(value) if isinstance(value, StrEnum) else value


def processor(table: Table, name: str, dialect: Dialect) -> Encoder | None:
    """Return what makes a column's value fit for the driver, None where it is as it is."""
    return table.c[name].type.dialect_impl(dialect).bind_processor(dialect)


def is_binary(table: Table, name: str) -> bool:
    """Tell whether a column holds bytes."""
    return isinstance(table.c[name].type, sa.LargeBinary)


def with_defaults(table: Table, rows: Rows) -> tuple[tuple[str, ...], Rows]:
    """Return the rows, and their columns, with the defaults of the columns that they leave out."""
    columns = columns_of(rows)
    absent = [column for column in table.c if column.default is not None and column.name not in rows[0]]
    if not absent:
        return columns, rows
    filled = [{**row, **{column.name: _default(column) for column in absent}} for row in rows]
    return columns + tuple(column.name for column in absent), filled


def _default(column: sa.Column[Any]) -> Any:
    default: Any = column.default
    return default.arg(None) if default.is_callable else default.arg


def columns_of(rows: Rows) -> tuple[str, ...]:
    """Return the keys of the first row. The others have as many; that they have the same, encoding finds out."""
    if len(set(map(len, rows))) > 1:
        raise _unequal(rows)
    return tuple(rows[0])


def _unequal(rows: Rows) -> ValueError:
    first = rows[0].keys()
    other = next(row for row in rows if row.keys() != first)
    return ValueError(f"rows of one page need the same keys: {sorted(first)}, not {sorted(other.keys())}")
