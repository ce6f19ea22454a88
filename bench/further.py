"""What is measured once beside the rounds: five million runs, memory, rows, long imports, a fleet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bench import due, fleet, goals, importing, loop, memory, rows
from bench.goals import Reached
from bench.population import population, sqlite_population


class Add(Protocol):
    """Takes down a rate, and CPU microseconds where they are known, by name."""

    def __call__(self, name: str, *figures: float, unit: str = "mails") -> None:
        """Take it down."""


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


def parts(
    size: Size, databases: Mapping[str, Callable[[], str]], pg: str, add: Add
) -> dict[str, Callable[[], Iterator[Reached]]]:
    """Return what measures each part by itself, by name; rates without a goal go to `add`."""
    found: dict[str, Callable[[], Iterator[Reached]]] = {}
    for name, fresh in databases.items():
        found[f"{name}: many runs"] = partial(_among_many, name, size, fresh, pg)
    for name, fresh in databases.items():
        found[f"{name}: message rows"] = partial(_rows, name, size, fresh, add)
    found["the memory of a worker"] = partial(_memory, size)
    for kind in goals.IMPORT:
        found[f"{kind}, {size.rows:,} rows"] = partial(_import, kind, size, add)
    for workers in size.workers if "postgresql" in databases else ():
        name = f"fleet: {workers} worker{'s' if workers > 1 else ''}"
        found[name] = partial(_fleet, name, workers, size, databases["postgresql"], add)
    return found


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


def _rows(name: str, size: Size, fresh: Callable[[], str], add: Add) -> Iterator[Reached]:
    written = rows.rates(fresh(), size.pages)
    add(f"{name}: message rows", written.ours, unit="rows")
    add(f"{name}: message rows, planned", written.planned, unit="rows")
    add(f"{name}: message rows, the driver alone", written.raw, unit="rows")
    yield Reached(goals.ROWS, name, written.ours / written.raw)


def _import(kind: str, size: Size, add: Add) -> Iterator[Reached]:
    _, _, small = importing.measure(kind, 10_000)
    rate, cpu, large = importing.measure(kind, size.rows)
    label = f"{kind}, {size.rows:,} rows"
    add(label, rate, cpu, large, unit="rows")
    yield Reached(goals.IMPORT[kind], label, rate)
    yield Reached(goals.IMPORT_MEMORY, label, large / small)
    yield Reached(goals.IMPORT_MEGABYTES, label, large)


def _fleet(name: str, workers: int, size: Size, fresh: Callable[[], str], add: Add) -> Iterator[Reached]:
    sent = fleet.measure(workers, size.mails, fresh())
    add(name, sent["rate"])  # its CPU time is mostly that of beginning
    yield from ()
