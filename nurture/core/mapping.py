"""How a foreign table becomes contacts, as a value: which column fills which field, and what a row's words mean.

`core.schema.mapping` reads it from a `kind: mapping` file, the command line adds to it, `importing` carries it out.
"""

from __future__ import annotations

import re
from collections import abc
from dataclasses import dataclass, field

from nurture.core.model import Value
from nurture.core.words import Scope

CONTACT_TARGETS = (
    "id",
    "email",
    "name",
    "first_name",
    "last_name",
    "title",
    "buying_role",
    "country",
    "locale",
    "time_zone",
    "source",
    "owner",
)
"""What a column may fill, beside `fields.…`: `id` is the owner's key, `name` both names, `owner` a rep's address."""

ACCOUNT_TARGETS = (
    "account.name",
    "account.domain",
    "account.industry",
    "account.employees",
    "account.revenue",
    "account.country",
    "account.time_zone",
    "account.technologies",
)
"""What a column may fill of the contact's account, beside `account.fields.…`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by the name in its header."""

    name: str


@dataclass(frozen=True, slots=True)
class Expression:
    """Literal text and columns, joined; unknown as soon as one of its columns is blank.

    `values` replaces whole results (compared without case and outer blanks); what it does not list becomes
    `otherwise` where that is given, and else stays as it is.
    """

    parts: tuple[str | Column, ...]
    values: abc.Mapping[str, Value] = field(default_factory=dict)
    otherwise: Value = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that it reads."""
        return tuple(part.name for part in self.parts if isinstance(part, Column))


@dataclass(frozen=True, slots=True)
class Target:
    """One field and what fills it: a name of CONTACT_TARGETS or ACCOUNT_TARGETS, `fields.x` or `account.fields.x`."""

    field: str
    expression: Expression
    line: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """True when the column holds one of `values` (without case and outer blanks); without values: when not blank."""

    column: str
    values: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SuppressWhen:
    """Rows whose address must not be written to."""

    given: Given
    reason: str
    scope: Scope = Scope.ALL
    line: int = 0


@dataclass(frozen=True, slots=True)
class EventWhen:
    """An event that a row tells of. `at` None is the time of the import; without `given` every row tells it."""

    kind: str
    given: Given | None = None
    at: Expression | None = None
    data: abc.Mapping[str, Expression] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Mapping:
    """All of it. `blank` are words that mean "not given" (`Select`); `system` names whose ids `id` are.

    `dates` is how dates are written (strptime; ISO 8601 when None).
    """

    targets: tuple[Target, ...] = ()
    blank: frozenset[str] = frozenset()
    suppressed_when: tuple[SuppressWhen, ...] = ()
    events: tuple[EventWhen, ...] = ()
    name: str = ""
    source: str | None = None
    system: str | None = None
    dates: str | None = None
    file: str = ""

    def target(self, name: str) -> Target | None:
        """Return what fills the field of that name."""
        return next((target for target in self.targets if target.field == name), None)


_PIECE = re.compile(r"\{\{|\}\}|\{\s*([^{}\s][^{}]*)\}|[{}]|[^{}]+")


def parse_expression(text: str) -> Expression:
    """Read `Column`, `text {Column} text`, `=constant` or `'constant'`; raise ValueError with what is wrong."""
    stripped = text.strip()
    if not stripped:
        raise ValueError("nothing is given: write a column's name, 'text {Column}' or =constant")
    if stripped.startswith("="):
        return Expression((stripped[1:],))
    if len(stripped) >= 2 and stripped[0] == stripped[-1] and stripped[0] in "'\"":
        return Expression((stripped[1:-1],))
    if "{" not in stripped and "}" not in stripped:
        return Expression((Column(stripped),))
    return Expression(tuple(_pieces(stripped)))


def _pieces(text: str) -> abc.Iterator[str | Column]:
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece in "{}":
            raise ValueError(f"{text!r} has a single {piece}: write {{Column}}, or {piece * 2} for the character")
        if piece in ("{{", "}}"):
            yield piece[0]
        elif found[1]:
            yield Column(found[1].strip())
        else:
            yield piece
