"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

Key = BigInteger().with_variant(Integer, "sqlite")
"""A primary or foreign key (SQLite numbers rows by INTEGER only)."""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document; Python None is SQL NULL."""


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime: `timestamptz` on PostgreSQL, sortable text without a zone on SQLite.

    Pages read and write many of them, so both ways are one call each, without the layers of a usual decorator.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Refuse naive datetimes; store UTC."""
        return _written if dialect.name == "sqlite" else _aware

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Return aware UTC."""
        return _read if dialect.name == "sqlite" else _aware

    def process_literal_param(self, value: datetime | None, dialect: Dialect) -> str:
        """Write a moment into the text of a statement."""
        moment = _aware(value)
        return "NULL" if moment is None else f"'{_written(moment) if dialect.name == 'sqlite' else moment.isoformat()}'"


def _aware(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError(f"a moment must be aware, not {value!r}")
    return value.astimezone(UTC)


def _written(value: datetime | None) -> str | None:
    moment = _aware(value)
    return None if moment is None else _text(moment)


# A page holds the same few moments over and over (now, a slot): remembering them takes a tenth of the time. Only UTC
# may be remembered: elsewhere the two moments of an hour that comes twice are equal.
@lru_cache(maxsize=2048)
def _text(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")[:26]


@lru_cache(maxsize=2048)
def _read(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value + "+00:00")
