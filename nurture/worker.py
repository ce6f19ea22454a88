"""A worker of the fleet: Procrastinate fetches jobs in one thread, and each job is a page of work in another.

Jobs are synchronous: only the thread that does one touches its connection to the database, and no two threads share the
parts of sending. The worker outlives the database: it tries again until it is there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from queue import LifoQueue
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError

from nurture import fleet, pages
from nurture.db.session import VANISHED, Database
from nurture.errors import NurtureError
from nurture.fleet import Desk, Job
from nurture.postroom import Postroom

POLL_SECONDS = 2.0
"""How often the queues are looked at where no notification comes through."""

HEARTBEAT_SECONDS = 5.0
SENDERS_SECONDS = 30.0
"""How often a worker that serves senders by name looks for new ones."""

RETRY_SECONDS = 2.0

_log = structlog.get_logger()


class Worker:
    """Serves queues until it is told to stop, with as many jobs at once as there are `postrooms`."""

    def __init__(
        self,
        database: Database,
        postrooms: Sequence[Postroom],
        clock: Callable[[], datetime],
        queues: Callable[[], list[str] | None] | None = None,
    ) -> None:
        """Prepare it. `queues` says which to serve, and is asked again now and then; without it that is every one."""
        self._database, self._queues = database, queues or (lambda: None)
        self._stopping = threading.Event()
        self._concurrency = len(postrooms)
        self._desks: LifoQueue[Desk] = LifoQueue()
        asked = self._stopping.is_set
        for postroom in postrooms:
            own = replace(postroom, stopping=asked)
            self._desks.put(Desk(database, own, clock, asked, serves_all=queues is None))
        self._wake: Callable[[], object] = lambda: None
        self._trouble: dict[str, str] = {}
        for name in ("procrastinate", "psycopg.pool", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they tell is told below, once and shorter
        self._app = self._new_app()

    def stop(self) -> None:
        """Begin nothing any more; `run` returns when everything in flight is finished. Any thread may say so."""
        self._stopping.set()
        self._wake()

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping.is_set():
            try:
                asyncio.run(self._serve())
            except (ConnectorException, psycopg.Error, DBAPIError, NurtureError) as error:
                self._failed("queue", error)
                self._stopping.wait(RETRY_SECONDS)

    # --- one job ------------------------------------------------------------------------------------------------------

    def do(self, job: Job) -> None:
        """Do one page, and tell of it."""
        desk = self._desks.get()
        try:
            pages.work(job.work, lambda: fleet.do(desk, job))
        except Exception as error:
            self._failed(job.lock, error)
            raise
        finally:
            self._desks.put(desk)
        if self._trouble.pop(job.lock, None):
            _log.info("works again", job=job.lock)

    def _new_app(self) -> procrastinate.App:
        url = self._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        named = {"application_name": "nurture worker", **VANISHED}
        connector = procrastinate.PsycopgConnector(conninfo=url, kwargs=named, min_size=1, max_size=4, timeout=10.0)
        app = procrastinate.App(connector=connector)
        for work in fleet.WORKS:
            app.task(name=work)(partial(self._called, work))
        return app

    def _called(self, work: str, lane: int | None = None) -> None:
        self.do(Job(work, lane))

    # --- serving ------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        loop.set_default_executor(ThreadPoolExecutor(self._concurrency + 2))
        self._wake = partial(_call_in, loop, woken.set)
        async with self._app.open_async():
            if self._trouble.pop("queue", None):
                _log.info("works again", job="queue")
            while not self._stopping.is_set():
                await self._serve_until_changed(await asyncio.to_thread(self._queues), woken)

    async def _serve_until_changed(self, queues: list[str] | None, woken: asyncio.Event) -> None:
        """Serve these queues until there are others, or the end; then let what is in flight come to its end."""
        serving = asyncio.create_task(self._app.run_worker_async(**self._options(queues)))
        waking = asyncio.create_task(woken.wait())
        try:
            while not serving.done() and not self._stopping.is_set():
                await asyncio.wait({serving, waking}, timeout=SENDERS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if queues is not None and queues != await asyncio.to_thread(self._queues):
                    break
        finally:
            waking.cancel()
            ended = serving.done()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
        if ended:  # without being told to: its connection to the database is gone
            raise ConnectorException("the connection to the queue broke")

    def _options(self, queues: list[str] | None) -> dict[str, Any]:
        return {
            "queues": queues,
            "concurrency": self._concurrency,
            "fetch_job_polling_interval": POLL_SECONDS,
            "update_heartbeat_interval": HEARTBEAT_SECONDS,
            "stalled_worker_timeout": fleet.STALLED_SECONDS,
            "install_signal_handlers": False,
            "delete_jobs": "always",
        }

    # --- trouble ------------------------------------------------------------------------------------------------------

    def _failed(self, what: str, error: BaseException) -> None:
        """Tell of what raised, once for each reason; it is tried again."""
        expected = isinstance(error, NurtureError | DBAPIError | ConnectorException | psycopg.Error)
        reason = str(error) if isinstance(error, NurtureError) else f"{type(error).__name__}: {error}"
        if self._trouble.get(what) != reason:
            self._trouble[what] = reason
            _log.error("failed, tries again", job=what, reason=reason, exc_info=None if expected else error)


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # it is over already
        loop.call_soon_threadsafe(call)
