"""Fit and engagement, computed at a moment and never accumulated; the standing that conditions read. Pure arithmetic.

Fit is a sum of points over what is known of the person and the company (unknown is neutral) and never decays by itself.
Engagement is `Σ over categories of min(cap, Σ weight · trust · 2^(−age / half-life))`. Points are integer hundredths,
rounded once per category. A receipt says why someone stands where they stand, and what would change it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from nurture.core.conditions import evaluate, event_kinds, say
from nurture.core.events import KINDS
from nurture.core.lifecycle import Category, FitRule, Lifecycle
from nurture.core.model import Event, Situation, Standing

FORGOTTEN_AFTER = 10
"""Half-lives after which a contribution (by then a thousandth of its weight) counts nothing."""

_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def restand(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Situation:
    """Return the situation with the standing that it has at `now`."""
    return replace(situation, standing=standing(situation, lifecycle, now))


def standing(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Standing:
    """Return fit, engagement and level at `now`, computed afresh from the situation's facts and events."""
    points, grade = fit(situation, lifecycle, now)
    return leveled(situation, lifecycle, points, grade, engagement(situation, lifecycle, now), now)


def leveled(
    situation: Situation, lifecycle: Lifecycle, fit_points: int, grade: str, points: int, now: datetime
) -> Standing:
    """Return the standing of somebody with this fit and engagement: the first level whose condition holds."""
    bare = Standing(fit_points, grade, points, as_of=now, model_hash=lifecycle.hash)
    seen = replace(situation, standing=bare)
    level = next((name for name, when in lifecycle.levels if evaluate(when, seen, lifecycle, now)), None)
    return bare if level is None else replace(bare, level=level)


def fit(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[int, str]:
    """Return the points of all rules that hold, and the grade; whoever is disqualified has the last grade."""
    unscored = _unscored(situation)
    points = sum(rule.points for rule in lifecycle.fit.rules if evaluate(rule.when, unscored, lifecycle, now))
    if next(disqualified(unscored, lifecycle, now), None):
        return points, lifecycle.fit.grades[-1][0]
    return points, grade_of(points, lifecycle)


def disqualified(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[FitRule]:
    """Yield the disqualifiers that hold."""
    unscored = _unscored(situation)
    return (rule for rule in lifecycle.fit.disqualifiers if evaluate(rule.when, unscored, lifecycle, now))


def _unscored(situation: Situation) -> Situation:
    """Return the situation as fit rules see it: they are asked before there is a standing."""
    return situation if situation.standing is None else replace(situation, standing=None)


def grade_of(points: int, lifecycle: Lifecycle) -> str:
    """Return the best grade that `points` reach, else the last one."""
    grades = lifecycle.fit.grades
    return next((grade for grade, least in grades if points >= least), grades[-1][0])


def engagement(situation: Situation, lifecycle: Lifecycle, now: datetime) -> int:
    """Return the engagement at `now`."""
    return _Curve(situation, lifecycle, now).least(now)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one event gives to one category while it is fresh; after every half-life it is half of that."""

    event: Event
    full: float


def contributions(category: Category, situation: Situation) -> Iterator[Contribution]:
    """Yield what the events give to a category, before the cap, oldest first."""
    return (
        Contribution(event, weight * event.trust)
        for event in situation.events
        if (weight := category.weights.get(event.kind))
    )


def reaches(situation: Situation, lifecycle: Lifecycle, points: int, now: datetime) -> datetime | None:
    """Return the earliest moment after `now` at which time alone may bring engagement to the other side of `points`.

    From `points` or more to less, or (only where weights are negative) from less to `points` or more; None if never.
    Exact to the microsecond while all weights are positive, and never late: with negative weights, which make the
    curve go up and down, the true moment may be later.
    """
    curve = _Curve(situation, lifecycle, now)
    if curve.least(now) >= points:
        return curve.first(lambda at: curve.least(at) < points)
    return curve.first(lambda at: curve.most(at) >= points)


class _Curve:
    """Engagement from `since` on, if nothing happens: between which values it stays until a later moment.

    What was earned only shrinks, and so does what was taken away: the least is all that is left of the one, less all
    of the other. Without negative weights the least is engagement itself and the most what it was. Moments are counted
    in microseconds, because a search for one asks dozens of times.
    """

    def __init__(self, situation: Situation, lifecycle: Lifecycle, since: datetime) -> None:
        self._since = _ticks(since)
        self._categories = []
        for category in lifecycle.categories:
            parts = [(_ticks(part.event.at), part.full) for part in contributions(category, situation)]
            if parts:
                earned, lost = [p for p in parts if p[1] > 0], [p for p in parts if p[1] <= 0]
                self._categories.append((category.cap, category.half_life // _TICK, earned, lost))

    def least(self, until: datetime) -> int:
        return self._sum(earned_at=_ticks(until), lost_at=self._since)

    def most(self, until: datetime) -> int:
        return self._sum(earned_at=self._since, lost_at=_ticks(until))

    def first(self, happened: Callable[[datetime], bool]) -> datetime | None:
        """Return the earliest moment after `since` at which `happened`, which then stays so; None if never."""
        early, late = self._since, self._settled()
        if late <= early or not happened(_moment(late)):
            return None
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (early, middle) if happened(_moment(middle)) else (middle, late)
        return _moment(late)

    def _settled(self) -> int:
        """Return when nothing counts any more."""
        ends = (
            at + half_life * FORGOTTEN_AFTER
            for _, half_life, earned, lost in self._categories
            for at, _ in (*earned, *lost)
        )
        return max(ends, default=self._since)

    def _sum(self, *, earned_at: int, lost_at: int) -> int:
        return sum(
            _capped(cap, [*_left(earned, half_life, earned_at), *_left(lost, half_life, lost_at)])
            for cap, half_life, earned, lost in self._categories
        )


def _left(parts: list[tuple[int, float]], half_life: int, now: int) -> list[float]:
    """Return what is left of contributions. One dated in the future (a clock that runs ahead) is fresh."""
    forgotten = now - half_life * FORGOTTEN_AFTER
    return [full * 0.5 ** ((now - at) / half_life if now > at else 0) for at, full in parts if at > forgotten]


def _capped(cap: int, parts: Iterable[float]) -> int:
    """Return what a category gives: the sum of its parts, at most its cap, rounded half up."""
    return min(cap, math.floor(math.fsum(parts) + 0.5))


def _ticks(at: datetime) -> int:
    return (at - _EPOCH) // _TICK


def _moment(ticks: int) -> datetime:
    return _EPOCH + ticks * _TICK


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule of the fit model: what it asks in a sentence, its points (hundredths), whether it holds."""

    label: str
    asks: str
    points: int
    holds: bool
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one event gives now, and gave when it was fresh (hundredths, before the cap)."""

    event: Event
    fresh: int
    points: int


@dataclass(frozen=True, slots=True)
class CategoryLine:
    """One category: what its events give together (`earned`), and what counts after its cap (`points`)."""

    name: str
    cap: int
    earned: int
    points: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that would lift the grade or the level, and to what."""

    what: str
    grade: str
    level: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Why a contact stands where they stand at `standing.as_of`, and what single thing would lift them."""

    standing: Standing
    rules: tuple[RuleLine, ...]
    disqualified: tuple[RuleLine, ...]
    categories: tuple[CategoryLine, ...]
    changes: tuple[Change, ...]


def receipt(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Receipt:
    """Return every contribution to the standing at `now`, computed afresh, and what would change it."""
    seen = restand(situation, lifecycle, now)
    assert seen.standing is not None
    rules = tuple(_rule_line(rule, seen, lifecycle, now) for rule in lifecycle.fit.rules)
    return Receipt(
        standing=seen.standing,
        rules=rules,
        disqualified=tuple(_rule_line(r, seen, lifecycle, now) for r in disqualified(seen, lifecycle, now)),
        categories=tuple(_category_line(category, seen, now) for category in lifecycle.categories),
        changes=(*_by_events(seen, lifecycle, now), *_by_facts(seen, lifecycle, rules, now)),
    )


def _rule_line(rule: FitRule, situation: Situation, lifecycle: Lifecycle, now: datetime) -> RuleLine:
    holds = evaluate(rule.when, _unscored(situation), lifecycle, now)
    return RuleLine(rule.label, say(rule.when), rule.points, holds, rule.line)


def _category_line(category: Category, situation: Situation, now: datetime) -> CategoryLine:
    half_life, entries, left = category.half_life // _TICK, [], []
    for part in contributions(category, situation):
        for points in _left([(_ticks(part.event.at), part.full)], half_life, _ticks(now)):
            entries.append(Entry(part.event, round(part.full), round(points)))
            left.append(points)
    earned = math.floor(math.fsum(left) + 0.5)
    return CategoryLine(category.name, category.cap, earned, min(category.cap, earned), tuple(entries))


def _by_events(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[Change]:
    scoring = {kind for category in lifecycle.categories for kind, weight in category.weights.items() if weight > 0}
    asked = {kind for _, when in lifecycle.levels for kind in event_kinds(when)}
    for kind in sorted(scoring | asked):
        event = Event(kind, now, "receipt", kind, situation.contact.id)
        then = standing(replace(situation, events=(*situation.events, event)), lifecycle, now)
        if _lifts(then, situation, lifecycle):
            label = KINDS[kind].label if kind in KINDS else kind.replace("_", " ")
            yield Change(f"one more: {label}", then.grade, then.level)


def _by_facts(
    situation: Situation, lifecycle: Lifecycle, rules: tuple[RuleLine, ...], now: datetime
) -> Iterator[Change]:
    current = situation.standing
    assert current is not None
    reasons = list(disqualified(situation, lifecycle, now))
    gains = [(rule.asks, rule.points) for rule in rules if rule.points > 0 and not rule.holds] if not reasons else []
    if len(reasons) == 1:
        gains.append((f"not ({say(reasons[0].when)})", 0))
    for what, gain in gains:
        points = current.fit_points + gain
        then = leveled(situation, lifecycle, points, grade_of(points, lifecycle), current.engagement, now)
        if _lifts(then, situation, lifecycle):
            yield Change(what, then.grade, then.level)


def _lifts(then: Standing, situation: Situation, lifecycle: Lifecycle) -> bool:
    """Return whether `then` has a better grade or level than the situation's standing."""
    now = situation.standing
    assert now is not None
    grades = [grade for grade, _ in lifecycle.fit.grades]
    levels = [*(name for name, _ in lifecycle.levels), None]
    return grades.index(then.grade) < grades.index(now.grade) or levels.index(then.level) < levels.index(now.level)
