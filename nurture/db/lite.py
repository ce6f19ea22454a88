"""How SQLite writes a page: a hundred rows in one statement, and once what is the same in all of them.

A statement of its own for every row takes longer to begin and to end than most rows take to write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from nurture.db.values import Same, listed

_MOST = 100
"""How many rows a statement takes: with more it gets no faster. The rest of a page has a statement of its own."""

Columns = Mapping[str, Sequence[Any] | Same]
"""Values as the driver takes them."""


def insert(connection: Connection, table: str, columns: Columns, count: int, on_conflict: str = "") -> int:
    """Insert `count` rows, in their order; return how many were inserted or changed."""
    same = _same(columns)
    differing = tuple(name for name in columns if name not in same)
    return sum(
        _run(connection, _inserting(table, tuple(same), differing, size, on_conflict), page)
        for size, page in _pages(columns, differing, same, count)
    )


def update(connection: Connection, table: str, keys: Sequence[str], columns: Columns, count: int) -> int:
    """Set the columns that are no `keys` where the keys match; return how many rows were there to change."""
    same = {name: value for name, value in _same(columns).items() if name not in keys}
    differing = tuple(name for name in columns if name not in keys and name not in same)
    return sum(
        _run(connection, _updating(table, tuple(keys), tuple(same), differing, size), page)
        for size, page in _pages(columns, (*differing, *keys), same, count)
    )


def _run(connection: Connection, statement: str, page: list[tuple[Any, ...]]) -> int:
    """Run a statement with the driver itself; return how many rows it wrote."""
    driver: Any = connection.connection.driver_connection
    try:
        written: int = driver.executemany(statement, page).rowcount
    except sqlite3.Error as error:
        dialect = connection.dialect
        raise sa.exc.DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=dialect) from error
    return written


def _same(columns: Columns) -> dict[str, Any]:
    return {name: column.value for name, column in columns.items() if isinstance(column, Same)}


def _pages(
    columns: Columns, differing: Sequence[str], same: Mapping[str, Any], count: int
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """Cut the rows into statements of one size, and a last one; yield a size and the parameters of its statements."""
    first = tuple(same.values())
    rows = list(zip(*(listed(columns[name], count) for name in differing), strict=True)) or [()] * count
    most = _MOST if differing else 1
    whole = count - count % most
    if whole:
        yield most, [(*first, *chain.from_iterable(rows[at : at + most])) for at in range(0, whole, most)]
    if whole < count:
        yield count - whole, [(*first, *chain.from_iterable(rows[whole:]))]


@lru_cache(maxsize=256)
def _inserting(table: str, same: tuple[str, ...], differing: tuple[str, ...], size: int, on_conflict: str) -> str:
    names = ", ".join(f'"{name}"' for name in (*same, *differing))
    rows = f"VALUES ({', '.join('?' * (len(same) + len(differing)))})"
    if size > 1:
        taken = ", ".join((*("?" * len(same)), *_places(differing).values()))
        # SQLite takes ON CONFLICT after a SELECT only where a WHERE stands between them.
        rows = f"SELECT {taken} FROM ({_values(differing, size)}) WHERE true"  # noqa: S608 - nothing but places
    return f'INSERT INTO "{table}" ({names}) {rows} {on_conflict}'


@lru_cache(maxsize=256)
def _updating(table: str, keys: tuple[str, ...], same: tuple[str, ...], differing: tuple[str, ...], size: int) -> str:
    places = _places((*differing, *keys)) if size > 1 else {}
    values = [f'"{name}" = {places.get(name, "?")}' for name in (*same, *differing)]
    where = [f'"{table}"."{name}" = {places.get(name, "?")}' for name in keys]
    page = f" FROM ({_values((*differing, *keys), size)})" if size > 1 else ""
    return f'UPDATE "{table}" SET {", ".join(values)}{page} WHERE {" AND ".join(where)}'  # noqa: S608 - names of our own


def _places(columns: Sequence[str]) -> dict[str, str]:
    """Return what SQLite calls the columns of VALUES."""
    return {name: f"column{number}" for number, name in enumerate(columns, 1)}


def _values(columns: Sequence[str], size: int) -> str:
    marks = f"({', '.join('?' * len(columns))})"
    return f"VALUES {', '.join([marks] * size)}"
