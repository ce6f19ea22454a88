"""Inserting many rows that come column by column, as fast as each driver can: few statements, or COPY.

For pages of thousands, where a dictionary a row would cost more than writing it. `bulk.insert_rows` is for all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from nurture.db import copytext, lite
from nurture.db.values import Same, listed, processor

Columns = Mapping[str, Sequence[Any] | Same]


def insert_columns(connection: Connection, table: Table, count: int, columns: Columns) -> None:
    """Insert `count` rows, given by columns of that length. Columns that are left out are NULL, whatever their default.

    Raises ValueError where a column has another length.
    """
    if not count:
        return
    page = {name: _encoded(connection, table, name, column, count) for name, column in columns.items()}
    if connection.dialect.name == "postgresql":
        copy_columns(connection, table, count, page)
        return
    lite.insert(connection, table.name, page, count)


def copy_columns(connection: Connection, table: Table, count: int, columns: Columns) -> None:
    """Insert rows, as the driver takes them, with PostgreSQL's COPY: the server does half as much as for an INSERT."""
    statement = _copying(table, tuple(columns))
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    text = copytext.text(columns, count)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copying:
            if text is not None:
                copying.write(text)
                return
            for row in zip(*(listed(column, count) for column in columns.values()), strict=False):
                copying.write_row(row)
    except errors.Error as error:
        raise sa.exc.DBAPIError.instance(statement, None, error, errors.Error, dialect=connection.dialect) from error


def _encoded(
    connection: Connection, table: Table, name: str, column: Sequence[Any] | Same, count: int
) -> Sequence[Any] | Same:
    encode = processor(table, name, connection.dialect)
    if isinstance(column, Same):
        value = column.value.value if isinstance(column.value, StrEnum) else column.value
        return Same(encode(value) if encode and value is not None else value)
    if len(column) != count:
        raise ValueError(f"{name} has {len(column)} values for {count} rows")
    return [None if value is None else encode(value) for value in column] if encode else column


@lru_cache(maxsize=64)
def _copying(table: Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f'COPY "{table.name}" ({names}) FROM STDIN'
