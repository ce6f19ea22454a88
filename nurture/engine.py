"""The tick: due runs are scheduled by the core and written in bulk. And the review: time passing, through the one door.

Journeys 2 and 5. One page is one transaction; `tick` and `review` return how many they handled, so that callers go on
until there is nothing left. A run that raises is recorded, pushed forward and failed after some tries; it never stops
the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from nurture import intake, live, planning, runs
from nurture.core.effects import Plan
from nurture.core.model import ContactId, Enrollment, EnrollmentId, Event, Situation, VersionId
from nurture.core.program import Program
from nurture.core.schedule import after_message, reads_more, schedule
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.words import LIVE_ENROLLMENTS, SENT_MESSAGES, EnrollmentState, MessageState, TimerKind
from nurture.db import decisions, enrollments, messages, programs, situations, timers
from nurture.db.decisions import Decided
from nurture.db.session import Database

PAGE = 500
"""Runs a tick takes at once: a page stays well under 200 ms."""

REVIEW_PAGE = 250
"""Contacts a review takes at once: each is loaded whole, and scored."""

TRIES = 5
FIRST_RETRY = timedelta(minutes=5)


@dataclass(slots=True)
class Page:
    """A page of runs on their way through the core: `due` were found, `before` as they are, `plans` as they go on."""

    due: int
    program: Program
    loaded: Mapping[ContactId, Situation]
    versions: Mapping[VersionId, Sequenced]
    before: Mapping[EnrollmentId, Enrollment]
    now: datetime
    plans: list[Plan] = field(default_factory=list)
    failed: list[tuple[Enrollment, str]] = field(default_factory=list)


def tick(database: Database, owner: str, now: datetime, *, limit: int = PAGE, since: datetime | None = None) -> int:
    """Schedule a page of due runs in one transaction; return how many were due.

    With `since`, only those that have been due since then: they were left to others, and nobody came.
    """

    def do(connection: Connection) -> int:
        page = read(connection, now, limit, since=since)
        if page is None:
            return 0
        write(connection, page, page.before.values())
        return page.due

    return database.unit(do)


def read(connection: Connection, now: datetime, limit: int, *, since: datetime | None = None) -> Page | None:
    """Return a page of due runs, still without plans, None when nothing is due. The caller writes them.

    The timers of runs that are over, or whose contact somebody else is changing, are seen to.
    """
    waiting = timers.due(connection, TimerKind.ENROLLMENT, since or now, limit)
    if not waiting:
        return None
    program = live.current(connection)
    due = _open_runs(connection, [timer.subject_id for timer in waiting], now)
    return _load(connection, program, due, now, len(waiting))


def plan(connection: Connection, page: Page, due: Collection[Enrollment]) -> None:
    """Plan how those runs of a page go on."""
    outcomes = _ended_messages(connection, due)
    for run in due:
        _plan(page, run, outcomes)
    _keep_waiting(connection, page)


def write(connection: Connection, page: Page, due: Collection[Enrollment]) -> None:
    """Plan how those runs of a page go on, and write it."""
    plan(connection, page, due)
    runs.carry_out(connection, page.program, page.plans, page.versions, page.loaded, page.before, page.now)
    _record_failed(connection, page)


def review(database: Database, owner: str, now: datetime, *, limit: int = REVIEW_PAGE) -> int:
    """Tell the one door that time has passed for a page of contacts; return how many were due."""
    return database.unit(lambda connection: _review(connection, now, limit)) or _restand(database, now, limit)


def _review(connection: Connection, now: datetime, limit: int) -> int:
    """Tell of a page; contacts that somebody else is changing are looked at again, for they have their timers."""
    waiting = timers.due(connection, TimerKind.REVIEW, now, limit)
    if not waiting:
        return 0
    ids = [timer.subject_id for timer in waiting]
    busy = set(ids) & situations.living(connection, ids) - set(situations.lock(connection, ids, wait=False))
    mine = [timer for timer in waiting if timer.subject_id not in busy]
    timers.set_timers(connection, [(TimerKind.REVIEW, key, now) for key in sorted(busy)])
    timers.clear(connection, TimerKind.REVIEW, [timer.subject_id for timer in mine])
    passed = [
        Event("time_passed", now, "clock", f"{t.subject_id}:{t.due_at.isoformat()}", ContactId(t.subject_id))
        for t in mine
    ]
    intake.record(connection, live.current(connection), passed, now)
    return len(waiting)


def _restand(database: Database, now: datetime, limit: int) -> int:
    """Score a page of contacts anew whom another lifecycle scored; return how many they were.

    After an apply with another lifecycle everybody's turn comes, a page at a time, once nobody's review is due.
    """
    with database.read() as connection:
        if not programs.restanding(connection):
            return 0
    with database.write() as connection:
        if (begun := programs.restand_from(connection)) is None:
            return 0
        program, (after, since) = live.current(connection), begun
        page = programs.outdated(connection, after, program.lifecycle.hash, limit)
        passed = [Event("time_passed", now, "apply", f"{key}:{since.isoformat()}", ContactId(key)) for key in page]
        intake.record(connection, program, passed, now)
        programs.restood_until(connection, page[-1] if page else None)
    return len(page)


def _open_runs(connection: Connection, ids: Sequence[int], now: datetime) -> list[Enrollment]:
    """Return the runs that are not over and whose contact nobody else is changing; the others are seen to."""
    locked = set(situations.lock(connection, enrollments.contacts_of(connection, ids), wait=False))
    found = enrollments.by_ids(connection, ids)  # as they are under the lock
    over = [key for key, run in found.items() if run.state not in LIVE_ENROLLMENTS]
    timers.clear(connection, TimerKind.ENROLLMENT, over + [key for key in ids if key not in found])
    busy = [key for key, run in found.items() if run.contact_id not in locked and key not in over]
    timers.set_timers(connection, [(TimerKind.ENROLLMENT, key, now) for key in busy])
    return [run for key, run in found.items() if run.contact_id in locked and key not in over]


def _load(connection: Connection, program: Program, due: Sequence[Enrollment], now: datetime, found: int) -> Page:
    """Load the contacts alone where that is all that their next steps read: a fifth of the work."""
    versions = live.versions(connection, {run.version_id for run in due})
    more = {run.contact_id for run in due if run.version_id in versions and reads_more(versions[run.version_id], run)}
    segments = bool(program.segments)
    loaded = situations.load(connection, more, program.lifecycle.memory, now, segments=segments)
    loaded |= situations.persons(connection, {run.contact_id for run in due} - more)
    return Page(found, program, loaded, versions, {run.id: run for run in due}, now)


def _ended_messages(connection: Connection, due: Iterable[Enrollment]) -> dict[str, tuple[MessageState, datetime]]:
    waited = [origin_key(run) for run in due if run.waiting_for == "message"]
    return messages.states_of(connection, waited) if waited else {}


def _keep_waiting(connection: Connection, page: Page) -> None:
    """Let runs wait for their message that would skip its step as too late, though the message is there.

    Its process ended after it had committed the intent to send it, and before it wrote the run.
    """
    skipping = [origin_key(before) for plan in page.plans if _skips(page, before := _before(page, plan), plan)]
    there = messages.states_of(connection, skipping) if skipping else {}
    for number, plan in enumerate(page.plans if there else ()):
        if origin_key(before := _before(page, plan)) in there:
            waiting = replace(before, state=EnrollmentState.WAITING, waiting_for="message")
            page.plans[number] = Plan(waiting, page.now + planning.SOON)


def _before(page: Page, plan: Plan) -> Enrollment:
    return page.before[plan.enrollment.id]


def _skips(page: Page, before: Enrollment, plan: Plan) -> bool:
    """Say whether a run leaves a step that sends, without having waited for its message."""
    after = plan.enrollment
    if before.waiting_for == "message" or (after.step_id == before.step_id and after.state in LIVE_ENROLLMENTS):
        return False
    step = page.versions[before.version_id].step(before.step_id or "")
    return step is not None and step.template is not None


def origin_key(run: Enrollment) -> str:
    """Return what makes the message of a run's present step unique."""
    return f"e:{run.id}:{run.step_id}:{run.occurrence}"


def _plan(page: Page, run: Enrollment, outcomes: Mapping[str, tuple[MessageState, datetime]]) -> None:
    try:
        page.plans.append(_next(page, run, outcomes))
    except Exception as error:  # noqa: BLE001 - first of five: one run never stops the others
        page.failed.append((run, f"{type(error).__name__}: {error}"))


def _next(page: Page, run: Enrollment, outcomes: Mapping[str, tuple[MessageState, datetime]]) -> Plan:
    sequence, situation = page.versions[run.version_id], page.loaded[run.contact_id]
    step = sequence.step(run.step_id or "")
    state, at = outcomes.get(origin_key(run), (None, page.now))
    if step is not None and state in _RESULTS:
        run = after_message(sequence, run, step, _RESULTS[state], at, page.now).enrollment
    return schedule(sequence, run, situation, page.program.lifecycle, page.program.company, page.now)


_RESULTS = dict.fromkeys(SENT_MESSAGES, "sent") | {MessageState.REFUSED: "refused", MessageState.CANCELLED: "cancelled"}


def _record_failed(connection: Connection, page: Page) -> None:
    """Push runs that raised forward, with the error on record; after `TRIES` they are failed."""
    if not page.failed:
        return
    saved, waits, decided = [], [], []
    for run, error in page.failed:
        failures = run.failures + 1
        over = failures >= TRIES
        state = EnrollmentState.FAILED if over else run.state
        saved.append(replace(run, failures=failures, state=state, reason=error, ended_at=page.now if over else None))
        waits.append((TimerKind.ENROLLMENT, run.id, page.now + FIRST_RETRY * 2**failures))
        decided.append(Decided(run.contact_id, run.id, None, run.step_id, "failed" if over else "hold", error))
    enrollments.save(connection, saved, page.now, page.before)
    timers.set_timers(connection, waits)
    timers.clear(connection, TimerKind.ENROLLMENT, [run.id for run in saved if run.state is EnrollmentState.FAILED])
    decisions.record(connection, decided, page.program.hash, page.now)
