"""What SQLite and PostgreSQL write differently about texts: letters of any case, parts of texts, order by code point.

SQLite calls the functions of our own that `db.session` gives it; PostgreSQL is given letters and patterns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from nurture.core.comparing import fold

Term = sa.ColumnElement[Any]


class Fold(FunctionElement[str]):
    """A text as `core.comparing.fold` returns it."""

    name = "fold"
    type = sa.Text()
    inherit_cache = True


@compiles(Fold, "sqlite")
def _fold_on_sqlite(element: Fold, compiler: Any, **options: Any) -> str:
    return f"nurture_fold({compiler.process(element.clauses, **options)})"


@compiles(Fold, "postgresql")
def _fold_on_postgresql(element: Fold, compiler: Any, **options: Any) -> str:
    (text,) = element.clauses
    lowered = sa.func.lower(sa.collate(text, "C"))
    upper, lower = _letters()
    mapped = sa.func.translate(lowered, sa.literal_column(f"'{upper}'"), sa.literal_column(f"'{lower}'"))
    is_ascii = sa.func.octet_length(text) == sa.func.length(text)
    return f"({compiler.process(sa.case((is_ascii, lowered), else_=mapped), **options)})"


_LAST_LETTER = 0x1F000
"""Beyond this no letters have a case."""


@lru_cache(maxsize=1)
def _letters() -> tuple[str, str]:
    """Return the letters that fold to others, and these; ASCII is done by lower()."""
    upper = "".join(chr(code) for code in range(0x80, _LAST_LETTER) if fold(chr(code)) != chr(code))
    return upper, fold(upper)


class Has(FunctionElement[bool]):
    """Whether a text has a folded part in it: the text, the part, and the part as a regular expression.

    PostgreSQL folds nothing: its pattern names every letter that folds to one of the part's, which is faster.
    """

    name = "has"
    type = sa.Boolean()
    inherit_cache = True


@compiles(Has, "sqlite")
def _has_on_sqlite(element: Has, compiler: Any, **options: Any) -> str:
    text, part = (compiler.process(each, **options) for each in list(element.clauses)[:2])
    return f"(instr(nurture_fold({text}), {part}) > 0)"


@compiles(Has, "postgresql")
def _has_on_postgresql(element: Has, compiler: Any, **options: Any) -> str:
    text, _, pattern = element.clauses
    return f'(({compiler.process(text, **options)}) COLLATE "C" ~ {compiler.process(pattern, **options)})'


class Is(FunctionElement[bool]):
    """Whether a text is a folded one: as `Has`, with nothing before it and nothing after it."""

    name = "is"
    type = sa.Boolean()
    inherit_cache = True


@compiles(Is, "sqlite")
def _is_on_sqlite(element: Is, compiler: Any, **options: Any) -> str:
    text, part = (compiler.process(each, **options) for each in list(element.clauses)[:2])
    return f"(nurture_fold({text}) = {part})"


@compiles(Is, "postgresql")
def _is_on_postgresql(element: Is, compiler: Any, **options: Any) -> str:
    text, _, pattern = (compiler.process(each, **options) for each in element.clauses)
    return f"""(({text}) COLLATE "C" ~ ('\\A(?:' || {pattern} || ')\\Z'))"""


def patterns(part: str) -> tuple[Term, Term]:
    """Return a folded part as a value, and as a regular expression."""
    return sa.literal(part, sa.Text), sa.literal("".join(map(_pattern, part)), sa.Text)


def _pattern(letter: str) -> str:
    """Return what matches every character that folds to this one."""
    written = _written(letter)
    if len(written) > 1:
        return f"[{written}]"
    return letter if letter.isalnum() or not letter.isascii() else f"\\{letter}"


def _written(letter: str) -> str:
    upper, lower = _letters()
    others = [upper[place] for place, found in enumerate(lower) if found == letter]
    both = {letter, letter.upper()} if letter.isascii() else {letter}
    return "".join(sorted({*both, *others}))


class ByCode(FunctionElement[str]):
    """A text that is ordered by its code points, which SQLite does by itself."""

    name = "by_code"
    type = sa.Text()
    inherit_cache = True


@compiles(ByCode, "sqlite")
def _as_it_is(element: ByCode, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(ByCode, "postgresql")
def _collated(element: ByCode, compiler: Any, **options: Any) -> str:
    return f'({compiler.process(element.clauses, **options)} COLLATE "C")'


class Domain(FunctionElement[str]):
    """What stands behind the last `@` of an address, folded."""

    name = "domain"
    type = sa.Text()
    inherit_cache = True


@compiles(Domain, "sqlite")
def _domain_on_sqlite(element: Domain, compiler: Any, **options: Any) -> str:
    return f"nurture_fold(nurture_domain({compiler.process(element.clauses, **options)}))"


@compiles(Domain, "postgresql")
def _domain_on_postgresql(element: Domain, compiler: Any, **options: Any) -> str:
    (address,) = element.clauses
    return str(compiler.process(Fold(sa.func.substring(address, sa.literal_column("'[^@]*$'"))), **options))
