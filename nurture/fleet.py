"""The fleet: the engine's pages of work as jobs of Procrastinate on PostgreSQL, done by any number of workers.

A job says "look here now" and carries nothing else: what is to be done are rows, above all timers. Losing every job
therefore loses nothing, for the ticker (`ticker`) looks at the timers again. A page that makes something due for others
enqueues their job in its own transaction, on its own connection. No two jobs of one kind wait at once; a page that is
not the last calls the next worker before it begins, so that as many work on it as there are.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import procrastinate
import sqlalchemy as sa
from procrastinate import sql
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy import Connection

from nurture import drafts, engine, handoff, segmenting, selftest, sending
from nurture.core.words import TimerKind
from nurture.db import decisions, lanes
from nurture.db.session import Database, is_sqlite, place
from nurture.direct import Direct
from nurture.errors import Refused, UsageError
from nurture.postroom import Postroom, Sent, never

FAMILIES = ("tick", "send", "inbound", "reports")
"""The queues of a fleet. `send` is a family: each sender has a queue of its own, `send:<id>`."""

STALLED_SECONDS = 30.0
"""How long a worker may be silent, by the database's clock, before its jobs are somebody else's."""

_QUEUES = {
    "tick": "tick",
    "review": "tick",
    "handoffs": "tick",
    "drafts": "tick",
    "self-test": "inbound",
    "segments": "reports",
    "forget": "reports",
}

_WAKES = {
    TimerKind.ENROLLMENT: "tick",
    TimerKind.REVIEW: "review",
    TimerKind.DRAFT: "drafts",
    TimerKind.SLA: "handoffs",
    TimerKind.MESSAGE: "send",
}

WORKS = (*_QUEUES, "send")
"""Everything that a job may ask for."""


@dataclass(frozen=True, slots=True, order=True)
class Job:
    """A page of work: what to look at, and whose mail where it is to be sent."""

    work: str
    lane: int | None = None

    @property
    def queue(self) -> str:
        """Return the queue in which it waits."""
        return _QUEUES[self.work] if self.lane is None else f"send:{self.lane}"

    @property
    def lock(self) -> str:
        """Return what no two waiting jobs share."""
        return self.work if self.lane is None else self.queue


# --- enqueueing -------------------------------------------------------------------------------------------------------

_door = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())
"""Enqueues on connections that it is given; it never opens one of its own."""


def due(connection: Connection, now: datetime) -> list[Job]:
    """Return the jobs for which something is due and held by nobody."""
    found = lanes.due(connection, now)
    return [Job(_WAKES[kind]) for kind in found.kinds] + [Job("send", lane) for lane in found.lanes]


def enqueue(connection: Connection, jobs: Iterable[Job]) -> int:
    """Enqueue jobs in the caller's transaction, but none that waits already; return how many are new."""
    wanted = sorted(set(jobs), key=lambda job: job.lock)  # in one order, so that no two wait for each other
    if not wanted:
        return 0
    waiting = set(connection.scalars(sa.text("SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo'")))
    return sum(_enqueue(connection, job) for job in wanted if job.lock not in waiting)


def _enqueue(connection: Connection, job: Job) -> bool:
    """Enqueue one; another transaction may have done so meanwhile, which only a savepoint survives."""
    arguments = {} if job.lane is None else {"lane": job.lane}
    try:
        with connection.begin_nested():
            _door.configure_task(
                job.work,
                queue=job.queue,
                queueing_lock=job.lock,
                task_kwargs=arguments,
                connection=connection.connection.driver_connection,
            ).defer()
    except AlreadyEnqueued:
        return False
    return True


def reap(connection: Connection, silent_seconds: float = STALLED_SECONDS) -> int:
    """Delete the jobs of workers that fell silent, and forget those workers; return how many jobs.

    The database's clock counts, which every worker's heartbeat is written by. Nothing else has to be done: their claims
    end with their leases, and what is due then is found by its timers.
    """
    raw = connection.connection.cursor()
    silent = {"seconds_since_heartbeat": silent_seconds, "queue": None, "task_name": None}
    raw.execute(sql.queries["select_stalled_jobs_by_heartbeat"], silent)
    stalled = [row[0] for row in raw.fetchall()]
    for key in stalled:
        raw.execute(sql.queries["finish_job"], {"job_id": key, "status": "failed", "delete_job": True})
    raw.execute(sql.queries["prune_stalled_workers"], {"seconds_since_heartbeat": silent_seconds})
    return len(stalled)


# --- doing ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desk:
    """Where pages are done: the database, the parts of sending (of one thread at a time), and program time.

    `serves_all` says that it does the work of every queue, and may therefore send what it schedules.
    """

    database: Database
    postroom: Postroom
    clock: Callable[[], datetime]
    stopping: Callable[[], bool] = never
    serves_all: bool = False


def do(desk: Desk, job: Job) -> int | Sent:
    """Do one page of a job's work; what it makes due for others is enqueued in the same transactions."""
    now = desk.clock()
    _call_next(desk, job, now)

    def call_others(connection: Connection) -> None:
        enqueue(connection, (other for other in due(connection, now) if other != job))

    return _page(desk, desk.database.before_commit(call_others), job, now)


def _call_next(desk: Desk, job: Job, now: datetime) -> None:
    """Call another worker to the next page, where this one will not be the last."""
    if (page := _PAGES.get(job.work)) is None:
        return
    kind, size = page
    with desk.database.write() as connection:
        if lanes.more(connection, kind, now, size, job.lane):
            enqueue(connection, [job])


_PAGES: Mapping[str, tuple[TimerKind, int]] = {
    "tick": (TimerKind.ENROLLMENT, engine.PAGE),
    "review": (TimerKind.REVIEW, engine.REVIEW_PAGE),
    "handoffs": (TimerKind.SLA, handoff.PAGE),
    "drafts": (TimerKind.DRAFT, drafts.PAGE),
    "send": (TimerKind.MESSAGE, sending.PAGE),
}


def _page(desk: Desk, database: Database, job: Job, now: datetime) -> int | Sent:
    postroom = desk.postroom
    match job.work:
        case "tick":
            return _tick(desk, database, now)
        case "review":
            return engine.review(database, postroom.owner, now)
        case "handoffs":
            return handoff.watch(database, postroom.owner, now)
        case "drafts":
            return drafts.draft_due(database, postroom.links, postroom.owner, now)
        case "send":
            return sending.send_due(database, postroom, now, stopping=desk.stopping, lane=job.lane)
        case "self-test":
            return _ask_pages(database, postroom, now)
        case "segments":
            return segmenting.fill(database, now)
        case "forget":
            with database.write() as connection:
                return decisions.forget(connection, now - decisions.KEPT)
        case other:
            raise Refused(f"there is no work {other!r} in this version: are all workers of the same one?")


def _tick(desk: Desk, database: Database, now: datetime) -> int | Sent:
    """Schedule a page of due runs; what may go at once is sent, while the provider is quick and nobody else's part.

    The word that a page leaves is taken back at its end: the next job may be a long time coming.
    """
    if not desk.serves_all or not desk.postroom.turn.quick:
        return engine.tick(database, desk.postroom.owner, now)
    with Direct(database, desk.postroom) as direct:
        return direct.page(now)


def _ask_pages(database: Database, postroom: Postroom, now: datetime) -> int:
    """Let the unsubscribe pages test themselves when it is time to."""
    if not selftest.due(database, postroom.links, now):
        return 0
    problem = selftest.ask(database, postroom.links, secrets.token_hex(16), now)
    if problem:
        raise Refused(f"the unsubscribe pages do not answer: {problem}")
    return 1


# --- which queues -----------------------------------------------------------------------------------------------------


def require_postgresql(database: Database, command: str) -> None:
    """Refuse a fleet on SQLite."""
    if is_sqlite(database.url):
        raise UsageError(
            f"`nurture {command}` needs PostgreSQL, and {place(database.url)} is SQLite: there `nurture run` (or "
            "`nurture serve`) does all the work. For a fleet set `url` in [database] to a PostgreSQL and run "
            "`nurture db upgrade`."
        )


def queues(wanted: Collection[str], senders: Mapping[str, int]) -> list[str] | None:
    """Return the queues that a worker is to serve; None is every one. `senders` are ids by name.

    Raises UsageError for a queue that there is not.
    """
    if not wanted:
        return None
    found: list[str] = []
    for name in wanted:
        if name == "send":
            found += [Job("send", lane).queue for lane in senders.values()]
        elif name.startswith("send:") and name[5:] in senders:
            found.append(Job("send", senders[name[5:]]).queue)
        elif name in FAMILIES:
            found.append(name)
        else:
            known = ", ".join([*FAMILIES, *(f"send:{sender}" for sender in senders)])
            raise UsageError(f"there is no queue {name!r}: choose among {known}")
    return sorted(set(found))
