"""A page of rows in one statement, whatever its size, on SQLite and PostgreSQL alike.

A page travels as one JSON document, so that neither the number of parameters nor the text of the statement depends on
the number of rows; where nothing has to come back, `lite` is several times as fast on SQLite, and COPY on PostgreSQL.
Values pass through their column's type, as they would in any other statement. The rows of a page all have the same
keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from nurture.db import lite
from nurture.db.columns import copy_columns
from nurture.db.tables import Base
from nurture.db.values import Rows, document, encoded, is_binary

AnyTable = Table | type[Base]

_RESERVED = "nurture_reserved"


def reserve_ids(connection: Connection, table: AnyTable, count: int) -> Sequence[int]:
    """Return `count` ascending ids of `table` that nobody else will get. Call it in the transaction that inserts."""
    if not count:
        return ()
    table = _table(table)
    if connection.dialect.name == "postgresql":
        sequence = sa.select(sa.func.nextval(f"{table.name}_id_seq")).select_from(sa.func.generate_series(1, count))
        return tuple(connection.scalars(sequence))
    # The write lock makes the highest id ours; what this connection has given out already counts too.
    given: dict[str, int] = connection.info.setdefault(_RESERVED, {})
    highest = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    start = max(highest, given.get(table.name, 0)) + 1
    given[table.name] = start + count - 1
    return range(start, start + count)


def insert_rows(connection: Connection, table: AnyTable, rows: Rows) -> None:
    """Insert `rows`; columns that they leave out take their defaults."""
    if not rows:
        return
    table = _table(table)
    page = encoded(connection, table, rows, defaults=True)
    if connection.dialect.name == "postgresql":
        copy_columns(connection, table, len(rows), page)
    else:
        lite.insert(connection, table.name, page, len(rows))


def insert_new(
    connection: Connection,
    table: AnyTable,
    rows: Rows,
    conflict_columns: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert the rows that are new; return the `returning` columns of those, in no order.

    A row is not new when it meets another (in the table or earlier in the page) in `conflict_columns`; without them,
    in any unique constraint.
    """
    if not rows:
        return []
    table = _table(table)
    if connection.dialect.name == "sqlite" and _have_own_keys(rows[0], conflict_columns, returning):
        return _insert_keyed(connection, table, rows, conflict_columns, returning)
    columns, page = document(connection, table, rows, defaults=True)
    statement = _insert_new(table, columns, tuple(conflict_columns), tuple(returning), connection.dialect.name)
    return list(map(tuple, _run(connection, statement, page, bool(returning))))


def upsert(
    connection: Connection,
    table: AnyTable,
    rows: Rows,
    conflict_columns: Sequence[str],
    update_columns: Sequence[str] | None = None,
    returning: Sequence[str] = (),
) -> list[Row[Any]]:
    """Insert `rows`; where one meets another in `conflict_columns`, update `update_columns` (all others it has).

    Of rows that meet within the page, the last wins. Returns the `returning` columns of every row, in no order.
    """
    if not rows:
        return []
    table = _table(table)
    changed = tuple(name for name in rows[0] if name not in conflict_columns)
    changed = changed if update_columns is None else tuple(update_columns)
    same = itemgetter(*conflict_columns)
    rows = list({same(row): row for row in rows}.values())
    dialect = connection.dialect.name
    if dialect == "sqlite" and not returning:
        page = encoded(connection, table, rows, defaults=True)
        sets = ", ".join(f'"{name}" = excluded."{name}"' for name in changed or conflict_columns[:1])
        on_conflict = f"ON CONFLICT ({_names(conflict_columns)}) DO UPDATE SET {sets}"
        lite.insert(connection, table.name, page, len(rows), on_conflict)
        return []
    columns, text = document(connection, table, rows, defaults=True)
    statement = _upsert(table, columns, tuple(conflict_columns), changed, tuple(returning), dialect)
    return _run(connection, statement, text, bool(returning))


def update_rows(connection: Connection, table: AnyTable, key: str | Sequence[str], rows: Rows) -> int:
    """Set the other columns of each row where its `key` columns match. Return how many rows were there to change."""
    if not rows:
        return 0
    table = _table(table)
    keys = (key,) if isinstance(key, str) else tuple(key)
    if connection.dialect.name == "postgresql":
        columns, page = document(connection, table, rows)
        return connection.execute(_update(table, columns, keys), {"page": page}).rowcount
    return lite.update(connection, table.name, keys, encoded(connection, table, rows), len(rows))


def page_columns(table: AnyTable, columns: Sequence[str], dialect: str) -> dict[str, sa.ColumnElement[Any]]:
    """Return a page's columns for a statement of one's own; it runs with the parameters of `page_parameters`."""
    page = _page_on_postgresql if dialect == "postgresql" else _page_on_sqlite
    return dict(zip(columns, page(_table(table), tuple(columns)), strict=True))


def page_parameters(connection: Connection, table: AnyTable, rows: Rows) -> dict[str, str]:
    """Return the rows as parameters of a statement over `page_columns`, whose columns are the keys of the rows."""
    return {"page": document(connection, _table(table), rows)[1]}


def in_page(column: Any, ids: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that `column` is one of `ids`, as one parameter of any length."""
    return _InPage(column, sa.bindparam(None, list(ids), type_=_Page(_type_of(column)), unique=True))


def in_given(column: Any, name: str = "ids") -> sa.ColumnElement[bool]:
    """Return the condition that `column` is one of the list that a statement is given as `ids`, or as `name`.

    For statements that are made once: making one takes as long as running it for a few rows, and keeps its list alive
    until Python looks for cycles.
    """
    return _InPage(column, sa.bindparam(name, type_=_Page(_type_of(column))))


class _InPage(FunctionElement[bool]):
    """`column = ANY(page)`."""

    name = "in_page"
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _InPage:
        """Stand as it is: as `(…) = 1`, SQLAlchemy's way without booleans, SQLite would read the whole table."""
        return self


@compiles(_InPage, "postgresql")
def _any_of_array(element: _InPage, compiler: Any, **options: Any) -> str:
    column, page = element.clauses
    return f"({compiler.process(column, **options)} = ANY ({compiler.process(page, **options)}))"


@compiles(_InPage, "sqlite")
def _in_json_each(element: _InPage, compiler: Any, **options: Any) -> str:
    column, page = element.clauses
    left, right = compiler.process(column, **options), compiler.process(page, **options)
    return f"({left} IN (SELECT value FROM json_each({right})))"  # noqa: S608 - compiled SQL with a bound parameter


class _Page(TypeDecorator[Any]):
    """A list of values of one type: an array on PostgreSQL, a JSON document on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.ARRAY(self.item))
        return dialect.type_descriptor(sa.Text())

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Write numbers and words as PostgreSQL reads arrays: its driver takes five times as long."""
        if dialect.name == "postgresql" and isinstance(self.item, (sa.Integer, sa.String)):
            return array
        return super().bind_processor(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return value
        encode = self.item.dialect_impl(dialect).bind_processor(dialect)
        return orjson.dumps([encode(item) for item in value] if encode else value).decode()


def array(values: Sequence[Any]) -> str:
    """Return an array of whole numbers, or of texts, as PostgreSQL reads it."""
    words = ["NULL" if value is None else _quoted(value) if isinstance(value, str) else str(value) for value in values]
    return "{" + ",".join(words) + "}"


def _quoted(word: str) -> str:
    if "\\" in word or '"' in word:
        word = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"'


def _type_of(column: Any) -> TypeEngine[Any]:
    return cast("TypeEngine[Any]", column.type)


# --- statements, made once per table and set of columns ---------------------------------------------------------------


def _insert_into(table: Table, columns: tuple[str, ...], dialect: str) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    page = _page_on_postgresql(table, columns) if dialect == "postgresql" else _page_on_sqlite(table, columns)
    # SQLite takes ON CONFLICT after a SELECT only where a WHERE stands between them.
    return insert(table).from_select(columns, sa.select(*page).where(sa.true()), include_defaults=False)


@lru_cache(maxsize=256)
def _insert_new(
    table: Table, columns: tuple[str, ...], conflict: tuple[str, ...], returning: tuple[str, ...], dialect: str
) -> Any:
    statement = _insert_into(table, columns, dialect).on_conflict_do_nothing(index_elements=conflict or None)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


@lru_cache(maxsize=256)
def _upsert(
    table: Table,
    columns: tuple[str, ...],
    conflict: tuple[str, ...],
    changed: tuple[str, ...],
    returning: tuple[str, ...],
    dialect: str,
) -> Any:
    statement = _insert_into(table, columns, dialect)
    values = {name: statement.excluded[name] for name in changed or conflict[:1]}
    statement = statement.on_conflict_do_update(index_elements=conflict, set_=values)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


@lru_cache(maxsize=256)
def _update(table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> Any:
    page = dict(zip(columns, _page_on_postgresql(table, columns), strict=True))
    where = [table.c[name] == page[name] for name in keys]
    return sa.update(table).where(*where).values({name: page[name] for name in columns if name not in keys})


def _page_on_postgresql(table: Table, columns: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    document = sa.cast(sa.bindparam("page", type_=sa.Text()), postgresql.JSONB)
    shape = [sa.column(name, table.c[name].type) for name in columns]
    page = sa.func.jsonb_to_recordset(document).table_valued(*shape).render_derived("page", with_types=True)
    return [page.c[name] for name in columns]


def _page_on_sqlite(table: Table, columns: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    page = sa.func.json_each(sa.bindparam("page", type_=sa.Text())).table_valued("value", name="page")
    values: list[sa.ColumnElement[Any]] = []
    for place, name in enumerate(columns):
        value: sa.ColumnElement[Any] = sa.func.json_extract(page.c.value, sa.literal_column(f"'$[{place}]'"))
        values.append(sa.func.unbase64(value) if is_binary(table, name) else value)
    return values


# --- rows with keys of their own, on SQLite ---------------------------------------------------------------------------


def _have_own_keys(row: Mapping[str, Any], conflict: Sequence[str], returning: Sequence[str]) -> bool:
    """Say whether reserved ids tell which rows of a page were new, and everything that is asked for is known."""
    return bool(conflict) and "id" in row and "id" not in conflict and row.keys() >= set(returning)


def _insert_keyed(
    connection: Connection, table: Table, rows: Rows, conflict: Sequence[str], returning: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Insert without RETURNING, which is twice as fast; where some were there, read back which."""
    page = encoded(connection, table, rows, defaults=True)
    count = lite.insert(connection, table.name, page, len(rows), f"ON CONFLICT ({_names(conflict)}) DO NOTHING")
    if not returning:
        return []
    if count == len(rows):
        return [tuple(row[name] for name in returning) for row in rows]
    mine = in_page(table.c.id, [row["id"] for row in rows])
    return list(map(tuple, connection.execute(sa.select(*(table.c[name] for name in returning)).where(mine)).all()))


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _run(connection: Connection, statement: Any, document: str, returns: bool) -> list[Row[Any]]:
    result = connection.execute(statement, {"page": document})
    return list(result) if returns else []


def _table(table: AnyTable) -> Table:
    return table if isinstance(table, Table) else table.__table__
