"""Suppressions from and to elsewhere: a CSV of addresses that must not be written to, both ways."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from sqlalchemy import Connection

from nurture.core.mapping import Column, Expression
from nurture.core.program import Program
from nurture.core.words import Scope
from nurture.db import suppressions
from nurture.db.session import Database
from nurture.db.suppressions import Wish
from nurture.errors import ImportFailed
from nurture.importing import values
from nurture.importing.cells import Cells, Read
from nurture.importing.guess import key as header_key
from nurture.importing.report import ImportReport, Tally, safe_cell
from nurture.importing.run import Job, Progress, carry_out
from nurture.importing.table import RawRow, Table, open_table
from nurture.mail.address import normalize
from nurture.mail.keys import KeyRing
from nurture.people import suppress

_HEADERS = {
    "email": ("email", "e mail", "email address", "address", "mail"),
    "hash": ("address hash", "hash"),
    "scope": ("scope", "list", "type"),
    "reason": ("reason", "why"),
}
_EXPORTED = ("email", "address_hash", "scope", "reason", "source", "actor", "created_at")
_PAGE = 1000


def import_suppressions(
    database: Database,
    program: Program | None,
    ring: KeyRing,
    path: Path,
    now: datetime,
    *,
    scope: Scope = Scope.ALL,
    reason: str = "imported",
    rejected: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Suppress every address of a CSV; `scope` and `reason` stand in where the file has no such column.

    Raises ImportFailed when the file is no table or has no column of addresses.
    """
    table = open_table(path)
    reader = _WishReader(table, ring, scope, reason)
    source = f"import: {path.name}"

    def write(connection: Connection, page: Sequence[RawRow]) -> Tally:
        tally = Tally()
        asked = [wish for raw in page for wish in _understood(reader, raw, tally)]
        added = suppress(connection, program, asked, source, "import", now)
        tally.counts["suppressed"] += len({wish.address or wish.address_hash for wish in added})
        return tally

    return carry_out(
        database,
        Job(table, "suppressions", [scope.value, reason], ("suppressed", "rejected"), rejected),
        write,
        progress,
        now,
    )


def export_suppressions(database: Database, file: TextIO) -> int:
    """Write every suppression as CSV and return how many there are. Erased addresses appear as their hash only."""
    writer = csv.writer(file)
    writer.writerow(_EXPORTED)
    count, last = 0, 0
    while True:
        with database.read() as connection:
            page = suppressions.page_after(connection, last, _PAGE)
        if not page:
            return count
        for row in page:
            cells = (row.address, row.address_hash, row.scope, row.reason, row.source, row.actor, row.created_at)
            writer.writerow([safe_cell(cell.isoformat() if isinstance(cell, datetime) else cell) for cell in cells])
        count, last = count + len(page), page[-1].id


class _WishReader:
    """Reads rows of one table of suppressions."""

    def __init__(self, table: Table, ring: KeyRing, scope: Scope, reason: str) -> None:
        names = {header_key(name): name for name in reversed(table.columns)}
        cells = Cells(table.columns, frozenset())
        self._get: dict[str, Read | None] = {}
        for field, heads in _HEADERS.items():
            name = next((names[head] for head in heads if head in names), None)
            self._get[field] = cells.reader(Expression((Column(name),))) if name else None
        if self._get["email"] is None and self._get["hash"] is None:
            raise ImportFailed(f"{table.path} has no column `email`: name the column of addresses so")
        self._ring, self._scope, self._reason = ring, scope, reason

    def read(self, raw: RawRow) -> Iterator[Wish]:
        """Yield what the row wishes; raise ValueError with the reason that makes it unusable."""
        email, hashed = self._text(raw, "email"), self._text(raw, "hash")
        scope, reason = self._scope_of(raw), values.text(self._text(raw, "reason") or self._reason)
        if email is not None:
            yield from suppressions.wishes(self._ring, normalize(email), scope, reason)
        elif hashed is None:
            raise ValueError("has no address")
        elif hashed.partition(":")[0] not in self._ring.ids:
            raise ValueError("its hash was made with a key that this installation does not have")
        else:
            yield Wish(hashed, scope, reason)

    def _scope_of(self, raw: RawRow) -> Scope:
        word = self._text(raw, "scope")
        if word is None:
            return self._scope
        try:
            return Scope(word.lower())
        except ValueError:
            raise ValueError(f"{word!r} is no scope: write {', '.join(Scope)}") from None

    def _text(self, raw: RawRow, name: str) -> str | None:
        get = self._get[name]
        value = get(raw.cells) if get else None
        return None if value is None else str(value)


def _understood(reader: _WishReader, raw: RawRow, tally: Tally) -> list[Wish]:
    if raw.fault is not None:
        tally.reject(raw, raw.fault)
        return []
    try:
        return list(reader.read(raw))
    except ValueError as error:
        tally.reject(raw, str(error))
        return []
