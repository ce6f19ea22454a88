"""Engagement over time, if nothing more happens: what is left of it at a moment, and when it falls below a number.

Pure arithmetic. Moments are counted in whole microseconds ("ticks"), because a search for one asks dozens of times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nurture.core.definition import Category
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Event
from nurture.core.signals import SIGNAL, expires_at, strength

FORGOTTEN_AFTER = 10
"""Half-lives after which a contribution (by then a thousandth of its weight) counts nothing."""

TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Part = tuple[int, float, int]
"""A contribution: (when, points while fresh, from when on it counts nothing)."""

Parts = list[Part]


def ticks(at: datetime) -> int:
    """Return a moment in microseconds."""
    return (at - _EPOCH) // TICK


def moment(at: int) -> datetime:
    """Return the moment of so many microseconds."""
    return _EPOCH + at * TICK


def left(parts: Parts, half_life: int, at: int) -> list[float]:
    """Return what is left of contributions. One dated in the future (a clock that runs ahead) is fresh."""
    return [full * 0.5 ** ((at - since) / half_life if at > since else 0) for since, full, end in parts if at < end]


def part(event: Event, weight: int, half_life: int) -> Part:
    """Return what an event gives to a category: its weight, as far as it can be trusted and is strong, and until when.

    A contribution is forgotten after ten half-lives; an intent signal may expire before.
    """
    since = ticks(event.at)
    end, full = since + half_life * FORGOTTEN_AFTER, weight * event.trust
    if event.kind == SIGNAL:
        full *= strength(event)
        expires = expires_at(event)
        end = end if expires is None else min(end, ticks(expires))
    return since, full, end


@dataclass(slots=True)
class _Group:
    """What events gave to one category, and took away from it; `shared` is what the account earned for its people."""

    cap: int
    half_life: int
    shared_cap: int
    earned: Parts
    lost: Parts
    shared: Parts


class Curve:
    """Between which values engagement stays until a later moment.

    What was earned only shrinks, and so does what was taken away: the least is all that is left of the one, less all
    of the other. Without negative weights the least is engagement itself and the most what it was.
    """

    def __init__(self, events: Iterable[Event], lifecycle: Lifecycle, shared: Iterable[Event] = ()) -> None:
        """Take the events that weigh anything; `shared` are those about the account alone."""
        weighing = lifecycle.derived(_weighing)
        groups: dict[int, _Group] = {}
        for event in events:
            for place, weight in weighing.get(event.kind, ()):
                group = groups.get(place)
                if group is None:
                    group = groups[place] = _group(lifecycle.categories[place])
                if event.kind == SIGNAL:
                    made = part(event, weight, group.half_life)
                else:  # as `part` does, without a call for each of thousands of events
                    since = ticks(event.at)
                    made = since, weight * event.trust, since + group.half_life * FORGOTTEN_AFTER
                (group.earned if weight >= 0 else group.lost).append(made)
        for event in shared:
            for place, weight in weighing.get(event.kind, ()):
                group = groups.setdefault(place, _group(lifecycle.categories[place]))
                if group.shared_cap:
                    made = part(event, weight, group.half_life)
                    (group.shared if weight >= 0 else group.lost).append(made)
        self._groups = [groups[place] for place in sorted(groups)]
        self.only_falls = not any(group.lost for group in self._groups)

    def __bool__(self) -> bool:
        """Return whether anything weighs."""
        return bool(self._groups)

    def least(self, until: int, since: int) -> int:
        """Return the least that engagement is from `since` until `until`; with both the same, what it is then."""
        value = 0
        for group in self._groups:
            earned, lost = left(group.earned, group.half_life, until), left(group.lost, group.half_life, since)
            if group.shared:
                earned.append(min(group.shared_cap, math.fsum(left(group.shared, group.half_life, until))))
            value += _capped(group.cap, earned, lost)
        return value

    def reaches(self, points: int, since: int) -> int | None:
        """Return the earliest tick after `since` at which it may be on the other side of `points`, None if never."""
        if not self._groups:
            return None
        if self.least(since, since) >= points:
            return self._first(lambda at: self.least(at, since) < points, since, self._guess(points, since))
        if self.only_falls:
            return None
        return self._first(lambda at: self.least(since, at) >= points, since, None)

    def _first(self, happened: Callable[[int], bool], since: int, guess: int | None) -> int | None:
        """Return the earliest tick after `since` at which `happened`, which then stays so, looking near `guess`."""
        early, late = since, self._settled(since)
        if late <= early or not happened(late):
            return None
        step = 1
        while guess is not None and early < guess < late:
            if happened(guess):
                late, guess = guess, guess - step
            else:
                early, guess = guess, guess + step
            step *= 8
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (early, middle) if happened(middle) else (middle, late)
        return late

    def _settled(self, since: int) -> int:
        """Return when nothing counts any more."""
        ends = (end for g in self._groups for _, _, end in (*g.earned, *g.lost, *g.shared))
        return max(ends, default=since)

    def _guess(self, points: int, since: int) -> int | None:
        """Return about when it falls below `points`, as if nothing were ever forgotten.

        All contributions to a category shrink alike, so that their sum is one number with one half-life.
        """
        sums = [
            (
                group.cap,
                group.half_life,
                sum(left([*group.earned, *group.shared], group.half_life, since)),
                sum(left(group.lost, group.half_life, since)),
            )
            for group in self._groups
        ]
        if len(sums) == 1:
            _, half_life, earned, lost = sums[0]
            rest = points - 0.5 - lost
            return since + math.ceil(half_life * math.log2(earned / rest)) if 0 < rest < earned else None
        return _falls_below(points, sums, since, self._settled(since))


def _group(category: Category) -> _Group:
    return _Group(category.cap, category.half_life // TICK, category.account_cap, [], [], [])


def _falls_below(points: int, sums: Sequence[tuple[int, int, float, float]], since: int, settled: int) -> int:
    early, late = 0, settled - since
    while late - early > 1:
        middle = (early + late) // 2
        value = 0
        for cap, half_life, earned, lost in sums:
            value += min(cap, math.floor(earned * 0.5 ** (middle / half_life) + lost + 0.5))
        early, late = (early, middle) if value < points else (middle, late)
    return since + late


def _capped(cap: int, earned: list[float], lost: list[float]) -> int:
    """Return what a category gives: the sum of its parts, at most its cap, rounded half up."""
    return min(cap, math.floor(math.fsum(earned + lost) + 0.5))


def _weighing(lifecycle: Lifecycle) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return for each kind of event the places of the categories that it counts for, and its weight there."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, category in enumerate(lifecycle.categories):
        for kind, weight in category.weights.items():
            if weight:
                found.setdefault(kind, []).append((place, weight))
    return {kind: tuple(places) for kind, places in found.items()}
