"""What it costs that most runs are not due: a due message, and a tick with nothing to do, beside a small database.

Due runs are picked from all over the population. On SQLite everything happens in this process, whose CPU time is
counted; on PostgreSQL half of it happens in the server, and what counts is how long it took.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from datetime import timedelta

from bench.population import NOW, make_due
from nurture import engine
from nurture.benchmark.measure import Job, work
from nurture.db.session import Database

ENOUGH = 1_000
"""Runs made due in a round."""


def costs(urls: Sequence[str], populations: Sequence[int], rounds: int, due: int = ENOUGH) -> list[list[float]]:
    """Return for each database its microseconds a due message, one a round, measured one after the other."""
    found: list[list[float]] = [[] for _ in urls]
    for place, url in enumerate(urls):
        _cost(url, populations[place], due)  # what is read the first time is not counted
    for _ in range(rounds):
        for place, url in enumerate(urls):
            found[place].append(_cost(url, populations[place], due))
    return found


def ratio(few: Sequence[float], many: Sequence[float]) -> float:
    """Return the median of how much more a message costs among many than among few, round by round."""
    return float(statistics.median(large / small for small, large in zip(few, many, strict=True)))


def idle_ms(url: str, times: int = 300) -> float:
    """Return how long a tick takes with nothing due: the tenth that is fastest, because others only add."""
    database = Database(url)
    try:
        took = sorted(_idle(database) for _ in range(times))
    finally:
        database.dispose()
    return took[times // 10] * 1_000


def _idle(database: Database) -> float:
    began = time.perf_counter()
    if engine.tick(database, "bench", NOW - timedelta(days=1)):
        raise RuntimeError("something was due where nothing should be")
    return time.perf_counter() - began


def _cost(url: str, population: int, due: int) -> float:
    database = Database(url)
    try:
        make_due(database, due, population)
        on_sqlite = database.dialect == "sqlite"
    finally:
        database.dispose()
    done = work(Job("none", "", url), NOW)
    if done.accepted < due:
        raise RuntimeError(f"{done.accepted} of {due} mails that were due were sent")
    return (done.cpu_seconds if on_sqlite else done.seconds) / done.accepted * 1e6
