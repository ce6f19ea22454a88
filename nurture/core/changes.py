"""When time alone changes an answer: events leave a window, silence grows long, engagement decays.

Nothing here knows of events to come. An answer that scores decide is followed with the standing as it will be then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from nurture.core.conditions import Compare, Condition, Did, Idle, Op, done, end_of, evaluate, last_signal, leaves
from nurture.core.facts import SCORED
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Situation, Value
from nurture.core.scoring import reaches, restand

Answer = TypeVar("Answer")

_PATIENCE = 64
"""How many moments that change nothing are passed over before one of them is taken for a change."""


def changes_at(condition: Condition, situation: Situation, lifecycle: Lifecycle, now: datetime) -> datetime | None:
    """Return the earliest moment after `now` at which time alone changes the answer, None if it never does.

    Exact, except that negative weights (and a condition with dozens of windows) may make it early; it is never late.
    """
    return _first(
        lambda seen, at: evaluate(condition, seen, lifecycle, at), leaves(condition), situation, lifecycle, now
    )


def standing_changes_at(situation: Situation, lifecycle: Lifecycle, now: datetime) -> datetime | None:
    """Return the earliest moment after `now` at which time alone changes the grade or the level, None if never."""
    return _first(
        lambda seen, _: seen.standing and (seen.standing.grade, seen.standing.level),
        (*_of_fit(lifecycle), *_of_levels(lifecycle)),
        situation,
        lifecycle,
        now,
    )


def _first(
    answer: Callable[[Situation, datetime], Answer],
    parts: Iterable[Compare | Did | Idle],
    situation: Situation,
    lifecycle: Lifecycle,
    now: datetime,
) -> datetime | None:
    parts = tuple(_expanded(parts, lifecycle))
    if not parts:
        return None
    at, seen = now, _standing_at(situation, lifecycle, now)
    before = answer(seen, now)
    for _ in range(_PATIENCE):
        moments = [moment for part in parts if (moment := _next(part, seen, lifecycle, at)) is not None]
        if not moments:
            return None
        at = min(moments)
        seen = restand(situation, lifecycle, at)
        if answer(seen, at) != before:
            return at
    return at


def _standing_at(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Situation:
    """Return the situation with its standing at `now`, which it often has already."""
    known = situation.standing
    fresh = known is not None and (known.as_of, known.model_hash) == (now, lifecycle.hash)
    return situation if fresh else restand(situation, lifecycle, now)


def _expanded(parts: Iterable[Compare | Did | Idle], lifecycle: Lifecycle) -> Iterator[Compare | Did | Idle]:
    """Yield what the answer depends on in the end: instead of a grade or a level, what these look at."""
    for part in parts:
        match part:
            case Compare("fit" | "fit_points"):
                yield from _of_fit(lifecycle)
            case Compare("level"):
                yield from _expanded(_of_levels(lifecycle), lifecycle)
            case Compare(field) if field not in SCORED:
                continue
            case _:
                yield part


def _of_fit(lifecycle: Lifecycle) -> Iterator[Compare | Did | Idle]:
    """Yield what fit rules look at; they are asked before there is a standing."""
    for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers):
        yield from (leaf for leaf in leaves(rule.when) if not isinstance(leaf, Compare))


def _of_levels(lifecycle: Lifecycle) -> Iterator[Compare | Did | Idle]:
    """Yield what levels look at; they are asked before there is a level."""
    for _, when in lifecycle.levels:
        yield from (leaf for leaf in leaves(when) if not isinstance(leaf, Compare) or leaf.field != "level")


def _next(part: Compare | Did | Idle, situation: Situation, lifecycle: Lifecycle, now: datetime) -> datetime | None:
    match part:
        case Compare():
            moments = (reaches(situation, lifecycle, points, now) for points in _thresholds(part))
            return min((moment for moment in moments if moment is not None), default=None)
        case Did():
            return _forgotten_at(part, situation, now)
        case Idle(length):
            end = end_of(length, last_signal(situation, lifecycle), situation)
            return end if end > now else None


def _forgotten_at(did: Did, situation: Situation, now: datetime) -> datetime | None:
    """Return when so many events have left the window that too few remain; None if too few are in it already."""
    if did.within is None:
        return None
    ends = sorted(end for event in done(did, situation) if (end := end_of(did.within, event.at, situation)) > now)
    return ends[len(ends) - did.at_least] if 0 < did.at_least <= len(ends) else None


def _thresholds(compare: Compare) -> Iterator[int]:
    """Yield the points (hundredths) at which the answer about engagement differs from the answer just below them."""
    values: Iterable[Value] = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if compare.op not in (Op.GT, Op.LE):
            yield _least(value, above=False)
        if compare.op not in (Op.GE, Op.LT):
            yield _least(value, above=True)


def _least(value: float, *, above: bool) -> int:
    """Return the least hundredths that are `value` or more (or more than `value`), compared as conditions do."""
    points = math.floor(value * 100) - 1
    while points / 100 < value or (above and points / 100 <= value):
        points += 1
    return points
