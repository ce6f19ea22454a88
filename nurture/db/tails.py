"""Rows of which many end alike: each has a head of its own, and a tail that is made once for all that have the same.

For what is written for every message. SQLite takes them by executemany, PostgreSQL by COPY, in which the text of a tail
is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from nurture.db.values import processor

Values = tuple[Any, ...]
Columns = tuple[str, ...]


def tail(connection: Connection, table: Table, values: Mapping[str, Any]) -> Values:
    """Return the values of the last columns as the driver takes them."""
    encoders = {name: processor(table, name, connection.dialect) for name in values}
    return tuple(
        encode(value) if value is not None and (encode := encoders[name]) else value for name, value in values.items()
    )


def insert(
    connection: Connection,
    table: Table,
    columns: tuple[Columns, Columns],
    heads: Sequence[Values],
    tails: Sequence[Values],
) -> None:
    """Insert a row for each head and the tail beside it; `columns` are those of heads, and those of tails.

    Heads hold whole numbers, and texts as they are stored (JSON is one); tails are what `tail` returned.
    """
    if not heads:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, f'COPY "{table.name}" ({_names(columns[0] + columns[1])}) FROM STDIN', _lines(heads, tails))
        return
    by_place = enumerate(zip(*_different(tails), strict=True))
    places = [place for place, values in by_place if len(set(values)) > 1 or not _is_plain(values[0])]
    _insert(connection, table, columns, heads, tails, places)


def _names(columns: Columns) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _different(tails: Sequence[Values]) -> Iterable[Values]:
    return {id(end): end for end in tails}.values()


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _insert(
    connection: Connection,
    table: Table,
    columns: tuple[Columns, Columns],
    heads: Sequence[Values],
    tails: Sequence[Values],
    places: Sequence[int],
) -> None:
    """Insert with executemany. What stands in all rows stands in the statement: a parameter is read for every row."""
    marks = ["?"] * len(columns[0])
    marks += ["?" if place in places else _literal(value) for place, value in enumerate(tails[0])]
    own = {id(end): tuple(end[place] for place in places) for end in _different(tails)}
    page = [head + own[id(end)] for head, end in zip(heads, tails, strict=True)] if places else heads
    statement = f'INSERT INTO "{table.name}" ({_names(columns[0] + columns[1])}) VALUES ({", ".join(marks)})'  # noqa: S608 - ours
    connection.exec_driver_sql(statement, page)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, int) or (isinstance(value, str) and "\0" not in value)


def _literal(value: object) -> str:
    """Return a value as SQLite reads it in a statement."""
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def _copy(connection: Connection, statement: str, text: str) -> None:
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copying:
            copying.write(text)
    except errors.Error as error:
        raise sa.exc.DBAPIError.instance(statement, None, error, errors.Error, dialect=connection.dialect) from error


def _lines(heads: Sequence[Values], tails: Sequence[Values]) -> str:
    """Return the rows as PostgreSQL's COPY reads them."""
    ends = {id(end): "\t".join(map(_text, end)) + "\n" for end in _different(tails)}
    columns = [list(map(_text, column)) for column in zip(*heads, strict=True)]
    columns.append([ends[id(end)] for end in tails])
    return "".join(map("\t".join, zip(*columns, strict=True)))


def _text(value: object) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, int):
        return str(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPED)


_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
