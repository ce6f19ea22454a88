"""Receipts: every contribution to a standing, the slots that are known, and what single thing would change it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from nurture.core.conditions import evaluate, event_kinds, say
from nurture.core.decay import TICK, left, part, ticks
from nurture.core.definition import Category, Slot
from nurture.core.events import KINDS
from nurture.core.lifecycle import FitRule, Lifecycle
from nurture.core.model import Event, Situation, Standing
from nurture.core.moves import move
from nurture.core.qualification import SLOT_SET, SlotLine, lines
from nurture.core.scoring import disqualified, grade_of, leveled, restand, standing_as, unscored


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
    """What one event gives now, and gave when it was fresh (hundredths, before the cap); less than 0 takes away.

    `shared` ones happened to the account, and lift all of its people.
    """

    event: Event
    fresh: int
    points: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class CategoryLine:
    """One category: what its events give together (`earned`), and what counts after its cap (`points`)."""

    name: str
    cap: int
    earned: int
    points: int
    entries: tuple[Entry, ...]
    account_cap: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Something that would lift the grade or the level or move the contact, and to what (`stage` None: no move)."""

    what: str
    grade: str
    level: str | None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Why a contact stands where they stand at `standing.as_of`, and what single thing would lift them."""

    standing: Standing
    rules: tuple[RuleLine, ...]
    disqualified: tuple[RuleLine, ...]
    categories: tuple[CategoryLine, ...]
    changes: tuple[Change, ...]
    slots: tuple[SlotLine, ...] = ()


def receipt(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Receipt:
    """Return every contribution to the standing at `now`, computed afresh, and what would change it."""
    seen = restand(situation, lifecycle, now)
    assert seen.standing is not None
    rules = tuple(_rule_line(rule, seen, lifecycle, now) for rule in lifecycle.fit.rules)
    slots = lines(seen, lifecycle, now)
    return Receipt(
        standing=seen.standing,
        rules=rules,
        disqualified=tuple(_rule_line(r, seen, lifecycle, now) for r in disqualified(seen, lifecycle, now)),
        categories=tuple(_category_line(category, seen, now) for category in lifecycle.categories),
        changes=(
            *_by_events(seen, lifecycle, now),
            *_by_facts(seen, lifecycle, rules, now),
            *_by_slots(seen, lifecycle, slots, now),
        ),
        slots=slots,
    )


def gains(
    situation: Situation, lifecycle: Lifecycle, now: datetime
) -> tuple[tuple[RuleLine, ...], tuple[CategoryLine, ...]]:
    """Return the fit rules that hold, and what every category gives: a receipt without what would change it."""
    rules = (_rule_line(rule, situation, lifecycle, now) for rule in lifecycle.fit.rules)
    held = tuple(rule for rule in rules if rule.holds)
    return held, tuple(_category_line(category, situation, now) for category in lifecycle.categories)


def _rule_line(rule: FitRule, situation: Situation, lifecycle: Lifecycle, now: datetime) -> RuleLine:
    holds = evaluate(rule.when, unscored(situation, lifecycle), lifecycle, now)
    return RuleLine(rule.label, say(rule.when), rule.points, holds, rule.line)


def _category_line(category: Category, situation: Situation, now: datetime) -> CategoryLine:
    own = list(_entries(category, situation.events, now))
    shared = list(_entries(category, situation.account_events, now)) if category.account_cap else []
    gives = [points for _, points in own] + [points for _, points in shared if points < 0]
    if shared:
        gives.append(min(category.account_cap, math.fsum(points for _, points in shared if points >= 0)))
    earned = math.floor(math.fsum(gives) + 0.5)
    entries = (*(entry for entry, _ in own), *(replace(entry, shared=True) for entry, _ in shared))
    counts = min(category.cap, earned)
    return CategoryLine(category.name, category.cap, earned, counts, entries, category.account_cap)


def _entries(category: Category, events: Sequence[Event], now: datetime) -> Iterator[tuple[Entry, float]]:
    """Yield what events give to a category now, as a line and exactly, oldest first; forgotten ones are left out."""
    half_life = category.half_life // TICK
    for event in events:
        if weight := category.weights.get(event.kind):
            made = part(event, weight, half_life)
            for points in left([made], half_life, ticks(now)):
                yield Entry(event, round(made[1]), round(points)), points


# --- what would change it ---------------------------------------------------------------------------------------------


def _by_events(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[Change]:
    scoring = {kind for category in lifecycle.categories for kind, weight in category.weights.items() if weight > 0}
    asked = {kind for _, when in lifecycle.levels for kind in event_kinds(when)}
    stage = situation.contact.stage
    ways = [rule.when for rule in lifecycle.moves if rule.when is not None and rule.from_stage == stage]
    asked.update(kind for when in ways for kind in event_kinds(when))
    for kind in sorted(scoring | asked):
        event = Event(kind, now, "receipt", kind, situation.contact.id)
        then = restand(replace(situation, events=(*situation.events, event)), lifecycle, now)
        label = KINDS[kind].label if kind in KINDS else kind.replace("_", " ")
        yield from _change(f"one more: {label}", then, situation, lifecycle, now)


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
        yield from _change(what, standing_as(situation, then), situation, lifecycle, now)


def _by_slots(situation: Situation, lifecycle: Lifecycle, slots: Sequence[SlotLine], now: datetime) -> Iterator[Change]:
    """Yield what one more filled slot would change; where one is not enough, how many would."""
    unfilled = [line.slot for line in slots if not line.counts]
    enough = False
    for slot in unfilled:
        tried = (
            _change(
                _said(slot, value), _with_slots(situation, [(slot, value)], lifecycle, now), situation, lifecycle, now
            )
            for value in _best_values(slot)
        )
        if change := next(chain.from_iterable(tried), None):
            enough = True
            yield change
    if enough:
        return
    for count in range(2, len(unfilled) + 1):
        several = [(slot, _best_values(slot)[-1]) for slot in unfilled[:count]]
        what = " and ".join(_said(slot, value) for slot, value in several)
        found = list(_change(what, _with_slots(situation, several, lifecycle, now), situation, lifecycle, now))
        if found:
            yield from found
            return


def _best_values(slot: Slot) -> Sequence[str]:
    return [value for value in slot.values if value not in slot.against] or ["known"]


def _said(slot: Slot, value: str) -> str:
    return f"{slot.label} is {value}" if slot.values else f"{slot.label} is known"


def _with_slots(
    situation: Situation, values: Sequence[tuple[Slot, str]], lifecycle: Lifecycle, now: datetime
) -> Situation:
    said = tuple(
        Event(SLOT_SET, now, "receipt", slot.name, situation.contact.id, data={"slot": slot.name, "value": value})
        for slot, value in values
    )
    return restand(replace(situation, events=(*situation.events, *said)), lifecycle, now)


def _change(what: str, then: Situation, situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[Change]:
    """Yield the change if the grade or the level is better then, or another move would be made."""
    assert then.standing is not None
    made, present = move(then, lifecycle, now), move(situation, lifecycle, now)
    moves = made.to_stage if made and (present is None or present.to_stage != made.to_stage) else None
    if moves or _lifts(then.standing, situation, lifecycle):
        yield Change(what, then.standing.grade, then.standing.level, moves)


def _lifts(then: Standing, situation: Situation, lifecycle: Lifecycle) -> bool:
    """Return whether `then` has a better grade or level than the situation's standing."""
    now = situation.standing
    assert now is not None
    grades = [grade for grade, _ in lifecycle.fit.grades]
    levels = [*(name for name, _ in lifecycle.levels), None]
    return grades.index(then.grade) < grades.index(now.grade) or levels.index(then.level) < levels.index(now.level)
