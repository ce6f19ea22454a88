"""The text of PostgreSQL's COPY, written by columns: what is the same in every row is written once.

psycopg writes a row at a time and finds out anew what each value is, which takes several times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import orjson

from nurture.db.values import Same, listed

NULL = r"\N"


def text(columns: Mapping[str, Sequence[Any] | Same], count: int) -> str | None:
    """Return `count` rows as COPY reads them; None where a value is of a kind that only the driver knows how to write.

    Values are as the driver takes them.
    """
    written: list[Sequence[str] | Same] = []
    for column in columns.values():
        values = [column.value] if isinstance(column, Same) else column
        write = _writer(set(map(type, values)))
        if write is None:
            return None
        texts = list(map(write, values))
        written.append(Same(texts[0]) if isinstance(column, Same) else texts)
    rows = zip(*(listed(column, count) for column in written), strict=False)
    return "\n".join(map("\t".join, rows)) + "\n"


def _writer(kinds: set[type]) -> Callable[[Any], str] | None:
    """Return what writes values of these kinds, None where there is none."""
    optional = type(None) in kinds
    kinds = kinds - {type(None)}
    write = next((write for known, write in _writers() if all(issubclass(kind, known) for kind in kinds)), None)
    return _or_null(write) if write and optional else write


def _or_null(write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: NULL if value is None else write(value)


def _words(value: str) -> str:
    return str(value) if value.isprintable() and "\\" not in value else value.translate(_ESCAPED)


def _moment(value: date) -> str:
    return value.isoformat()


def _bytes(value: bytes) -> str:
    return r"\\x" + value.hex()


def _json(value: Any) -> str:
    return _words(orjson.dumps(value.obj).decode())


_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@lru_cache(maxsize=1)
def _writers() -> tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...]:
    from psycopg.types.json import Json, Jsonb  # where SQLite is used, nobody pays for loading it

    return (((int, float), str), ((str,), _words), ((date,), _moment), ((Json, Jsonb), _json), ((bytes,), _bytes))
