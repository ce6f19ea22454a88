"""The values of a page of rows, encoded for the driver: by columns, or as one JSON document.

A page is encoded a column at a time, each through its column's type.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Table

Rows = Sequence[Mapping[str, Any]]
Encoder = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Same:
    """The value of a column that is the same in every row."""

    value: Any


Columns = dict[str, Sequence[Any] | Same]


def document(
    connection: Connection, table: Table, rows: Rows, *, defaults: bool = False
) -> tuple[tuple[str, ...], str]:
    """Return the columns of the page, and it as JSON: objects for PostgreSQL, arrays for SQLite."""
    page = _by_column(table, rows, lambda name: _json_encoder(table, name, connection.dialect), defaults)
    columns = tuple(page)
    values = zip(*(listed(page[name], len(rows)) for name in columns), strict=True)
    if connection.dialect.name == "postgresql":
        return columns, orjson.dumps([dict(zip(columns, row, strict=True)) for row in values]).decode()
    return columns, orjson.dumps(list(values)).decode()


def encoded(connection: Connection, table: Table, rows: Rows, *, defaults: bool = False) -> Columns:
    """Return the page by columns, as the driver takes them; with `defaults`, the columns too that it leaves out.

    A column that is the same in every row is encoded once, and told so. Encoding goes by columns: row by row it took
    three times as long.
    """
    return _by_column(table, rows, lambda name: processor(table, name, connection.dialect), defaults)


def encoded_columns(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any] | Same]) -> Columns:
    """Return columns as the driver takes them, those that turn out to be the same in every row told so."""
    return {
        name: column if isinstance(column, Same) else _column(column, processor(table, name, connection.dialect))
        for name, column in columns.items()
    }


def listed(column: Sequence[Any] | Same, count: int) -> Iterable[Any]:
    """Return the values of a column of `count` rows."""
    return repeat(column.value, count) if isinstance(column, Same) else column


def _by_column(table: Table, rows: Rows, encoder: Callable[[str], Encoder | None], defaults: bool) -> Columns:
    columns = columns_of(rows)
    pick = itemgetter(*columns) if len(columns) > 1 else _only(columns[0])
    try:
        values = list(zip(*map(pick, rows), strict=True))
    except KeyError:
        raise _unequal(rows) from None
    page: Columns = {name: _column(values[place], encoder(name)) for place, name in enumerate(columns)}
    absent = (
        [column for column in table.c if column.default is not None and column.name not in page] if defaults else ()
    )
    return page | {column.name: _column((_default(column),), encoder(column.name)) for column in absent}


def _column(values: Sequence[Any], encode: Encoder | None) -> Sequence[Any] | Same:
    first, count = values[0], len(values)
    if encode is None:
        return Same(_plain(first)) if values.count(first) == count else _listed(values, None)
    # What is equal need not be encoded alike: the two moments of an hour that comes twice, true and one.
    found = _listed(values[:1] if len(set(map(id, values))) == 1 else values, encode)
    return Same(found[0]) if found.count(found[0]) == len(found) else found


def _listed(values: Sequence[Any], encode: Encoder | None) -> Sequence[Any]:
    if encode is not None:
        return [None if value is None else encode(value) for value in values]
    return list(map(_plain, values)) if isinstance(values[0], StrEnum) else values


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
