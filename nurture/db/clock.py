"""The database's own clock, for leases. Program time never comes from here."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from nurture.db.types import Moment


class database_clock(FunctionElement[Any]):  # noqa: N801 - reads as the SQL function it is
    """The moment at which the statement runs, moved by some seconds (0)."""

    name = "database_clock"
    type = Moment()
    inherit_cache = True

    def __init__(self, seconds: Any = 0.0) -> None:
        shift = seconds if isinstance(seconds, sa.ColumnElement) else sa.literal(float(seconds), sa.Float())
        super().__init__(shift)


@compiles(database_clock, "postgresql")
def _on_postgresql(element: database_clock, compiler: Any, **options: Any) -> str:
    # Not now(): that is when the transaction began.
    shift = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {shift}))"


@compiles(database_clock, "sqlite")
def _on_sqlite(element: database_clock, compiler: Any, **options: Any) -> str:
    # Written as moments are stored, so that they compare as text.
    shift = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({shift}) || ' seconds')"
