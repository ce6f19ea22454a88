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
from nurture.core.steps.email import slot_of
from nurture.core.words import LIVE_ENROLLMENTS, Voice

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
        first = _plans(alike[:1], sequence, lifecycle, company, now) if len(alike) >= FEW else []
        due = _due(alike, first[0], sequence, company) if first else ()
        if due:
            ids = (one.run.id for one in alike)
            strides.append(Stride(first[0].enrollment, tuple(zip(ids, due, strict=True))))
        else:
            plans += _plans(alike, sequence, lifecycle, company, now)
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


def _due(alike: Sequence[Ended], first: Plan, sequence: Sequenced, company: Company) -> Sequence[datetime | None]:
    """Return when each of them is due next if they all do as the first one, nothing if each has to be asked.

    Mail alone is spread. All marketing mail behind one delay rests, each until its own slot; of personal mail some may
    be drafted already.
    """
    run, contact = first.enrollment, alike[0].contact
    step = sequence.step(run.step_id or "")
    if step is None or run.state not in LIVE_ENROLLMENTS:
        return ()
    if not sequence.window.spread or step.kind != "email" or contact is None:
        return [first.due_at] * len(alike)
    if sequence.voice is Voice.PERSONAL:
        return ()
    if run.waiting_for != "time":
        return [first.due_at] * len(alike)
    zone, _ = resolve_zone(contact, company)
    return [slot_of(step, sequence, run.base_at, one.run.id, zone) for one in alike]
