"""The condition language: a small tree of values that can be evaluated and said in a sentence.

`all / any / not`, `field / op / value`, `did: {event, within, at_least}` and `idle: {for}`. The text form is parsed in
`core.schema`; SQL is made in `db`; when time changes an answer is `changes`. Logic is two-valued: a comparison with an
unknown value is false, `!=` and `not in` are true. Texts are compared as they are written, except by `contains`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from nurture.core import calendars
from nurture.core.events import HUMAN, KINDS
from nurture.core.facts import FIELDS, lookup
from nurture.core.model import Company, Event, Situation, Value
from nurture.core.spans import Span

if TYPE_CHECKING:  # the lifecycle is made of conditions
    from nurture.core.lifecycle import Lifecycle


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
    """True when at least `at_least` events of kind `event` happened (within the last `within`, if given).

    Only what a human probably did counts (`trust` of a half or more), of the events that the situation remembers.
    """

    event: str
    within: Span | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Idle:
    """True when the contact gave no human signal for `length` (counted from their entry into the stage, if later)."""

    length: Span


Condition = Compare | All | Any | Not | Did | Idle

PROBABLY_HUMAN = 0.5
"""The least `trust` at which an event counts as something that somebody did."""

_SOMEWHERE = Company(name="", postal_address="")
_NEVER = datetime.max.replace(tzinfo=UTC)


def evaluate(condition: Condition, situation: Situation, lifecycle: Lifecycle, now: datetime) -> bool:
    """Return whether the condition holds; scores are read from the situation's standing, as it was stored."""
    match condition:
        case Compare(field, op, value):
            return _OPERATORS[op](lookup(field, situation, lifecycle), value)
        case All(of):
            return all(evaluate(part, situation, lifecycle, now) for part in of)
        case Any(of):
            return any(evaluate(part, situation, lifecycle, now) for part in of)
        case Not(of):
            return not evaluate(of, situation, lifecycle, now)
        case Did(_, within, at_least):
            ends = (end_of(within, event.at, situation) if within else _NEVER for event in done(condition, situation))
            return sum(end > now for end in ends) >= at_least
        case Idle(length):
            return end_of(length, last_signal(situation, lifecycle), situation) <= now
        case _:
            assert_never(condition)


def done(did: Did, situation: Situation) -> Iterator[Event]:
    """Yield the events that `did` counts, whenever they happened."""
    return (event for event in situation.events if event.kind == did.event and event.trust >= PROBABLY_HUMAN)


def last_signal(situation: Situation, lifecycle: Lifecycle) -> datetime:
    """Return when a human last did something, or when the contact entered the stage, if that was later."""
    entered = situation.contact.stage_since
    return max(entered, max((event.at for event in situation.events if is_signal(event, lifecycle)), default=entered))


def is_signal(event: Event, lifecycle: Lifecycle) -> bool:
    """Return whether an event breaks the silence: a human kind, or one of the company's own that scores."""
    if event.trust < PROBABLY_HUMAN:
        return False
    if event.kind in HUMAN:
        return True
    own = event.kind in lifecycle.event_kinds
    return own and any(category.weights.get(event.kind, 0) > 0 for category in lifecycle.categories)


def end_of(span: Span, base: datetime, situation: Situation) -> datetime:
    """Return `base` plus `span`; business days are counted in the contact's zone (UTC where it is unknown)."""
    try:
        if (elapsed := span.elapsed) is not None:
            return base + elapsed
        zone, _ = calendars.resolve_zone(situation.contact, _SOMEWHERE)
        return calendars.add(span, base, zone)
    except OverflowError:
        return _NEVER


def mentions(condition: Condition) -> frozenset[str]:
    """Return the fields that a condition reads."""
    return frozenset(leaf.field for leaf in leaves(condition) if isinstance(leaf, Compare))


def event_kinds(condition: Condition) -> frozenset[str]:
    """Return the kinds of events that a condition asks for by name (`idle` listens to every human kind)."""
    return frozenset(leaf.event for leaf in leaves(condition) if isinstance(leaf, Did))


def leaves(condition: Condition) -> Iterator[Compare | Did | Idle]:
    """Yield the parts of a condition that look at something, in the order in which they are written."""
    match condition:
        case All(of) | Any(of):
            for part in of:
                yield from leaves(part)
        case Not(of):
            yield from leaves(of)
        case _:
            yield condition


def say(condition: Condition) -> str:
    """Return the condition as a sentence without a full stop: `engagement is at least 20 and stage is lead`."""
    match condition:
        case Compare():
            return _say_compare(condition)
        case All(of):
            return " and ".join(_inside(part) for part in of) or "always"
        case Any(of):
            return " or ".join(_inside(part) for part in of) or "never"
        case Not(Compare() as of):
            return _say_compare(of, negated=True)
        case Not(of):
            return f"not ({say(of)})"
        case Did(event, within, at_least):
            what = KINDS[event].label if event in KINDS else event.replace("_", " ")
            return (
                what + (f" at least {at_least} times" if at_least > 1 else "") + (f" within {within}" if within else "")
            )
        case Idle(length):
            return f"gave no sign for {length}"
        case _:
            assert_never(condition)


def _inside(condition: Condition) -> str:
    return f"({say(condition)})" if isinstance(condition, All | Any) and len(condition.of) > 1 else say(condition)


def _say_compare(compare: Compare, *, negated: bool = False) -> str:
    info = FIELDS.get(compare.field)
    label = info.label if info else compare.field.replace("fields.", "").replace(".", " ").replace("_", " ")
    words = (_NEGATED if negated else _WORDS)[compare.op]
    return f"{label} {words}" if compare.value is None else f"{label} {words} {_say_value(compare.value)}"


def _say_value(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_say_value(item) for item in value)
    return f"'{value}'" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


_WORDS = {
    Op.EQ: "is",
    Op.NE: "is not",
    Op.LT: "is below",
    Op.LE: "is at most",
    Op.GT: "is above",
    Op.GE: "is at least",
    Op.IN: "is one of",
    Op.NOT_IN: "is none of",
    Op.CONTAINS: "contains",
    Op.KNOWN: "is known",
    Op.UNKNOWN: "is unknown",
}

_NEGATED = {
    **{op: words.replace("is ", "is not ") for op, words in _WORDS.items()},
    Op.NE: "is",
    Op.IN: "is none of",
    Op.NOT_IN: "is one of",
    Op.CONTAINS: "does not contain",
    Op.KNOWN: "is unknown",
    Op.UNKNOWN: "is known",
}


def _equal(left: Value, right: Value) -> bool:
    return left is not None and isinstance(left, bool) == isinstance(right, bool) and left == right


def _among(left: Value, right: Value) -> bool:
    have = left if isinstance(left, tuple) else (left,)
    return isinstance(right, tuple) and any(_equal(mine, other) for mine in have for other in right)


def _contains(left: Value, right: Value) -> bool:
    if not isinstance(right, str):
        return False
    if isinstance(left, tuple):
        return right.lower() in (item.lower() for item in left)
    return isinstance(left, str) and right.lower() in left.lower()


def _order(left: Value, right: Value) -> int | None:
    """Return -1, 0 or 1, or None when the two cannot be compared (unknown, or of different types)."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, bool | str | tuple | None) or isinstance(right, bool | str | tuple | None):
        return None
    return (left > right) - (left < right)


_OPERATORS: Mapping[Op, Callable[[Value, Value], bool]] = {
    Op.EQ: _equal,
    Op.NE: lambda left, right: not _equal(left, right),
    Op.LT: lambda left, right: _order(left, right) == -1,
    Op.LE: lambda left, right: _order(left, right) in (-1, 0),
    Op.GT: lambda left, right: _order(left, right) == 1,
    Op.GE: lambda left, right: _order(left, right) in (0, 1),
    Op.IN: _among,
    Op.NOT_IN: lambda left, right: not _among(left, right),
    Op.CONTAINS: _contains,
    Op.KNOWN: lambda left, _: left is not None,
    Op.UNKNOWN: lambda left, _: left is None,
}
