"""How values are compared: each operator with its right side becomes a function of the left side, made once.

Two-valued: a comparison with an unknown value (None) is false, `!=` and `not in` are true. Yes and no are no numbers,
and texts never equal numbers. Values of different types have no order. Texts are compared as they are written, by their
code points; only `contains` folds case, letter by letter, which databases can do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Any

from nurture.core.model import Value


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


Holds = Callable[[Value], bool]


def fold(text: str) -> str:
    """Return a text without the difference of case: every letter for itself, whatever its neighbors are."""
    return text.lower() if text.isascii() else text.translate(_LETTERS)


class _Letters(dict[int, int]):
    """What each code point folds to, found when it is first met."""

    def __missing__(self, code: int) -> int:
        # The capital I with a dot would become two letters, and a sigma depends on where it stands: neither does here.
        self[code] = found = ord("σ") if chr(code) == "ς" else ord(chr(code).lower()[0])
        return found


_LETTERS = _Letters()


def comparison(op: Op, right: Value) -> Holds:
    """Return whether `left op right` holds, as a function of left."""
    return _MAKERS[op](right)


def _equal(right: Value) -> Holds:
    if right is None:
        return lambda left: False
    truth = isinstance(right, bool)
    return lambda left: left == right and isinstance(left, bool) is truth


def _among(right: Value) -> Holds:
    if not isinstance(right, tuple):
        return lambda left: False
    wanted: tuple[Value, ...] = right
    texts = frozenset(each for each in wanted if isinstance(each, str))
    others = [_equal(each) for each in wanted if not isinstance(each, str)]

    def among(left: Value) -> bool:
        if isinstance(left, str):
            return left in texts
        if isinstance(left, tuple):
            return not texts.isdisjoint(left)
        return any(equal(left) for equal in others)

    return among


def _contains(right: Value) -> Holds:
    if not isinstance(right, str):
        return lambda left: False
    part = fold(right)

    def contains(left: Value) -> bool:
        if isinstance(left, str):
            return part in fold(left)
        return isinstance(left, tuple) and part in map(fold, left)

    return contains


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Value], Holds]:
    def make(right: Value) -> Holds:
        if isinstance(right, str):
            return lambda left: isinstance(left, str) and holds(left, right)
        if isinstance(right, bool | tuple | None):
            return lambda left: False
        return lambda left: isinstance(left, int | float) and not isinstance(left, bool) and holds(left, right)

    return make


def _not(make: Callable[[Value], Holds]) -> Callable[[Value], Holds]:
    def negated(right: Value) -> Holds:
        holds = make(right)
        return lambda left: not holds(left)

    return negated


def _known(left: Value) -> bool:
    return left is not None


def _unknown(left: Value) -> bool:
    return left is None


_MAKERS: Mapping[Op, Callable[[Value], Holds]] = {
    Op.EQ: _equal,
    Op.NE: _not(_equal),
    Op.LT: _ordered(lt),
    Op.LE: _ordered(le),
    Op.GT: _ordered(gt),
    Op.GE: _ordered(ge),
    Op.IN: _among,
    Op.NOT_IN: _not(_among),
    Op.CONTAINS: _contains,
    Op.KNOWN: lambda right: _known,
    Op.UNKNOWN: lambda right: _unknown,
}
