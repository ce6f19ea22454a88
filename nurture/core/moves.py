"""How a contact moves through a lifecycle, in both directions, and when time alone could move them.

Nobody flaps: a move waits for its dwell in the stage it leaves, for its cool-off in the stage it goes to, and is made
at most so often. Beyond that, hysteresis is a matter of conditions that differ between going and coming back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from nurture.core.bars import bar_ends, is_forever
from nurture.core.changes import Outlook, Watched, watched
from nurture.core.conditions import Condition, end_of
from nurture.core.effects import MoveStage
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.model import Event, Situation, StageChange
from nurture.core.words import Role
from nurture.errors import Refused

REVIEW_EVERY = timedelta(hours=1)
"""No contact is reviewed sooner than this after the last time that it was looked at."""


def move(
    situation: Situation, lifecycle: Lifecycle, now: datetime, *, avoiding: Collection[str] = ()
) -> MoveStage | None:
    """Return the first move that may be made now and whose condition holds, None to stay.

    A move without a condition is only ever made by hand. Stages in `avoiding` are not entered.
    """
    for rule, _ in _ways(situation, lifecycle):
        if rule.when is None or rule.to_stage in avoiding or not rule.when.test(situation, lifecycle, now):
            continue
        if (opens := opens_at(rule, situation, lifecycle)) is not None and opens <= now:
            return MoveStage(rule.from_stage, rule.to_stage, rule.reason, f"{lifecycle.file}:{rule.line}")
    return None


def manual_move(
    situation: Situation, lifecycle: Lifecycle, to: str, reason: str, actor: str, now: datetime
) -> MoveStage:
    """Return the move that a person (or a step) asks for; raise Refused when the lifecycle does not list it.

    Conditions, dwell, cool-off and `at_most` bind the engine, not people.
    """
    stage = situation.contact.stage
    if to not in (known := [each.name for each in lifecycle.stages]):
        raise Refused(f"there is no stage {to!r} in lifecycle {lifecycle.name!r}: it has {', '.join(known)}")
    if to == stage:
        raise Refused(f"the contact is in stage {to!r} already")
    allowed = list(dict.fromkeys(rule.to_stage for rule, _ in _ways(situation, lifecycle)))
    if to not in allowed:
        where = ", ".join(allowed) or "no stage"
        raise Refused(
            f"lifecycle {lifecycle.name!r} has no move from {stage!r} to {to!r}: from there it leads to {where}"
        )
    return MoveStage(stage, to, reason, rule=actor, actor=actor)


def asked_for(situation: Situation, fresh: tuple[Event, ...], lifecycle: Lifecycle, now: datetime) -> MoveStage | None:
    """Return the move that the last event with a stage asks for; what the lifecycle refuses is not made."""
    for event in reversed(fresh):
        if event.kind in ASKING and isinstance(to := event.data.get("stage"), str):
            reason, actor = str(event.data.get("reason", "asked for")), str(event.data.get("actor", event.source))
            try:
                return manual_move(situation, lifecycle, to, reason, actor, now)
            except Refused:
                return None
    return None


def after_move(
    situation: Situation, made: MoveStage, number: int, now: datetime
) -> tuple[Situation, tuple[Event, ...]]:
    """Return the situation after a move, to be scored again, and the two events that it is on the timeline.

    `number` tells the moves of one moment apart.
    """
    change = StageChange(made.from_stage, made.to_stage, now, made.reason, made.actor)
    happened = tuple(
        Event(kind, now, "engine", f"{kind}:now:{number}", situation.contact.id, data={"stage": stage})
        for kind, stage in (("stage_left", made.from_stage), ("stage_entered", made.to_stage))
    )
    after = replace(
        situation,
        contact=replace(situation.contact, stage=made.to_stage, stage_since=now),
        stage_changes=(*situation.stage_changes, change),
        events=(*situation.events, *happened),
    )
    return after, happened


def opens_at(rule: Move, situation: Situation, lifecycle: Lifecycle) -> datetime | None:
    """Return from when on a move may be made (a moment long past where nothing bars it), None when never again."""
    made = (rule.from_stage, rule.to_stage, rule.reason)
    times = sum((change.from_stage, change.to_stage, change.reason) == made for change in situation.stage_changes)
    if rule.at_most is not None and times >= rule.at_most:
        return None
    if lifecycle.recycles is not None and is_recycling(rule.from_stage, rule.to_stage, lifecycle):
        been = sum(is_recycling(each.from_stage, each.to_stage, lifecycle) for each in situation.stage_changes)
        if been >= lifecycle.recycles:
            return None
    opens = situation.contact.stage_since
    if rule.dwell:
        opens = end_of(rule.dwell, opens, situation)
    cooled = _cooled_off(rule, opens, situation)
    if cooled is None or situation.bar is None or (ends := bar_ends(rule, situation, lifecycle)) is None:
        return cooled
    return None if is_forever(ends) else max(cooled, ends)


def is_recycling(from_stage: str | None, to_stage: str, lifecycle: Lifecycle) -> bool:
    """Return whether a move gives somebody back: from a stage of role `engage` to one of role `nurture`."""
    if from_stage is None:
        return False
    return (lifecycle.stage(from_stage).role, lifecycle.stage(to_stage).role) == (Role.ENGAGE, Role.NURTURE)


def _cooled_off(rule: Move, opens: datetime, situation: Situation) -> datetime | None:
    """Return the later of `opens` and the end of the cool-off for the reason for which the contact left last."""
    if rule.cool_off is None and not rule.cool_off_by:
        return opens
    left = [change for change in situation.stage_changes if change.from_stage == rule.to_stage]
    if not left:
        return opens
    last = max(left, key=lambda change: change.at)
    length = dict(rule.cool_off_by).get(last.reason, rule.cool_off)
    if length is None:
        return None if last.reason in dict(rule.cool_off_by) else opens
    return max(opens, end_of(length, last.at, situation))


def review_at(
    situation: Situation,
    lifecycle: Lifecycle,
    now: datetime,
    also: Sequence[tuple[Condition, Watched]] = (),
) -> datetime | None:
    """Return the earliest moment at which time alone could change anything about a contact, None if it cannot.

    That is: another grade or level, the condition of a move coming true, or the end of the dwell or cool-off of a move
    whose condition holds. Never sooner than an hour from `now`. Conditions of sequences (`enroll_when`, audiences,
    goals, branches) are not watched: they are asked when something happens, a review that changes nothing included.
    The situation's standing must be the one at `now`. `also` are more conditions to watch: the rules of segments.
    """
    outlook = Outlook(situation, lifecycle, now)
    moments = [outlook.standing_changes()]
    moments += [_may_be_made_at(way, outlook, situation, lifecycle, now) for way in _ways(situation, lifecycle)]
    moments += [outlook.changes(rule, seen) for rule, seen in also]
    earliest = min((moment for moment in moments if moment is not None), default=None)
    return None if earliest is None else max(earliest, now + REVIEW_EVERY)


def _may_be_made_at(
    way: Way, outlook: Outlook, situation: Situation, lifecycle: Lifecycle, now: datetime
) -> datetime | None:
    """Return the first moment after `now` at which a move that is not made now could be made."""
    rule, watched = way
    if rule.when is None:
        return None
    if rule.when.test(situation, lifecycle, now):
        opens = opens_at(rule, situation, lifecycle)
        return opens if opens is not None and opens > now else None
    holds = outlook.changes(rule.when, watched)
    if holds is None or (opens := opens_at(rule, situation, lifecycle)) is None:
        return None
    return max(holds, opens)


ASKING = frozenset({"updated", "handoff_rejected", "handoff_returned", "handoff_resumed"})
"""Kinds of events whose `data.stage` asks for a move."""

Way = tuple[Move, Watched]
"""A move, and what time can change about its condition."""


def _ways(situation: Situation, lifecycle: Lifecycle) -> Sequence[Way]:
    """Return the moves that lead out of the contact's stage."""
    return lifecycle.derived(_by_stage).get(situation.contact.stage, ())


def _by_stage(lifecycle: Lifecycle) -> dict[str, list[Way]]:
    found: dict[str, list[Way]] = {}
    for rule in lifecycle.moves:
        seen = watched(rule.when, lifecycle) if rule.when is not None else Watched()
        found.setdefault(rule.from_stage, []).append((rule, seen))
    return found
