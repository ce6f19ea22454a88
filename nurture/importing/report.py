"""What became of an import, and the rows that were not taken: a CSV beside the input, with line and reason."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nurture.errors import ImportFailed
from nurture.importing.table import RawRow, Table

Bad = tuple[RawRow, str]
"""A row that was not taken, and why."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of one import. `counts` are rows by what became of them, and what else was made.

    `resumed_at` is how many rows an earlier, broken import had already done; `rejected` is the file of rejected rows.
    `ignored` are columns about a company that no column names.
    """

    file: Path
    source: str
    rows: int
    counts: dict[str, int]
    resumed_at: int = 0
    rejected: Path | None = None
    encoding: str = ""
    delimiter: str = ""
    ignored: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """Counts of one page, and its bad rows."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[Bad] = field(default_factory=list)

    def reject(self, row: RawRow, reason: str) -> None:
        """Count a row as rejected and keep it."""
        self.counts["rejected"] += 1
        self.bad.append((row, reason))


class RejectedFile:
    """The CSV of rejected rows; it is made with the first of them and replaces that of an earlier import."""

    def __init__(self, path: Path, table: Table, resume_at: int) -> None:
        """Prepare `path`; a broken import's file is cut to `resume_at` bytes: what follows was never committed."""
        self.path = path
        self._header = ("line", "reason", *table.columns)
        self._keep = resume_at
        self._file: IO[str] | None = None
        if not resume_at:
            path.unlink(missing_ok=True)

    @property
    def written(self) -> bool:
        """Whether there is such a file."""
        return self._file is not None or self._keep > 0

    def write(self, page: Sequence[Bad]) -> int:
        """Append rejected rows and return how many bytes the file has now (0: there is none)."""
        if not page:
            return self._file.tell() if self._file else self._keep
        file = self._file or self._open()
        writer = csv.writer(file)
        # The cells are somebody else's: a spreadsheet that opens them must not run them.
        writer.writerows([row.line, reason, *(safe_cell(cell) for cell in row.cells)] for row, reason in page)
        file.flush()
        return file.tell()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _open(self) -> IO[str]:
        try:
            if self._keep:
                with self.path.open("r+b") as old:
                    old.truncate(self._keep)
            self._file = self.path.open(
                "a" if self._keep else "w",
                encoding="utf-8" if self._keep else "utf-8-sig",
                errors="backslashreplace",
                newline="",
            )
        except OSError as error:
            raise ImportFailed(
                f"the rejected rows cannot be written to {self.path} ({error.strerror or error}): "
                "say where with --rejected FILE and run the import again; it goes on where it stopped"
            ) from None
        if not self._keep:
            csv.writer(self._file).writerow([safe_cell(name) for name in self._header])
        return self._file


def safe_cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe before `=`, `+`, `-`, `@`; numbers stay."""
    cell = "" if value is None else str(value)
    if not cell or cell[0] not in "=+-@\t\r":
        return cell
    return cell if _is_number(cell) else f"'{cell}"


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdecimal() and cell[0] in "+-" and cell.isascii()
