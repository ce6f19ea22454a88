"""Importing contacts from a CSV file: open it, bind the mapping, write page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from nurture.core.mapping import Mapping, Target
from nurture.core.program import Program
from nurture.db.session import Database
from nurture.importing.guess import guess
from nurture.importing.newcomers import Newcomers
from nurture.importing.page import Setting, write_page
from nurture.importing.report import ImportReport, Tally
from nurture.importing.rows import Reader, Row, bind
from nurture.importing.run import Job, Progress, carry_out_in_two
from nurture.importing.table import RawRow, Table, open_table
from nurture.mail.keys import KeyRing

COUNTED = ("created", "updated", "unchanged", "repeated", "rejected", "accounts", "suppressed", "events")
"""What an import of contacts counts: rows by what became of them (the first five), then what else was made."""


Read = tuple[list[tuple[RawRow, Row]], Tally]
"""A page of rows as they were understood, and those that were not."""


@dataclass(frozen=True, slots=True)
class ContactsFile:
    """A file that can be imported: its table, the mapping that counts for it, and how its rows are read.

    `ignored` are columns about a company in a table that does not say which company.
    """

    table: Table
    mapping: Mapping
    reader: Reader
    source: str
    guessed: bool
    rejected: Path | None = None
    ignored: tuple[str, ...] = ()


def open_contacts(
    path: Path,
    program: Program,
    mapping: Mapping | None = None,
    added: Sequence[Target] = (),
    *,
    source: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    rejected: Path | None = None,
) -> ContactsFile:
    """Open a CSV file under a mapping (None: guessed from its header) with the `added` targets, which win.

    Raises:
        ImportFailed: the file is no table.
        ProgramError, UsageError: the mapping names what the table or the program does not have.
    """
    table = open_table(path, encoding, delimiter)
    guessed = mapping is None
    chosen = guess(table.columns, program.fields.values()) if mapping is None else mapping
    replaced = {target.field for target in added}
    kept = tuple(target for target in chosen.targets if target.field not in replaced)
    homeless = _homeless(kept, added) if guessed else ()
    chosen = replace(chosen, targets=(*(target for target in kept if target not in homeless), *added))
    reader = bind(chosen, table.columns, program, path)
    ignored = tuple(name for target in homeless for name in target.expression.columns)
    return ContactsFile(table, chosen, reader, source or chosen.source or path.stem, guessed, rejected, ignored)


def _homeless(guessed: Sequence[Target], added: Sequence[Target]) -> tuple[Target, ...]:
    """Return what was guessed to be about a company where nothing says which: nobody asked for it."""
    if not {"account.name", "account.domain"}.isdisjoint(target.field for target in (*guessed, *added)):
        return ()
    return tuple(target for target in guessed if target.field.startswith("account."))


def import_contacts(
    database: Database,
    program: Program,
    ring: KeyRing,
    file: ContactsFile,
    now: datetime,
    *,
    progress: Progress | None = None,
) -> ImportReport:
    """Import the contacts of an opened file: idempotent, restartable, a page per transaction."""
    system = file.mapping.system or file.source
    setting = Setting(program, ring, file.source, system, file.table.surveyed.hash, now)

    newcomers = Newcomers(program, setting.origin, now)

    def read(page: Sequence[RawRow]) -> Read:
        tally = Tally()
        return understood(file.reader, page, tally, now), tally

    def write(connection: Connection, page: Read) -> Tally:
        rows, tally = page
        write_page(connection, rows, setting, tally, newcomers)
        return tally

    job = Job(file.table, file.source, file.mapping, COUNTED, file.rejected, file.ignored)
    return carry_out_in_two(database, job, read, write, progress, now)


def understood(reader: Reader, page: Sequence[RawRow], tally: Tally, now: datetime) -> list[tuple[RawRow, Row]]:
    """Read raw rows; those that cannot be understood are rejected into `tally`."""
    rows = []
    for raw in page:
        if raw.fault is not None:
            tally.reject(raw, raw.fault)
            continue
        try:
            rows.append((raw, reader.read(raw.line, raw.cells, now)))
        except ValueError as error:
            tally.reject(raw, str(error))
    return rows
