"""Rows that differ in nothing but a few numbers, made by the database itself: nothing else is sent for each of them.

A page of new contacts leads to thousands of them: the same event, the same stage, the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql


@dataclass(frozen=True, slots=True)
class Each:
    """A column that differs: its numbers, one a row. With `prefix` it is a text that ends with them (`created:7`)."""

    numbers: Sequence[int]
    prefix: str | None = None


Shape = tuple[tuple[str, int | None, bool], ...]
"""For each column which list of numbers it takes (None: it is the same everywhere), and whether a text goes before."""


def insert_alike(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert as many rows as every `Each` among the values has numbers; all other values are the same in every row.

    At most one list of numbers has gaps: the others are keys from `reserve_ids`. Columns that `values` leaves out are
    NULL: the defaults that Python would fill in are not.
    """
    lists = _lists(values)
    if not lists[0]:
        return
    if len(set(map(len, lists))) > 1:
        raise ValueError(f"the columns of {table.name} need equally many values, not {[len(each) for each in lists]}")
    place = {id(numbers): place for place, numbers in enumerate(lists)}
    shape: Shape = tuple(
        (name, place[id(value.numbers)], value.prefix is not None) if isinstance(value, Each) else (name, None, False)
        for name, value in values.items()
    )
    dialect = connection.dialect.name
    statement = _statement(table, shape, len(lists), dialect)
    connection.execute(statement, _constants(values) | _numbers(lists, dialect))


def _lists(values: Mapping[str, Any]) -> list[Sequence[int]]:
    """Return the different lists of numbers, the one with gaps first."""
    lists = {id(value.numbers): value.numbers for value in values.values() if isinstance(value, Each)}
    return sorted(lists.values(), key=lambda numbers: isinstance(numbers, range))


def _constants(values: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value.prefix if isinstance(value, Each) else value for name, value in values.items()}
    bare = {name for name, value in values.items() if isinstance(value, Each) and value.prefix is None}
    # A parameter must not have the name of a column: SQLAlchemy would set that column.
    return {f"same_{name}": value for name, value in given.items() if name not in bare}


def _numbers(lists: Sequence[Sequence[int]], dialect: str) -> dict[str, Any]:
    if dialect == "postgresql":
        return {f"list_{place}": list(numbers) for place, numbers in enumerate(lists)}
    firsts = {f"list_{place}": numbers[0] for place, numbers in enumerate(lists) if place}
    return {"list_0": orjson.dumps(list(lists[0])).decode(), **firsts}


# --- statements, made once per table and shape ------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _statement(table: Table, shape: Shape, lists: int, dialect: str) -> Any:
    numbers = _on_postgresql(lists) if dialect == "postgresql" else _on_sqlite(lists)
    columns: list[sa.ColumnElement[Any]] = []
    for name, place, named in shape:
        type_ = table.c[name].type
        same: sa.ColumnElement[Any] = sa.bindparam(f"same_{name}", type_=sa.Text() if named else type_)
        if dialect == "postgresql" and not named:
            same = sa.cast(same, type_)
        if place is not None:
            same = same.concat(sa.cast(numbers[place], sa.Text())) if named else numbers[place]
        columns.append(same)
    return sa.insert(table).from_select([name for name, _, _ in shape], sa.select(*columns), include_defaults=False)


def _on_sqlite(lists: int) -> list[sa.ColumnElement[Any]]:
    page = sa.func.json_each(sa.bindparam("list_0", type_=sa.Text())).table_valued("key", "value", name="page")
    # SQLite has one writer, which reserves keys without gaps.
    firsts = [sa.bindparam(f"list_{place}", type_=sa.Integer()) for place in range(1, lists)]
    return [page.c.value, *(first + page.c.key for first in firsts)]


def _on_postgresql(lists: int) -> list[sa.ColumnElement[Any]]:
    names = [f"list_{place}" for place in range(lists)]
    arrays = [sa.bindparam(name, type_=postgresql.ARRAY(sa.BigInteger())) for name in names]
    page = sa.func.unnest(*arrays).table_valued(*(sa.column(name, sa.BigInteger()) for name in names))
    return list(page.render_derived("page").c)
