"""Fit and engagement, computed at a moment and never accumulated; the standing that conditions read. Pure arithmetic.

Fit is a sum of points over what is known of the person and the company (unknown is neutral) and never decays by itself.
Engagement is `Σ over categories of min(cap, Σ weight · trust · 2^(−age / half-life))`. Points are integer hundredths,
rounded once per category. Why someone stands where they stand, and what would change it, says `receipts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from nurture.core.conditions import Compare, Leaf, evaluate, leaves
from nurture.core.decay import Curve, moment, ticks
from nurture.core.facts import is_scored
from nurture.core.lifecycle import FitRule, Lifecycle
from nurture.core.model import Situation, Standing
from nurture.core.qualification import filled


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
    """Return the situation with this fit and engagement, the slots that are filled, and the level that follows."""
    slots = filled(situation, lifecycle, now) if lifecycle.slots else ()
    bare = Standing(fit_points, grade, points, now, None, lifecycle.hash, slots)
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
        situation.account_events,
        situation.bar,
        situation.segments,
    )


def fit(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[int, str]:
    """Return the points of all rules that hold, and the grade; whoever is disqualified has the last grade."""
    seen = unscored(situation, lifecycle)
    points = 0
    for rule in lifecycle.fit.rules:
        if rule.when.test(seen, lifecycle, now):
            points += rule.points
    for rule in lifecycle.fit.disqualifiers:
        if rule.when.test(seen, lifecycle, now):
            return points, lifecycle.fit.grades[-1][0]
    return points, grade_of(points, lifecycle)


def disqualified(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[FitRule]:
    """Yield the disqualifiers that hold."""
    seen = unscored(situation, lifecycle)
    return (rule for rule in lifecycle.fit.disqualifiers if evaluate(rule.when, seen, lifecycle, now))


def fades(lifecycle: Lifecycle) -> bool:
    """Return whether time alone may change somebody's fit."""
    return lifecycle.derived(_fades)


def _fades(lifecycle: Lifecycle) -> bool:
    return any(not isinstance(leaf, Compare) for leaf in _asked_of_fit(lifecycle))


def _asks_scores(lifecycle: Lifecycle) -> bool:
    return any(isinstance(leaf, Compare) and is_scored(leaf.field) for leaf in _asked_of_fit(lifecycle))


def _asked_of_fit(lifecycle: Lifecycle) -> Iterator[Leaf]:
    return (leaf for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers) for leaf in leaves(rule.when))


def unscored(situation: Situation, lifecycle: Lifecycle) -> Situation:
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
    return Curve(situation.events, lifecycle, situation.account_events).least(at, at)


def reaches(situation: Situation, lifecycle: Lifecycle, points: int, now: datetime) -> datetime | None:
    """Return the earliest moment after `now` at which time alone may bring engagement to the other side of `points`.

    From `points` or more to less, or (only where weights are negative) from less to `points` or more; None if never.
    Exact to the microsecond while all weights are positive, and never late: with negative weights, which make the
    curve go up and down, the true moment may be later.
    """
    at = Curve(situation.events, lifecycle, situation.account_events).reaches(points, ticks(now))
    return None if at is None else moment(at)
