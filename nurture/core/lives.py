"""What a lifecycle would have made of a contact's history: their life under it, from the first event on. Pure.

What happened to the contact and what sequences ran is taken as it was; what the engine itself concluded (stages entered
and left, reviews, handoffs opened) is left out and concluded anew, at the moments at which it would have been. What is
known of the contact and the account is taken as it is now: how they were before is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nurture.core.bars import BARRING, barred, crosses
from nurture.core.conditions import event_kinds
from nurture.core.effects import MoveStage
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Enrollment, Event, OpenTask, Situation, Standing
from nurture.core.moves import REVIEW_EVERY, after_move, asked_for, move, review_at
from nurture.core.qualification import slot_kinds
from nurture.core.scoring import restand
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, Role

CONCLUDED = frozenset({"stage_entered", "stage_left", "time_passed", "handoff_opened"})
"""Kinds of events that a lifecycle brings about itself."""

_QUIET = frozenset({"sent", "refused", "delivered", "opened", "deferred", "imported", "sequence_entered"})
"""Kinds that lead to nothing unless the lifecycle names them."""

_PAST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Duty:
    """A task of a rep: opened, and closed at some time or not yet."""

    task: OpenTask
    opened_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A move that was made, and when."""

    at: datetime
    move: MoveStage


@dataclass(frozen=True, slots=True)
class Life:
    """One contact's way through a lifecycle: where it ends, how they stand there, and every move on the way."""

    stage: str
    standing: Standing
    steps: tuple[Step, ...]
    situation: Situation

    def entered(self, role: Role, lifecycle: Lifecycle) -> datetime | None:
        """Return when they first came into a stage of that role, None if they never did."""
        return next((step.at for step in self.steps if lifecycle.stage(step.move.to_stage).role is role), None)


def live_through(history: Situation, lifecycle: Lifecycle, until: datetime, duties: Sequence[Duty] = ()) -> Life:
    """Return the life of a contact under `lifecycle` until a moment.

    `history` has the contact as they are now with every event ever recorded (of the account too) and every run.
    """
    told = sorted((e for e in history.events if e.kind not in CONCLUDED and e.at <= until), key=_order)
    about_account = sorted((e for e in history.account_events if e.at <= until), key=_order)
    stirring = lifecycle.derived(_stirring)
    stirred = {e.at for e in (*told, *about_account) if e.kind not in _QUIET or e.kind in stirring}
    moments = sorted(stirred | _changes(duties, until))
    begin = min([history.contact.created_at or until, *(event.at for event in told[:1]), until])
    contact = replace(history.contact, stage=lifecycle.start, stage_since=begin)
    now = Situation(contact)
    run = _Replay(lifecycle, history, duties, told, about_account)
    steps: list[Step] = []
    due: datetime | None = None
    stops = [*moments, until]
    for at, following in zip(stops, [*stops[1:], until], strict=True):
        while due is not None and due < at:
            now = run.at(due, now, steps)
            due = review_at(now, lifecycle, due)
        now = run.at(at, now, steps)
        due = review_at(now, lifecycle, at) if following - at > REVIEW_EVERY else None
    assert now.standing is not None
    return Life(now.contact.stage, now.standing, tuple(steps), now)


class _Replay:
    """One contact's history, looked at from one moment after the other."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        history: Situation,
        duties: Sequence[Duty],
        told: Sequence[Event],
        about_account: Sequence[Event],
    ) -> None:
        self._lifecycle, self._history, self._duties = lifecycle, history, duties
        self._told, self._about_account = told, about_account
        self._concluded: list[Event] = []
        self._heard = _PAST

    def at(self, at: datetime, before: Situation, steps: list[Step]) -> Situation:
        """Return the situation at a moment, after all moves that it brings."""
        lifecycle = self._lifecycle
        fresh = tuple(event for event in self._told if self._heard < event.at <= at)
        self._heard = at
        seen = self._seen(at, before)
        if any(event.kind in BARRING for event in fresh):
            seen = replace(seen, bar=barred(seen, fresh, lifecycle))
        seen = restand(seen, lifecycle, at)
        been = {seen.contact.stage}
        made = asked_for(seen, fresh, lifecycle, at) or move(seen, lifecycle, at, avoiding=been)
        while made is not None:
            steps.append(Step(at, made))
            moved, happened = after_move(seen, made, len(steps), at)
            if moved.bar is not None and crosses(made.from_stage, made.to_stage, lifecycle):
                moved = replace(moved, bar=None)
            seen = restand(moved, lifecycle, at)
            self._concluded += happened
            been.add(made.to_stage)
            made = move(seen, lifecycle, at, avoiding=been)
        return seen

    def _seen(self, at: datetime, before: Situation) -> Situation:
        """Return what could be seen of the contact at a moment: events as far back as the lifecycle remembers."""
        since = at - self._lifecycle.memory
        events = [event for event in (*self._told, *self._concluded) if since <= event.at <= at]
        return replace(
            before,
            events=tuple(sorted(events, key=_order)) if self._concluded else tuple(events),
            account_events=tuple(event for event in self._about_account if since <= event.at <= at),
            enrollments=tuple(_then(run, at) for run in self._history.enrollments if run.entered_at <= at),
            tasks=tuple(duty.task for duty in self._duties if _is_open(duty, at)),
        )


def _stirring(lifecycle: Lifecycle) -> frozenset[str]:
    """Return the kinds of events that the lifecycle names."""
    spoken = [made.when for made in lifecycle.moves if made.when] + [when for _, when in lifecycle.levels]
    spoken += [rule.when for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers)]
    weighed = {kind for category in lifecycle.categories for kind in category.weights}
    return slot_kinds(lifecycle).union(weighed, *(event_kinds(when) for when in spoken))


def _then(run: Enrollment, at: datetime) -> Enrollment:
    """Return a run as it was: live until it ended."""
    if run.state in LIVE_ENROLLMENTS or run.ended_at is None or run.ended_at <= at:
        return run
    return replace(run, state=EnrollmentState.WAITING, ended_at=None)


def _is_open(duty: Duty, at: datetime) -> bool:
    return duty.opened_at <= at and (duty.closed_at is None or duty.closed_at > at)


def _changes(duties: Sequence[Duty], until: datetime) -> set[datetime]:
    return {duty.closed_at for duty in duties if duty.closed_at is not None and duty.closed_at <= until}


def _order(event: Event) -> tuple[datetime, int]:
    return event.at, event.id or 0


# --- two lives --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fork:
    """Where two lives of one contact part for good: the move that one of them makes, and the other does not.

    `first` is whether it is the first of the two lives that makes it; `stayed` the stage in which the other one is.
    """

    at: datetime
    step: Step
    first: bool
    stayed: str


def same(one: str, other: str, first: Lifecycle, second: Lifecycle) -> bool:
    """Return whether two stages mean the same: the same role; and the same name where both lifecycles mean it so."""
    if first.stage(one).role is not second.stage(other).role:
        return False
    both = first.has(other) and second.has(one)
    agreed = both and all(first.stage(name).role is second.stage(name).role for name in (one, other))
    return one == other or not agreed


def fork(one: Life, other: Life, first: Lifecycle, second: Lifecycle) -> Fork | None:
    """Return where the lives part for good, None where they end in the same kind of stage."""
    stages = {True: first.start, False: second.start}
    found: Fork | None = None
    steps = sorted(
        [(step, True) for step in one.steps] + [(step, False) for step in other.steps],
        key=lambda pair: (pair[0].at, not pair[1]),
    )
    for step, mine in steps:
        stages[mine] = step.move.to_stage
        if same(stages[True], stages[False], first, second):
            found = None
        elif found is None:
            found = Fork(step.at, step, mine, stages[not mine])
    return found
