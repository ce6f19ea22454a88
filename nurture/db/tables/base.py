"""What all tables share: the registry, how constraints are named, and what types mean."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Index, MetaData, Table, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.functions import FunctionElement

from nurture.db.types import Json, Key, Moment

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class one_of(FunctionElement[bool]):  # noqa: N801 - reads as the check it is
    """The check that a column holds one of some words."""

    name = "one_of"
    inherit_cache = False

    def __init__(self, column: str, words: Iterable[str]) -> None:
        super().__init__()
        self.column, self.words = column, tuple(words)


@compiles(one_of)
def _in_words(element: one_of, compiler: Any, **_: Any) -> str:
    return f"{element.column} IN ({', '.join(repr(str(word)) for word in element.words)})"


@compiles(one_of, "sqlite")
def _word_by_word(element: one_of, compiler: Any, **_: Any) -> str:
    # For an IN it makes a table of the words, anew for every statement that writes a row, and that takes as long.
    return either(element.column, element.words)


def either(column: str, words: Iterable[str]) -> str:
    """Return the condition that a column holds one of some words, word by word."""
    return " OR ".join(f"{column} = {str(word)!r}" for word in words)


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
