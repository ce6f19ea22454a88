"""The heartbeat: which shell function runs how often, and everything that is due at one moment.

APScheduler only says "look now", from memory; what is to be done is rows in the database. A job is one shell function
in a loop until nothing is due. A job that raises is logged and goes on next time; while the database is in trouble,
sending stops first and begins last.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import DBAPIError

from nurture import drafts, engine, handoff, pages, segmenting, selftest, sending
from nurture.db import decisions, instance
from nurture.db.session import Database
from nurture.direct import Direct
from nurture.errors import DatabaseError, NurtureError
from nurture.garbage import collect_page
from nurture.postroom import Postroom, Sent, never
from nurture.tracks import Tracks
from nurture.watching import Watch

ROUNDS = 500
"""How often `run_once` looks again before it leaves the rest to the next run."""

LEFT_TO_SENDING = timedelta(seconds=10)
"""How long due runs are left to the job that sends, which does the whole way of most of them in one piece of work."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """What was handled: contacts reviewed, handoffs watched, runs scheduled, drafts written or expired, and mail."""

    reviewed: int = 0
    scheduled: int = 0
    drafted: int = 0
    sent: Sent = field(default_factory=Sent)
    watched: int = 0

    def __add__(self, other: Done) -> Done:
        """Return both together."""
        names = [part.name for part in fields(Sent)]
        sent = Sent(**{name: getattr(self.sent, name) + getattr(other.sent, name) for name in names})
        return Done(
            self.reviewed + other.reviewed,
            self.scheduled + other.scheduled,
            self.drafted + other.drafted,
            sent,
            self.watched + other.watched,
        )

    @property
    def handled(self) -> int:
        """Return how many timers were acted on."""
        return self.reviewed + self.watched + self.scheduled + self.drafted + self.sent.due


def new_owner() -> str:
    """Return a name for this start of this process, under which it claims what it works on."""
    return secrets.token_hex(8)


def program_time(database: Database) -> datetime:
    """Return what time it is for the program: in a rehearsal its own, which stands still, else the real one."""
    with database.read() as connection:
        home = instance.read(connection)
    return (home.rehearsal_now if home.rehearsal else None) or datetime.now(UTC)


def run_once(database: Database, postroom: Postroom, now: datetime, *, stopping: Callable[[], bool] = never) -> Done:
    """Do everything that is due at `now`, and what that makes due at once. Others may do the same at the same time."""
    postroom = replace(postroom, stopping=stopping)
    segmenting.fill(database, now)
    done = Done()
    with Tracks(database, postroom) as tracks:
        for _ in range(ROUNDS):
            page = _round(database, postroom, tracks, now, stopping)
            done += page
            if not page.handled or stopping():
                return done
    _log.warning("left for the next run", rounds=ROUNDS, now=now.isoformat())
    return done


def _round(database: Database, postroom: Postroom, tracks: Tracks, now: datetime, stopping: Callable[[], bool]) -> Done:
    owner, links = postroom.owner, postroom.links
    reviewed = _each_page(lambda: engine.review(database, owner, now), engine.REVIEW_PAGE, stopping)
    watched = _each_page(lambda: handoff.watch(database, owner, now), handoff.PAGE, stopping)
    scheduled = _scheduled(tracks, now, stopping)
    drafted = _each_page(lambda: drafts.draft_due(database, links, owner, now), drafts.PAGE, stopping)
    sent = Done()
    while not stopping():
        page = sending.send_due(database, postroom, now, stopping=stopping)
        sent += Done(sent=page)
        collect_page()
        if page.due < sending.PAGE:
            break
    return Done(reviewed, drafted=drafted, watched=watched) + scheduled + sent


def _scheduled(tracks: Tracks, now: datetime, stopping: Callable[[], bool]) -> Done:
    """Schedule the runs that are due; what may go at once is sent."""
    pages: list[Done] = []

    def page(direct: Direct) -> bool:
        if stopping():
            return False
        sent = direct.page(now)
        pages.append(Done(scheduled=sent.due, sent=sent))
        collect_page()
        return sent.due >= direct.most

    tracks.work(page)
    return sum(pages, Done())


def _each_page(handle: Callable[[], int], full: int, stopping: Callable[[], bool]) -> int:
    """Call `handle` until it finds less than a full page; return how many it handled."""
    handled = 0
    while not stopping():
        page = handle()
        handled += page
        if page < full:
            break
    return handled


# --- the heartbeat ----------------------------------------------------------------------------------------------------


class Scheduler:
    """The periodic jobs of one process, each in a thread. `stop` waits for what is in flight, and begins nothing."""

    def __init__(
        self, database: Database, postroom: Postroom, *, ask_public_url: bool = False, watch: Path | None = None
    ) -> None:
        """Prepare the jobs.

        `ask_public_url` lets the unsubscribe pages test themselves, `watch` is a folder that is applied on change.
        """
        self._stopping = threading.Event()
        self._database, self._postroom = database, replace(postroom, stopping=self._stopping.is_set)
        self._database_fails = threading.Event()
        self._asked = threading.Event()
        self._trouble: dict[str, str] = {}
        self._watch = Watch(watch) if watch else None
        self._tracks = Tracks(database, self._postroom)
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # the listener below tells it once, and shorter
        self._clock = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(8)})
        self._clock.add_listener(self._heard, EVENT_JOB_ERROR | EVENT_JOB_EXECUTED)
        self._add("tick", self.tick, seconds=2)
        self._add("send", self.send, seconds=2)
        self._add("drafts", self.draft, seconds=5)
        self._add("review", self.review, seconds=30)
        self._add("handoffs", self.watch_handoffs, seconds=30)
        self._add("forget", self.forget, hours=24)
        if ask_public_url:
            self._add("self-test", self.ask_public_url, seconds=60)
        else:
            self._asked.set()
        if watch:
            self._add("apply", self.apply, seconds=1)

    def start(self) -> None:
        """Begin; every job runs at once for the first time."""
        self._clock.start()

    def stop(self) -> None:
        """Begin nothing any more, and return when everything in flight is finished."""
        self._stopping.set()
        if self._clock.running:
            self._clock.shutdown(wait=True)
        self._tracks.close()

    def begin_to_stop(self) -> None:
        """Begin nothing any more, without waiting: for signal handlers."""
        self._stopping.set()

    def tick(self) -> None:
        """Schedule the runs that are due. Those that sending would schedule itself are left to it for a moment."""
        left = LEFT_TO_SENDING if self._may_send() else timedelta()
        owner = self._postroom.owner
        self._pages("tick", engine.PAGE, lambda now: engine.tick(self._database, owner, now, since=now - left))

    def review(self) -> None:
        """Tell contacts that time has passed, after filling segments that an apply has made."""
        segmenting.fill(self._database, program_time(self._database))
        self._pages("review", engine.REVIEW_PAGE, lambda now: engine.review(self._database, self._postroom.owner, now))

    def watch_handoffs(self) -> None:
        """Warn of, escalate and pass on the handoffs that wait for a rep."""
        self._pages("handoffs", handoff.PAGE, lambda now: handoff.watch(self._database, self._postroom.owner, now))

    def draft(self) -> None:
        """Write the drafts that are due."""
        links, owner = self._postroom.links, self._postroom.owner
        self._pages("drafts", drafts.PAGE, lambda now: drafts.draft_due(self._database, links, owner, now))

    def send(self) -> None:
        """Send what is due, unless the database is in trouble. Marketing mail would wait long for untested pages."""
        if self._may_send():
            self._tracks.work(self._direct_page)
            self._pages("send", sending.PAGE, self._send_page)
            self._trouble.pop("send", None)

    def _may_send(self) -> bool:
        return self._asked.is_set() and not self._database_fails.is_set()

    def forget(self) -> None:
        """Delete the answers that were given long ago."""
        now = program_time(self._database)
        with self._database.write() as connection:
            gone = decisions.forget(connection, now - decisions.KEPT)
        if gone:
            _log.info("forget", decisions=gone)

    def ask_public_url(self) -> None:
        """Let the unsubscribe pages test themselves when it is time to. Before the first time nothing is sent."""
        try:
            self._ask_pages()
        finally:
            self._asked.set()

    def _ask_pages(self) -> None:
        now, links = program_time(self._database), self._postroom.links
        if not selftest.due(self._database, links, now):
            return
        problem = selftest.ask(self._database, links, secrets.token_hex(16), now)
        if problem:
            self._tell("unsubscribe pages", problem)
        else:
            self._trouble.pop("unsubscribe pages", None)
            _log.info("unsubscribe pages answered", url=links.public_url)

    def apply(self) -> None:
        """Apply the watched folder when it changed."""
        if self._watch:
            self._watch.apply(self._database, program_time(self._database))

    def _add(self, name: str, job: Callable[[], None], **interval: int) -> None:
        self._clock.add_job(
            job,
            "interval",
            **interval,
            id=name,
            next_run_time=datetime.now(UTC),
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    def _pages(self, name: str, full: int, handle: Callable[[datetime], int | Sent]) -> None:
        while not self._stopping.is_set():
            if pages.work(name, lambda: handle(program_time(self._database))) < full:
                return

    def _direct_page(self, direct: Direct) -> bool:
        """Do a page of a track; say whether there may be more."""
        if self._stopping.is_set():
            return False
        return pages.work("direct", lambda: direct.page(program_time(self._database))) >= direct.most

    def _send_page(self, now: datetime) -> Sent:
        return sending.send_due(self._database, self._postroom, now, stopping=self._stopping.is_set)

    # --- trouble ------------------------------------------------------------------------------------------------------

    def _heard(self, event: JobExecutionEvent) -> None:
        """Tell of a job that raised, once for each reason, and of its recovery."""
        name, failed = event.job_id, event.exception
        if failed is not None:
            self._failed(name, failed, event.traceback)
            return
        if name == "tick":  # it looks as often as sending does, and writes
            self._database_fails.clear()
        if name != "send" and self._trouble.pop(name, None):
            _log.info("works again", job=name)

    def _failed(self, name: str, failed: BaseException, traceback: str) -> None:
        if isinstance(failed, DatabaseError | DBAPIError):
            self._database_fails.set()
        expected = isinstance(failed, NurtureError | DBAPIError)
        reason = str(failed) if isinstance(failed, NurtureError) else f"{type(failed).__name__}: {failed}"
        self._tell(name, reason, None if expected else traceback)

    def _tell(self, what: str, reason: str, traceback: str | None = None) -> None:
        if self._trouble.get(what) != reason:
            self._trouble[what] = reason
            extra = {"traceback": traceback} if traceback else {}
            _log.error("failed, tries again", job=what, reason=reason, **extra)
