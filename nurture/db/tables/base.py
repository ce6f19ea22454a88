"""What all tables share: the registry, how constraints are named, and what types mean."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Index, MetaData, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from nurture.db.types import Json, Key, Moment

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def one_of(column: str, words: Iterable[str]) -> str:
    """Return the check that a column holds one of some words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


def where_known(name: str, *columns: str) -> Index:
    """Return an index of the rows that have a value in the first of those columns: where few have one, others are free.

    A search for a value needs no more than that.
    """
    known = text(f"{columns[0]} IS NOT NULL")
    return Index(name, *columns, sqlite_where=known, postgresql_where=known)


class Base(DeclarativeBase):
    """The registry of all tables; enumerations are stored as strings, moments as UTC."""

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Moment, dict[str, Any]: Json, list[str]: Json}


def key() -> Mapped[int]:
    """Return a primary key."""
    return mapped_column(Key, primary_key=True)
