"""Carrying an import out: pages of rows, each one transaction with the mark of how far it came. Constant memory."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

import orjson
from sqlalchemy import Connection

from nurture.db import imports
from nurture.db.session import Database
from nurture.importing.report import Bad, ImportReport, RejectedFile, Tally
from nurture.importing.table import RawRow, Table

PAGE = 2000
"""Rows in one transaction: a tenth of a second, so that no click of a person is kept waiting."""

_NEW_OBJECTS = 200_000
"""Objects between two searches for unreachable ones: more than a page makes, so that none is looked at for nothing."""

_SWITCH_SECONDS = 0.0005
"""How long reading may keep the interpreter from writing, which asks for it after every statement."""

Page = TypeVar("Page")
WritePage = Callable[[Connection, Sequence[RawRow]], Tally]
ReadPage = Callable[[Sequence[RawRow]], Page]
"""Makes of raw rows what can be written, while the page before is written: it may not touch the database."""

Progress = Callable[[int, int], None]
"""Hears how many bytes of how many are read."""


@dataclass(frozen=True, slots=True)
class Job:
    """One file to import. `meaning` is everything beside the file that decides what its rows become.

    `counted` names what is counted, so that a report tells zeros too; `ignored` are columns that cannot be read.
    """

    table: Table
    source: str
    meaning: object
    counted: tuple[str, ...]
    rejected: Path | None = None
    ignored: tuple[str, ...] = ()

    @property
    def rejected_path(self) -> Path:
        """Where rejected rows go: beside the input, unless it was said otherwise."""
        return self.rejected or self.table.path.with_name(self.table.path.name + ".rejected.csv")


def carry_out(database: Database, job: Job, write: WritePage, progress: Progress | None, now: datetime) -> ImportReport:
    """Write the rows of a file page by page with `write`; go on where a broken import of the same file stopped."""
    return carry_out_in_two(database, job, lambda rows: rows, write, progress, now)


def carry_out_in_two(
    database: Database,
    job: Job,
    read: ReadPage[Page],
    write: Callable[[Connection, Page], Tally],
    progress: Progress | None,
    now: datetime,
) -> ImportReport:
    """Do as `carry_out`, but `read` every page in a thread of its own while the page before is written."""
    table = job.table
    with database.write() as connection:
        hashed = fingerprint(job.meaning)
        run = imports.begin(connection, table.surveyed.hash, hashed, table.path.name, job.source, now)
    counts = Counter(run.counts)
    rejected = RejectedFile(job.rejected_path, table, counts.pop("rejected_bytes", 0))
    done, unfinished = run.rows_done, database.restartable()
    with closing(rejected), _undisturbed():
        for rows, page in _ahead((len(raw), read(raw)) for raw in _pages(table, run.rows_done, progress)):
            with unfinished.write() as connection:
                tally = write(connection, page)
                done, counts = done + rows, counts + tally.counts
                kept = counts + Counter(rejected_bytes=rejected.write(sorted(tally.bad, key=_line)))
                imports.save(connection, run.id, done, kept)
    with database.write() as connection:
        imports.save(connection, run.id, done, counts, now)
    told = {name: counts[name] for name in job.counted}
    path = rejected.path if rejected.written else None
    return ImportReport(
        table.path,
        job.source,
        done,
        told,
        run.rows_done,
        path,
        table.surveyed.encoding,
        table.delimiter,
        job.ignored,
    )


def _ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """Yield pages, the next one being made meanwhile: the database works without the interpreter."""
    with ThreadPoolExecutor(1, "import") as thread:
        coming = thread.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = thread.submit(next, pages, None)
            yield page


def fingerprint(meaning: object) -> str:
    """Return the SHA-256 of a value made of dataclasses, mappings, sets, lists and plain values."""
    return hashlib.sha256(orjson.dumps(_plain(meaning), option=orjson.OPT_SORT_KEYS)).hexdigest()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the garbage collector look at a page less often than it would, and let writing wait less for reading.

    A page goes away by itself when it is done.
    """
    usual, switching = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(_NEW_OBJECTS, *usual[1:])
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        sys.setswitchinterval(switching)


def _line(bad: Bad) -> int:
    return bad[0].line


def _pages(table: Table, skip: int, progress: Progress | None) -> Iterator[list[RawRow]]:
    rows = table.rows((lambda read: progress(read, table.size)) if progress else None)
    rows = islice(rows, skip, None)
    while page := list(islice(rows, PAGE)):
        yield page


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        # Lines and file names say where something was written, not what it means.
        names = [f.name for f in fields(value) if f.name not in ("line", "file")]
        return {"": type(value).__name__, **{name: _plain(getattr(value, name)) for name in names}}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted(str(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
