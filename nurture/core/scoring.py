"""Fit and engagement, computed at a moment and never accumulated; the standing that conditions read. Pure arithmetic.

Fit is a sum of points over what is known of the person and the company (unknown is neutral) and never decays by itself.
Engagement is `Σ over categories of min(cap, Σ weight · trust · 2^(−age / half-life))`. Points are integer hundredths,
rounded once per category. A receipt says why someone stands where they stand, and what would change it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from nurture.core.conditions import Compare, Did, Idle, evaluate, event_kinds, leaves, say
from nurture.core.decay import TICK, Curve, left, moment, ticks
from nurture.core.events import KINDS
from nurture.core.facts import SCORED
from nurture.core.lifecycle import Category, FitRule, Lifecycle
from nurture.core.model import Event, Situation, Standing


def restand(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Situation:
    """Return the situation with the standing that it has at `now`."""
    points, grade = fit(situation, lifecycle, now)
    return restood(situation, lifecycle, points, grade, engagement(situation, lifecycle, now), now)


def standing(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Standing:
    """Return fit, engagement and level at `now`."""
    points, grade = fit(situation, lifecycle, now)
    return leveled(situation, lifecycle, points, grade, engagement(situation, lifecycle, now), now)


def leveled(
    situation: Situation, lifecycle: Lifecycle, fit_points: int, grade: str, points: int, now: datetime
) -> Standing:
    """Return the standing of somebody with this fit and engagement: the first level whose condition holds."""
    found = restood(situation, lifecycle, fit_points, grade, points, now).standing
    assert found is not None
    return found


def restood(
    situation: Situation, lifecycle: Lifecycle, fit_points: int, grade: str, points: int, now: datetime
) -> Situation:
    """Return the situation with this fit and engagement, and the level that follows."""
    bare = Standing(fit_points, grade, points, now, None, lifecycle.hash)
    seen = standing_as(situation, bare)
    for name, when in lifecycle.levels:
        if when.test(seen, lifecycle, now):
            return standing_as(situation, replace(bare, level=name))
    return seen


def standing_as(situation: Situation, standing: Standing | None) -> Situation:
    """Return the situation with another standing (three times as fast as `replace`)."""
    return Situation(
        situation.contact,
        situation.events,
        standing,
        situation.stage_changes,
        situation.suppressions,
        situation.enrollments,
        situation.messages,
        situation.tasks,
        situation.open_handoff,
    )


def fit(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[int, str]:
    """Return the points of all rules that hold, and the grade; whoever is disqualified has the last grade."""
    unscored = _unscored(situation, lifecycle)
    points = 0
    for rule in lifecycle.fit.rules:
        if rule.when.test(unscored, lifecycle, now):
            points += rule.points
    for rule in lifecycle.fit.disqualifiers:
        if rule.when.test(unscored, lifecycle, now):
            return points, lifecycle.fit.grades[-1][0]
    return points, grade_of(points, lifecycle)


def disqualified(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[FitRule]:
    """Yield the disqualifiers that hold."""
    unscored = _unscored(situation, lifecycle)
    return (rule for rule in lifecycle.fit.disqualifiers if evaluate(rule.when, unscored, lifecycle, now))


def fades(lifecycle: Lifecycle) -> bool:
    """Return whether time alone may change somebody's fit."""
    return lifecycle.derived(_fades)


def _fades(lifecycle: Lifecycle) -> bool:
    return any(not isinstance(leaf, Compare) for leaf in _asked_of_fit(lifecycle))


def _asks_scores(lifecycle: Lifecycle) -> bool:
    return any(isinstance(leaf, Compare) and leaf.field in SCORED for leaf in _asked_of_fit(lifecycle))


def _asked_of_fit(lifecycle: Lifecycle) -> Iterator[Compare | Did | Idle]:
    return (leaf for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers) for leaf in leaves(rule.when))


def _unscored(situation: Situation, lifecycle: Lifecycle) -> Situation:
    """Return the situation as fit rules see it: they are asked before there is a standing."""
    if situation.standing is None or not lifecycle.derived(_asks_scores):
        return situation
    return standing_as(situation, None)


def grade_of(points: int, lifecycle: Lifecycle) -> str:
    """Return the best grade that `points` reach, else the last one."""
    grades = lifecycle.fit.grades
    return next((grade for grade, least in grades if points >= least), grades[-1][0])


def engagement(situation: Situation, lifecycle: Lifecycle, now: datetime) -> int:
    """Return the engagement at `now`."""
    at = ticks(now)
    return Curve(situation.events, lifecycle).least(at, at)


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
    at = Curve(situation.events, lifecycle).reaches(points, ticks(now))
    return None if at is None else moment(at)


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
    holds = evaluate(rule.when, _unscored(situation, lifecycle), lifecycle, now)
    return RuleLine(rule.label, say(rule.when), rule.points, holds, rule.line)


def _category_line(category: Category, situation: Situation, now: datetime) -> CategoryLine:
    half_life, entries, points_left = category.half_life // TICK, [], []
    for part in contributions(category, situation):
        for points in left([(ticks(part.event.at), part.full)], half_life, ticks(now)):
            entries.append(Entry(part.event, round(part.full), round(points)))
            points_left.append(points)
    earned = math.floor(math.fsum(points_left) + 0.5)
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
