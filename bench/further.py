"""What is measured once beside the rounds: five million runs, memory, rows, long imports, a fleet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bench import due, fleet, goals, importing, loop, memory, rows
from bench.goals import Reached
from bench.population import population, sqlite_population

Add = Callable[[str, float, float], None]
"""Takes down a rate and CPU microseconds by name."""


@dataclass(frozen=True)
class Size:
    """How much is measured: populations, rounds among them, pages of rows, contacts in memory, rows imported, mails."""

    few: int = 50_000
    many: int = 5_000_000
    rounds: int = 5
    due: int = 1_000
    pages: int = 40
    contacts: int = 1_000_000
    rows: int = 1_000_000
    mails: int = 2_000
    workers: tuple[int, ...] = (1, 2)


QUICK = Size(many=500_000, rounds=3, due=500, pages=10, contacts=500_000, rows=50_000, mails=300, workers=())


def measure(size: Size, databases: Mapping[str, Callable[[], str]], pg: str, add: Add) -> Iterator[Reached]:
    """Measure everything, yielding each figure as soon as it is there; rates without a goal go to `add`."""
    for name, fresh in databases.items():
        yield from _among_many(name, size, fresh, pg)
    for name, fresh in databases.items():
        written = rows.rates(fresh(), size.pages)
        add(f"{name}: message rows", written.ours, 1e6 / written.ours)
        add(f"{name}: message rows, planned", written.planned, 1e6 / written.planned)
        yield Reached(goals.ROWS, name, written.ours / written.raw)
    yield from _memory(size)
    yield from _imports(size, add)
    if "postgresql" in databases:
        for workers in size.workers:
            sent = fleet.measure(workers, size.mails, databases["postgresql"]())
            add(f"fleet: {workers} workers", sent["rate"], sent["cpu_seconds"] / sent["messages"] * 1e6)


def _among_many(name: str, size: Size, fresh: Callable[[], str], pg: str) -> Iterator[Reached]:
    counts = (size.few, size.many)
    with _populated(name, counts, fresh, pg) as urls:
        few, many = due.costs(urls, counts, size.rounds, size.due)
        about = f"{name}, {size.many:,} runs"
        yield Reached(goals.DUE, about, due.ratio(few, many))
        yield Reached(goals.IDLE[name], about, due.idle_ms(urls[1]))


@contextmanager
def _populated(name: str, counts: tuple[int, int], fresh: Callable[[], str], pg: str) -> Iterator[tuple[str, str]]:
    if name == "sqlite":
        yield sqlite_population(counts[0]), sqlite_population(counts[1])
        return
    with loop.postgresql(pg) as other:  # a source of databases drops the one before
        urls = fresh(), other()
        for url, count in zip(urls, counts, strict=True):
            print(f"NOTE: making {count:,} runs on PostgreSQL", file=sys.stderr)
            population(url, count)
        yield urls


def _memory(size: Size) -> Iterator[Reached]:
    few, many = 10_000, size.contacts
    small = memory.peak(sqlite_population(few), few, size.due)
    large = memory.peak(sqlite_population(many), many, size.due)
    yield Reached(goals.MEMORY, f"a worker, {many:,} contacts", large / small)
    yield Reached(goals.MEGABYTES, f"a worker, {many:,} contacts", large)


def _imports(size: Size, add: Add) -> Iterator[Reached]:
    for kind, goal in goals.IMPORT.items():
        _, _, small = importing.measure(kind, 10_000)
        rate, cpu, large = importing.measure(kind, size.rows)
        label = f"{kind}, {size.rows:,} rows"
        add(label, rate, cpu)
        yield Reached(goal, label, rate)
        yield Reached(goals.IMPORT_MEMORY, label, large / small)
        yield Reached(goals.MEGABYTES, label, large)
