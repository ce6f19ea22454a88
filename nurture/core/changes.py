"""When time alone changes an answer: events leave a window, silence grows long, engagement decays, slots go stale.

Nothing here knows of events to come. An answer that scores decide is followed with the standing as it will be then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from nurture.core.conditions import Compare, Condition, Did, Idle, Leaf, Op, done, end_of, last_signal, leaves
from nurture.core.decay import Curve, moment, ticks
from nurture.core.facts import asks_slots, is_scored
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Situation, Value
from nurture.core.qualification import slot_kinds, stale_at
from nurture.core.scoring import fades, fit, restood

Answer = TypeVar("Answer")

_PATIENCE = 64
"""How many moments that change nothing are passed over before one of them is taken for a change."""


def changes_at(condition: Condition, situation: Situation, lifecycle: Lifecycle, now: datetime) -> datetime | None:
    """Return the earliest moment after `now` at which time alone changes the answer, None if it never does.

    Exact, except that negative weights (and a condition with dozens of windows) may make it early; it is never late.
    """
    return Outlook(situation, lifecycle, now).changes(condition, watched(condition, lifecycle))


def standing_changes_at(situation: Situation, lifecycle: Lifecycle, now: datetime) -> datetime | None:
    """Return the earliest moment after `now` at which time alone changes grade, level or slots, None if never."""
    return Outlook(situation, lifecycle, now).standing_changes()


@dataclass(frozen=True, slots=True)
class Watched:
    """What an answer depends on that time alone can change: hundredths of engagement, windows, silences, slots.

    `kinds` are the kinds of events that the windows are about, and those that fill slots, if they are watched.
    """

    thresholds: tuple[int, ...] = ()
    windows: tuple[Did, ...] = ()
    silences: tuple[Idle, ...] = ()
    kinds: frozenset[str] = frozenset()
    slots: bool = False


def watched(condition: Condition, lifecycle: Lifecycle) -> Watched:
    """Return what there is to watch of a condition."""
    return _watched(leaves(condition), lifecycle)


class Outlook:
    """What becomes of a situation if nothing happens: looked at from `now`, for several questions."""

    def __init__(self, situation: Situation, lifecycle: Lifecycle, now: datetime) -> None:
        """Take the situation as it is at `now`; its standing is used where it is of that moment."""
        self._situation, self._lifecycle, self._now = situation, lifecycle, now
        self._curve = Curve(situation.events, lifecycle, situation.account_events)
        self._kinds = {event.kind for event in situation.events}
        self._crossings: dict[tuple[int, int], int | None] = {}
        self._seen: dict[datetime, Situation] = {}
        known = situation.standing
        if known is not None and (known.as_of, known.model_hash) == (now, lifecycle.hash):
            self._seen[now] = situation

    def changes(self, condition: Condition, watched: Watched) -> datetime | None:
        """Return when time alone changes the answer to `condition`; `watched` is what there is to watch of it."""
        return self._first(lambda seen, at: condition.test(seen, self._lifecycle, at), watched)

    def standing_changes(self) -> datetime | None:
        """Return when time alone changes the grade, the level, or what is known from fresh evidence."""
        return self._first(_kept, self._lifecycle.derived(_of_standing))

    def _first(self, answer: Callable[[Situation, datetime], Answer], watched: Watched) -> datetime | None:
        if not (watched.silences or self._curve) and self._kinds.isdisjoint(watched.kinds):
            return None  # nothing happened yet that time could change: a page of new contacts
        at = self._next(watched, self._now)
        if at is None:
            return None
        before = answer(self._at(self._now), self._now)
        for _ in range(_PATIENCE):
            if answer(self._at(at), at) != before:
                return at
            following = self._next(watched, at)
            if following is None:
                return None
            at = following
        return at

    def _at(self, at: datetime) -> Situation:
        """Return the situation with the standing that it will have."""
        if at not in self._seen:
            lifecycle, past = self._lifecycle, self._seen.get(self._now)
            if past is not None and past.standing and not fades(lifecycle):
                points, grade = past.standing.fit_points, past.standing.grade
            else:
                points, grade = fit(self._situation, lifecycle, at)
            engaged = self._curve.least(ticks(at), ticks(at))
            self._seen[at] = restood(self._situation, lifecycle, points, grade, engaged, at)
        return self._seen[at]

    def _next(self, watched: Watched, after: datetime) -> datetime | None:
        """Return the first moment after `after` at which any part of what is watched may change."""
        moments = [
            end
            for did in watched.windows
            if did.event in self._kinds and (end := _forgotten_at(did, self._situation, after))
        ]
        if watched.silences:
            silent_since = last_signal(self._situation, self._lifecycle)
            ends = (end_of(idle.length, silent_since, self._situation) for idle in watched.silences)
            moments += [end for end in ends if end > after]
        if watched.thresholds and self._curve and (crossing := self._crossed(watched.thresholds, after)):
            moments.append(crossing)
        if watched.slots and (stale := stale_at(self._situation, self._lifecycle, after)):
            moments.append(stale)
        return min(moments) if moments else None

    def _crossed(self, thresholds: tuple[int, ...], after: datetime) -> datetime | None:
        """Return when engagement first comes to the other side of one of `thresholds`."""
        since = ticks(after)
        if self._curve.only_falls:
            # What only falls comes to the highest threshold below it first.
            value = self._curve.least(since, since)
            below = [points for points in thresholds if points <= value]
            crossings = [self._crossing(max(below), since)] if below else []
        else:
            crossings = [self._crossing(points, since) for points in thresholds]
        first = min((at for at in crossings if at is not None), default=None)
        return None if first is None else moment(first)

    def _crossing(self, points: int, since: int) -> int | None:
        asked = (points, since)
        if asked not in self._crossings:
            self._crossings[asked] = self._curve.reaches(points, since)
        return self._crossings[asked]


def _kept(seen: Situation, at: datetime) -> tuple[object, ...]:
    assert seen.standing is not None
    return seen.standing.grade, seen.standing.level, seen.standing.slots


# --- what to watch ----------------------------------------------------------------------------------------------------


def _of_standing(lifecycle: Lifecycle) -> Watched:
    seen = _watched((*_of_fit(lifecycle), *_of_levels(lifecycle)), lifecycle)
    return _with_slots(seen, lifecycle) if lifecycle.slots else seen


def _watched(parts: Iterable[Leaf], lifecycle: Lifecycle) -> Watched:
    expanded = tuple(_expanded(parts, lifecycle))
    compared = [part for part in expanded if isinstance(part, Compare)]
    thresholds = {points for part in compared if part.field == "engagement" for points in _thresholds(part)}
    windows = tuple(dict.fromkeys(part for part in expanded if isinstance(part, Did) and part.within is not None))
    silences = tuple(dict.fromkeys(part for part in expanded if isinstance(part, Idle)))
    seen = Watched(tuple(sorted(thresholds)), windows, silences, frozenset(did.event for did in windows))
    return _with_slots(seen, lifecycle) if any(asks_slots(part.field) for part in compared) else seen


def _with_slots(seen: Watched, lifecycle: Lifecycle) -> Watched:
    return replace(seen, slots=True, kinds=seen.kinds | slot_kinds(lifecycle))


def _expanded(parts: Iterable[Leaf], lifecycle: Lifecycle) -> Iterator[Leaf]:
    """Yield what the answer depends on in the end: instead of a grade or a level, what these look at."""
    for part in parts:
        match part:
            case Compare("fit" | "fit_points"):
                yield from _of_fit(lifecycle)
            case Compare("level"):
                yield from _expanded(_of_levels(lifecycle), lifecycle)
            case Compare(field) if not is_scored(field):
                continue
            case _:
                yield part


def _of_fit(lifecycle: Lifecycle) -> Iterator[Leaf]:
    """Yield what fit rules look at; they are asked before there is a standing."""
    for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers):
        yield from (leaf for leaf in leaves(rule.when) if not isinstance(leaf, Compare))


def _of_levels(lifecycle: Lifecycle) -> Iterator[Leaf]:
    """Yield what levels look at; they are asked before there is a level."""
    for _, when in lifecycle.levels:
        yield from (leaf for leaf in leaves(when) if not isinstance(leaf, Compare) or leaf.field != "level")


# --- when it may change -----------------------------------------------------------------------------------------------


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
