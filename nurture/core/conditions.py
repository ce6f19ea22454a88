"""The condition language: a small tree of values that can be evaluated, said in a sentence and asked when time changes it.

`all / any / not`, `field / op / value`, `did: {event, within, at_least}` and `idle: {for}`. The text form is parsed in
`core.schema`; SQL is made in `db`. Logic is two-valued: a comparison with an unknown value is false, `!=` is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nurture.core.model import Value
from nurture.core.spans import Span


class Op(StrEnum):
    """How a field is compared."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"
    CONTAINS = "contains"
    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`. `value` is a tuple for `in` and `not in`, None for `known` and `unknown`."""

    field: str
    op: Op
    value: Value = None


@dataclass(frozen=True, slots=True)
class All:
    """True when every one of `of` is (an empty one is true)."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """True when one of `of` is (an empty one is false)."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when `of` is false."""

    of: Condition


@dataclass(frozen=True, slots=True)
class Did:
    """True when at least `at_least` events of kind `event` happened (within the last `within`, if given)."""

    event: str
    within: Span | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Idle:
    """True when the contact gave no human signal for `length` (counted from their entry into the stage, if later)."""

    length: Span


Condition = Compare | All | Any | Not | Did | Idle
