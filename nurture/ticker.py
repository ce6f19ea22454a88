"""The ticker of a fleet: it looks at the timers every two seconds and calls workers to what is due.

Of several only one ticks, by a lease with a term in the database's own time. A second one by mistake waits, and takes
over when the first is gone. A beat is one transaction that begins with the lease: whoever lost it meanwhile, stopped
and woken perhaps, calls nobody; and calling twice would be harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Connection

from nurture import fleet
from nurture.db import lanes, leases
from nurture.db.session import Database
from nurture.errors import NurtureError
from nurture.fleet import Job

LEASE = "ticker"
TERM_SECONDS = 15.0
"""How long the others wait for a ticker that says nothing."""

BEAT_SECONDS = 2
DAY_SECONDS = 24 * 60 * 60
MINUTE_SECONDS = 60

_log = structlog.get_logger()


class Ticker:
    """The heartbeat of a fleet. `holder` names this process start; `clock` returns program time."""

    def __init__(
        self, database: Database, holder: str, clock: Callable[[], datetime], *, ask_public_url: bool = False
    ) -> None:
        """Prepare it; nothing is called yet. `ask_public_url` lets the unsubscribe pages test themselves."""
        self._database, self._holder, self._clock = database, holder, clock
        self._told = ""
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # the listener below tells it once, and shorter
        self._scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})
        self._scheduler.add_listener(self._heard, EVENT_JOB_ERROR | EVENT_JOB_EXECUTED)
        self._every(BEAT_SECONDS, "beat", self.beat)
        if ask_public_url:
            self._every(MINUTE_SECONDS, "self-test", lambda: self.call([Job("self-test")]))
        self._every(MINUTE_SECONDS, "segments", lambda: self.call([Job("segments")]))
        self._every(DAY_SECONDS, "forget", lambda: self.call([Job("forget")]))

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Tick no more, and let another begin at once."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        with self._database.write() as connection:
            leases.release(connection, LEASE, self._holder)

    def beat(self) -> int:
        """Call workers to everything that is due, and give up on those that fell silent; return how many were called.

        It does nothing while another one ticks.
        """
        with self._database.write() as connection:
            if not self._holds(connection):
                return 0
            lanes.assign(connection)
            called = fleet.enqueue(connection, fleet.due(connection, self._clock()))
            reaped = fleet.reap(connection)
        if reaped:
            _log.warning("workers fell silent", jobs=reaped)
        return called

    def call(self, jobs: Iterable[Job]) -> int:
        """Call workers to jobs that no timer knows of; return how many were called."""
        with self._database.write() as connection:
            return fleet.enqueue(connection, jobs) if self._holds(connection) else 0

    def _holds(self, connection: Connection) -> bool:
        """Take or keep the lease, and say so when that changes."""
        term = leases.acquire(connection, LEASE, self._holder, TERM_SECONDS)
        if term is None:
            self._tell("another scheduler ticks: this one waits")
        else:
            self._tell("ticking", term=term)
        return term is not None

    def _every(self, seconds: int, name: str, job: Callable[[], object]) -> None:
        self._scheduler.add_job(
            job,
            "interval",
            seconds=seconds,
            id=name,
            next_run_time=datetime.now(UTC),
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    def _heard(self, event: JobExecutionEvent) -> None:
        """Tell of a beat that raised; the next one tries again."""
        if (failed := event.exception) is not None:
            reason = str(failed) if isinstance(failed, NurtureError) else f"{type(failed).__name__}: {failed}"
            self._tell("failed, tries again", job=event.job_id, reason=reason)

    def _tell(self, what: str, **more: object) -> None:
        """Tell something once, as long as nothing else comes between."""
        said = f"{what} {more}"
        if said != self._told:
            self._told = said
            _log.info(what, **more)
