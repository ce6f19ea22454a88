"""Whether conditions can hold at all, and together: what can be said of them without knowing anybody.

Conditions are written as alternatives of literals (a leaf, or its negation); an alternative in which two literals
contradict each other never holds. What cannot be decided is taken for possible: lint says only what is certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

from nurture.core.comparing import comparison
from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Leaf, Not, Op
from nurture.core.events import HUMAN
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Value

_MOST = 256
"""Alternatives that are looked at; a condition with more of them is taken for possible."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A leaf that holds, or does not."""

    leaf: Leaf
    holds: bool


Alternative = tuple[Literal, ...]


def possible(conditions: Sequence[Condition], lifecycle: Lifecycle) -> bool:
    """Return whether all of `conditions` can hold for the same contact at the same moment."""
    found = alternatives(All(tuple(conditions)), lifecycle)
    return found is None or bool(found)


def alternatives(condition: Condition, lifecycle: Lifecycle) -> list[Alternative] | None:
    """Return the ways in which a condition can hold, None where they are too many to say."""
    try:
        found = _alternatives(_spelled_out(condition, lifecycle), holds=True)
    except OverflowError:
        return None
    return [each for each in found if not _contradictory(each)]


def _spelled_out(condition: Condition, lifecycle: Lifecycle) -> Condition:
    """Return the condition with levels written as what they ask for."""
    match condition:
        case All(of):
            return All(tuple(_spelled_out(part, lifecycle) for part in of))
        case Any(of):
            return Any(tuple(_spelled_out(part, lifecycle) for part in of))
        case Not(of):
            return Not(_spelled_out(of, lifecycle))
        case Compare("level", op, value) if lifecycle.levels:
            holds = comparison(op, value)
            meant = [_level(place, lifecycle) for place, (name, _) in enumerate(lifecycle.levels) if holds(name)]
            if holds(None):
                meant.append(Not(Any(tuple(when for _, when in lifecycle.levels))))
            return Any(tuple(meant))
        case _:
            return condition


def _level(place: int, lifecycle: Lifecycle) -> Condition:
    """Return when somebody has the level at that place: its condition holds, and no better one does."""
    better = tuple(Not(when) for _, when in lifecycle.levels[:place])
    return All((lifecycle.levels[place][1], *better))


def never_held(lifecycle: Lifecycle) -> Iterator[tuple[str, str | None]]:
    """Yield the levels that nobody ever has, each with the better one that takes its place (None: it cannot hold)."""
    for place, (name, when) in enumerate(lifecycle.levels):
        if not possible([when], lifecycle):
            yield name, None
        elif not possible([_level(place, lifecycle)], lifecycle):
            yield name, lifecycle.levels[place - 1][0]


def _alternatives(condition: Condition, *, holds: bool) -> list[Alternative]:
    match condition:
        case Not(of):
            return _alternatives(of, holds=not holds)
        case All(of) | Any(of):
            parts = [_alternatives(part, holds=holds) for part in of]
            if isinstance(condition, All) is not holds:
                return _few([each for part in parts for each in part])
            found: list[Alternative] = [()]
            for part in parts:
                found = _few([(*before, *after) for before, after in product(found, part)])
                found = [each for each in found if not _contradictory(each)]
            return found
        case _:
            return [(Literal(condition, holds),)]


def _few(found: list[Alternative]) -> list[Alternative]:
    if len(found) > _MOST:
        raise OverflowError
    return found


# --- contradictions ---------------------------------------------------------------------------------------------------


def _contradictory(literals: Alternative) -> bool:
    if any(_opposed(one, other) or _opposed(other, one) for one, other in combinations(literals, 2)):
        return True
    by_field: dict[str, list[Literal]] = {}
    for literal in literals:
        if isinstance(literal.leaf, Compare):
            by_field.setdefault(literal.leaf.field, []).append(literal)
    return any(not _some_value(asked) for asked in by_field.values())


def _opposed(one: Literal, other: Literal) -> bool:
    """Return whether the first literal excludes the second."""
    if one.leaf == other.leaf:
        return one.holds is not other.holds
    match one.leaf, other.leaf:
        case Did() as did, Did() as not_done if one.holds and not other.holds and did.event == not_done.event:
            return did.at_least >= not_done.at_least and _within(did, not_done)
        case Did() as did, Idle(length) if one.holds and other.holds and did.event in HUMAN and did.within is not None:
            silent = length.elapsed
            return did.within.elapsed is not None and silent is not None and did.within.elapsed <= silent
    return False


def _within(inner: Did, outer: Did) -> bool:
    """Return whether what happened within the one window happened within the other."""
    if outer.within is None:
        return True
    if inner.within is None:
        return False
    if inner.within.unit is outer.within.unit:
        return inner.within.amount <= outer.within.amount
    longest, shortest = inner.within.at_most, outer.within.elapsed
    return shortest is not None and longest <= shortest


def _some_value(asked: list[Literal]) -> bool:
    """Return whether some value of the field meets all comparisons: those that they name are tried, and some beside."""
    tests = [(comparison(_op(each), _value(each)), each.holds) for each in asked]
    return any(all(holds(value) is wanted for holds, wanted in tests) for value in _candidates(asked))


def _op(literal: Literal) -> Op:
    assert isinstance(literal.leaf, Compare)
    return literal.leaf.op


def _value(literal: Literal) -> Value:
    assert isinstance(literal.leaf, Compare)
    return literal.leaf.value


def _candidates(asked: list[Literal]) -> Iterator[Value]:
    """Yield values of which one meets the comparisons if any does."""
    yield None
    contained = [str(_value(each)) for each in asked if _op(each) is Op.CONTAINS]
    if contained:
        yield " ".join(value for value, each in zip(contained, asked, strict=False) if each.holds)
        yield " ".join(contained)
    for literal in asked:
        value = _value(literal)
        for each in value if isinstance(value, tuple) else (value,):
            yield each
            if isinstance(each, bool):
                yield not each
            elif isinstance(each, int | float):
                yield from (each - 1, each - 0.005, each + 0.005, each + 1)
            elif isinstance(each, str):
                yield from (f"{each} and more", f"{each}\x00", "\x00", "\uffff")
    numbers = sorted({float(named) for a in asked if isinstance(named := _value(a), int | float)})
    yield from ((low + high) / 2 for low, high in pairwise(numbers))
    yield from (True, False, 0, "\x00other")
