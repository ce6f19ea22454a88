"""Conditions walked plainly, part by part and value by value: what the tests that the parts carry must answer too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import assert_never

from nurture.core.comparing import fold
from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op, end_of, is_signal
from nurture.core.facts import lookup
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Situation, Value

NEVER = datetime.max.replace(tzinfo=UTC)


def evaluate(condition: Condition, situation: Situation, lifecycle: Lifecycle, now: datetime) -> bool:
    match condition:
        case Compare(field, op, value):
            return OPERATORS[op](lookup(field, situation, lifecycle), value)
        case All(of):
            return all(evaluate(part, situation, lifecycle, now) for part in of)
        case Any(of):
            return any(evaluate(part, situation, lifecycle, now) for part in of)
        case Not(of):
            return not evaluate(of, situation, lifecycle, now)
        case Did(kind, within, at_least):
            counted = [event for event in situation.events if event.kind == kind and event.trust >= 0.5]
            ends = [end_of(within, event.at, situation) if within else NEVER for event in counted]
            return sum(end > now for end in ends) >= at_least
        case Idle(length):
            signals = [event.at for event in situation.events if is_signal(event, lifecycle)]
            return end_of(length, max([situation.contact.stage_since, *signals]), situation) <= now
        case _:
            assert_never(condition)


def equal(left: Value, right: Value) -> bool:
    return left is not None and isinstance(left, bool) == isinstance(right, bool) and left == right


def among(left: Value, right: Value) -> bool:
    have = left if isinstance(left, tuple) else (left,)
    return isinstance(right, tuple) and any(equal(mine, other) for mine in have for other in right)


def contains(left: Value, right: Value) -> bool:
    if not isinstance(right, str):
        return False
    if isinstance(left, tuple):
        return fold(right) in [fold(item) for item in left]
    return isinstance(left, str) and fold(right) in fold(left)


def order(left: Value, right: Value) -> int | None:
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, bool | str | tuple | None) or isinstance(right, bool | str | tuple | None):
        return None
    return (left > right) - (left < right)


OPERATORS: Mapping[Op, Callable[[Value, Value], bool]] = {
    Op.EQ: equal,
    Op.NE: lambda left, right: not equal(left, right),
    Op.LT: lambda left, right: order(left, right) == -1,
    Op.LE: lambda left, right: order(left, right) in (-1, 0),
    Op.GT: lambda left, right: order(left, right) == 1,
    Op.GE: lambda left, right: order(left, right) in (0, 1),
    Op.IN: among,
    Op.NOT_IN: lambda left, right: not among(left, right),
    Op.CONTAINS: contains,
    Op.KNOWN: lambda left, _: left is not None,
    Op.UNKNOWN: lambda left, _: left is None,
}
