"""The condition language: a small tree of values that can be evaluated and said in a sentence.

`all / any / not`, `field / op / value`, `did: {event, within, at_least}` and `idle: {for}`. The text form is parsed in
`core.schema`; SQL is made in `db`; when time changes an answer is `changes`; the comparisons are `comparing`. Logic is
two-valued: a comparison with an unknown value is false, `!=` and `not in` are true. Texts are compared as they are
written, except by `contains`.

Every part of the tree carries its own `test`, made once with the part: a page asks each of them thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import UTC, datetime
from typing import assert_never

from nurture.core import calendars
from nurture.core.comparing import Op as Op
from nurture.core.comparing import comparison
from nurture.core.definition import Definition
from nurture.core.events import HUMAN, KINDS
from nurture.core.facts import FIELDS, SLOTS, reader
from nurture.core.model import Company, Event, Situation, Value
from nurture.core.spans import Span

Test = Callable[[Situation, Definition, datetime], bool]
"""Whether something holds for a situation at a moment."""


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`. `value` is a tuple for `in` and `not in`, None for `known` and `unknown`."""

    field: str
    op: Op
    value: Value = None
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _comparing(self))


@dataclass(frozen=True, slots=True)
class All:
    """True when every one of `of` is (an empty one is true)."""

    of: tuple[Condition, ...]
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _all(self.of))


@dataclass(frozen=True, slots=True)
class Any:
    """True when one of `of` is (an empty one is false)."""

    of: tuple[Condition, ...]
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _any(self.of))


@dataclass(frozen=True, slots=True)
class Not:
    """True when `of` is false."""

    of: Condition
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _not(self.of.test))


@dataclass(frozen=True, slots=True)
class Did:
    """True when at least `at_least` events of kind `event` happened (within the last `within`, if given).

    Only what a human probably did counts (`trust` of a half or more), of the events that the situation remembers.
    """

    event: str
    within: Span | None = None
    at_least: int = 1
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _doing(self))


@dataclass(frozen=True, slots=True)
class Idle:
    """True when the contact gave no human signal for `length` (counted from their entry into the stage, if later)."""

    length: Span
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _idling(self.length))


@dataclass(frozen=True, slots=True)
class InSegment:
    """True for whoever is in a segment, as it was found when something last happened to them."""

    name: str
    test: Test = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the test."""
        object.__setattr__(self, "test", _belonging(self.name))


Leaf = Compare | Did | Idle | InSegment
"""What looks at something."""

Condition = Leaf | All | Any | Not

PROBABLY_HUMAN = 0.5
"""The least `trust` at which an event counts as something that somebody did."""

_SOMEWHERE = Company(name="", postal_address="")
_NEVER = datetime.max.replace(tzinfo=UTC)


def evaluate(condition: Condition, situation: Situation, lifecycle: Definition, now: datetime) -> bool:
    """Return whether the condition holds; scores are read from the situation's standing, as it was stored."""
    return condition.test(situation, lifecycle, now)


def done(did: Did, situation: Situation) -> Iterator[Event]:
    """Yield the events that `did` counts, whenever they happened."""
    return (event for event in situation.events if event.kind == did.event and event.trust >= PROBABLY_HUMAN)


def last_signal(situation: Situation, lifecycle: Definition) -> datetime:
    """Return when a human last did something, or when the contact entered the stage, if that was later."""
    entered = situation.contact.stage_since
    return max(entered, max((event.at for event in situation.events if is_signal(event, lifecycle)), default=entered))


def is_signal(event: Event, lifecycle: Definition) -> bool:
    """Return whether an event breaks the silence: a human kind, or one of the company's own that scores."""
    return event.trust >= PROBABLY_HUMAN and (event.kind in HUMAN or event.kind in signal_kinds(lifecycle))


def signal_kinds(lifecycle: Definition) -> frozenset[str]:
    """Return the kinds of events that break the silence."""
    return lifecycle.derived(_signal_kinds)


def _signal_kinds(lifecycle: Definition) -> frozenset[str]:
    scoring = {kind for category in lifecycle.categories for kind, weight in category.weights.items() if weight > 0}
    return HUMAN | (lifecycle.event_kinds & scoring)


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


def leaves(condition: Condition) -> Iterator[Leaf]:
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
        case InSegment(name):
            return f"is in segment {name!r}"
        case _:
            assert_never(condition)


def _inside(condition: Condition) -> str:
    return f"({say(condition)})" if isinstance(condition, All | Any) and len(condition.of) > 1 else say(condition)


def _say_compare(compare: Compare, *, negated: bool = False) -> str:
    info = FIELDS.get(compare.field)
    label = (
        info.label
        if info
        else compare.field.replace("fields.", "").removeprefix(SLOTS).replace(".", " ").replace("_", " ")
    )
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
    Op.EQ: "is not",
    Op.NE: "is",
    Op.IN: "is none of",
    Op.NOT_IN: "is one of",
    Op.CONTAINS: "does not contain",
    Op.KNOWN: "is unknown",
    Op.UNKNOWN: "is known",
}


# --- tests ------------------------------------------------------------------------------------------------------------


def _comparing(compare: Compare) -> Test:
    read, holds = reader(compare.field), comparison(compare.op, compare.value)
    return lambda situation, lifecycle, now: holds(read(situation, lifecycle))


def _all(parts: Sequence[Condition]) -> Test:
    if (field := _only_field(parts)) is not None:
        return _asked_once(field, parts, stop=False)
    tests = [part.test for part in parts]

    def every(situation: Situation, lifecycle: Definition, now: datetime) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if not test(situation, lifecycle, now):
                return False
        return True

    return every


def _any(parts: Sequence[Condition]) -> Test:
    if (field := _only_field(parts)) is not None:
        return _asked_once(field, parts, stop=True)
    tests = [part.test for part in parts]

    def one(situation: Situation, lifecycle: Definition, now: datetime) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if test(situation, lifecycle, now):
                return True
        return False

    return one


def _only_field(parts: Sequence[Condition]) -> str | None:
    """Return the one field that all parts compare, None when they look at anything else."""
    fields = {part.field if isinstance(part, Compare) else None for part in parts}
    return fields.pop() if len(fields) == 1 else None


def _asked_once(field: str, parts: Sequence[Condition], *, stop: bool) -> Test:
    """Compare one field in several ways until one answers `stop`."""
    read = reader(field)
    comparisons = [comparison(part.op, part.value) for part in parts if isinstance(part, Compare)]

    def ask(situation: Situation, lifecycle: Definition, now: datetime) -> bool:
        value = read(situation, lifecycle)
        for holds in comparisons:
            if holds(value) is stop:
                return stop
        return not stop

    return ask


def _not(test: Test) -> Test:
    return lambda situation, lifecycle, now: not test(situation, lifecycle, now)


def _belonging(name: str) -> Test:
    return lambda situation, lifecycle, now: name in situation.segments


def _doing(did: Did) -> Test:
    kind, within, at_least = did.event, did.within, did.at_least
    elapsed = within.elapsed if within else None

    def counts(event: Event, situation: Situation, now: datetime) -> bool:
        if elapsed is not None:
            return now - event.at < elapsed
        return within is None or end_of(within, event.at, situation) > now

    def did_it(situation: Situation, lifecycle: Definition, now: datetime) -> bool:
        count = 0
        for event in situation.events:
            if event.kind == kind and event.trust >= PROBABLY_HUMAN:
                count += counts(event, situation, now)
        return count >= at_least

    return did_it


def _idling(length: Span) -> Test:
    return lambda situation, lifecycle, now: end_of(length, last_signal(situation, lifecycle), situation) <= now
