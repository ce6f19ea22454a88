"""A page read by columns: what makes values of the core out of them needs no row objects, which took as long again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select

from nurture.db.values import Encoder


def by_columns(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """Return the result of a statement, which is kept for ever, as its columns, decoded as in a row."""
    with connection.execute(statement, parameters) as result:
        cursor: Any = result.cursor
        rows = cursor.fetchall()
    decoders = _decoders(statement, connection.dialect)
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(decoders)
    for place, decode in enumerate(decoders):
        if decode is not None and rows:
            columns[place] = _decoded(columns[place], decode)
    return columns


def _decoded(column: Sequence[Any], decode: Encoder) -> Sequence[Any]:
    """Decode a column; what is the same in every row only once, so that a document is shared by all: for reading."""
    if column.count(column[0]) == len(column):
        return [None if column[0] is None else decode(column[0])] * len(column)
    return list(map(decode, column))


@lru_cache(maxsize=64)
def _decoders(statement: Select[Any], dialect: Dialect) -> tuple[Encoder | None, ...]:
    types = (column.type.dialect_impl(dialect) for column in statement.selected_columns)
    return tuple(kind.result_processor(dialect, None) for kind in types)
