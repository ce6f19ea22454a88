"""How a page of runs goes on after their messages ended: reckoned once for all that stand alike.

What `after_message` and `rest` make of one run, they make of every other that stands at the same step in the same
state and zone. Only the slot of mail that is spread over a window is a run's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from nurture.core.calendars import resolve_zone
from nurture.core.effects import Plan
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Contact, Enrollment, EnrollmentId, SenderId, VersionId
from nurture.core.quick import altered, quick_init
from nurture.core.schedule import after_message, rest
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.words import LIVE_ENROLLMENTS

FEW = 8
"""So many runs that stand alike are worth a statement of their own."""


@quick_init
@dataclass(frozen=True, slots=True)
class Ended:
    """A run whose message ended at `at` with `result` (see `schedule.RESULTS`).

    `contact` is who it is with, and `sender` who sent the message, as far as that is known.
    """

    run: Enrollment
    result: str
    at: datetime
    contact: Contact | None = None
    sender: SenderId | None = None


@dataclass(frozen=True, slots=True)
class Stride:
    """Runs that go on alike: `to` is what the first of them becomes, `due` are all, with when each is due next."""

    to: Enrollment
    due: tuple[tuple[EnrollmentId, datetime | None], ...]


SET = ("state", "step_id", "occurrence", "waiting_for", "base_at", "paused_until", "sender_id")
"""What going on sets of a run that is not over then; all else stays as it was."""


def onward(
    ended: Iterable[Ended],
    versions: Mapping[VersionId, Sequenced],
    lifecycle: Lifecycle,
    company: Company,
    now: datetime,
) -> tuple[list[Stride], list[Plan]]:
    """Return how runs go on: together where many do so alike, else each by a plan of its own.

    A run whose contact is known sleeps through its next delay at once. One whose step is gone is left out.
    """
    strides: list[Stride] = []
    plans: list[Plan] = []
    for alike in _alike(ended, company):
        sequence = versions[alike[0].run.version_id]
        spread = bool(sequence.window.spread)
        found = _plans(alike if spread else alike[:1], sequence, lifecycle, company, now)
        if stride := _stride(alike, found):
            strides.append(stride)
        else:
            plans += found if spread else _plans(alike, sequence, lifecycle, company, now)
    return strides, plans


def _alike(ended: Iterable[Ended], company: Company) -> Iterable[Sequence[Ended]]:
    """Group runs by all that going on reads of them, but for the place in the spread that their ids give them."""
    groups: dict[tuple[object, ...], list[Ended]] = {}
    for one in ended:
        run = one.run
        zone = resolve_zone(one.contact, company) if one.contact else None
        sender = one.sender or run.sender_id
        key = (run.version_id, run.state, run.step_id, run.paused_until, one.result, one.at, zone, sender)
        groups.setdefault(key, []).append(one)
    return groups.values()


def _plans(
    alike: Sequence[Ended], sequence: Sequenced, lifecycle: Lifecycle, company: Company, now: datetime
) -> list[Plan]:
    plans = []
    for one in alike:
        if step := sequence.step(one.run.step_id or ""):
            run = altered(one.run, sender_id=one.sender) if one.sender else one.run
            plan = after_message(sequence, run, step, one.result, one.at, now)
            plans.append(rest(plan, sequence, one.contact, lifecycle, company, now) if one.contact else plan)
    return plans


def _stride(alike: Sequence[Ended], found: Sequence[Plan]) -> Stride | None:
    """Return what all of them do, if they are many, none of them is over and all come to the same state."""
    if len(alike) < FEW or not found:
        return None
    to = found[0].enrollment
    if to.state not in LIVE_ENROLLMENTS or any(plan.enrollment.state is not to.state for plan in found):
        return None
    due = [plan.due_at for plan in found] if len(found) > 1 else [found[0].due_at] * len(alike)
    return Stride(to, tuple((one.run.id, at) for one, at in zip(alike, due, strict=True)))
