"""A CSV file as a stream of rows: delimiter and header are found, bad rows carry a reason.

Memory is constant: a row at a time.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from nurture.errors import ImportFailed
from nurture.importing.encoding import Surveyed, survey

DELIMITERS = ",;\t|"
LONGEST_CELL = 16 * 1024 * 1024
"""Characters; a longer cell means a quote that is never closed."""

_SAMPLE_LINES = 60
_BROKEN = re.compile("[\udc80-\udcff]")
"""What stands for a byte that is not in the encoding."""


@dataclass(slots=True)
class RawRow:
    """One row: the line it begins on (from 1), its cells, and why it cannot be used (None: it can)."""

    line: int
    cells: list[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """An open description of a file; `rows` reads it. Column names are unique: a repeated one gets ` (2)` …"""

    path: Path
    surveyed: Surveyed
    delimiter: str
    columns: tuple[str, ...]
    header_line: int

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.surveyed.size

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[RawRow]:
        """Yield every row below the header, blank lines left out; `on_bytes` hears how far the file is read."""
        with _opened(self.path, self.surveyed.encoding) as text:
            for count, row in enumerate(_parse(_lines(text), self.delimiter)):
                if on_bytes is not None and count % 1000 == 0:
                    on_bytes(text.buffer.tell())
                if row.line > self.header_line and (row.fault or any(row.cells)):
                    yield row if row.fault else _checked(row, len(self.columns))
            if on_bytes is not None:
                on_bytes(self.size)


def open_table(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Find encoding, delimiter and header; raise ImportFailed with a clear sentence when there is no table."""
    if delimiter is not None and len(delimiter) != 1:
        raise ImportFailed(f"the delimiter {delimiter!r} is not one character")
    surveyed = survey(path, encoding)
    sample = _sample(path, surveyed.encoding)
    declared = sample[0].strip() if sample else ""
    if declared.lower().startswith("sep=") and len(declared) == 5:  # what Excel writes for itself
        delimiter = delimiter or declared[4]
        sample[0] = "\n"
    delimiter = delimiter or _delimiter(sample)
    line, header = _header(path, sample, delimiter)
    return Table(path, surveyed, delimiter, _unique(header), line)


def _opened(path: Path, encoding: str) -> TextIO:
    # Bytes that are not in the encoding are kept as surrogates, so that they cost their row and not the file.
    return path.open(encoding=encoding, errors="surrogateescape", newline="")


def _lines(text: TextIO) -> Iterator[str]:
    for line in text:
        yield line.replace("\0", "") if "\0" in line else line


def _parse(lines: Iterator[str], delimiter: str) -> Iterator[RawRow]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            for cells in reader:
                yield RawRow(line, cells)
                line = reader.line_num + 1
            return
        except csv.Error as error:
            if "field larger" in str(error):
                raise ImportFailed(f"line {line} opens a quote that is not closed: the file is damaged there") from None
            yield RawRow(line, [], _why(str(error), reader.line_num - line))
            line = reader.line_num + 1


def _why(error: str, further: int) -> str:
    if "unexpected end of data" in error:
        swallowed = f", {further:,} lines below" if further else ""
        return f"the file ends inside a quoted cell that begins here{swallowed}: close the quote, or get the whole file"
    if "expected after" in error:
        return "a quote stands inside a quoted cell: double it"
    return f"the row cannot be read: {error}"


def _checked(row: RawRow, width: int) -> RawRow:
    """Return a row that has cells, with what is wrong with them."""
    cells = row.cells
    if len(cells) != width:
        if len(cells) > width and not any(cells[width:]):
            row = RawRow(row.line, cells[:width])
        else:
            row = RawRow(row.line, cells, f"has {len(cells)} cells where the header has {width}")
    if row.fault is None and not (text := "".join(row.cells)).isascii() and _BROKEN.search(text):
        return RawRow(row.line, row.cells, "has bytes that are not in the file's encoding")
    return row


def _sample(path: Path, encoding: str) -> list[str]:
    with _opened(path, encoding) as text:
        return [line.lstrip("\ufeff") for line in islice(_lines(text), _SAMPLE_LINES)]


def _delimiter(sample: list[str]) -> str:
    """Choose the delimiter under which most rows are as wide as the first, and wider than one cell."""
    scored = [(_score(sample, delimiter), -position, delimiter) for position, delimiter in enumerate(DELIMITERS)]
    return max(scored)[2]


def _score(sample: list[str], delimiter: str) -> tuple[float, int]:
    widths = [len(row.cells) for row in _parse(iter(sample), delimiter) if any(row.cells)]
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _header(path: Path, sample: list[str], delimiter: str) -> tuple[int, list[str]]:
    for row in _parse(iter(sample), delimiter):
        if row.fault is not None:
            raise ImportFailed(f"{path}, line {row.line}: the header cannot be read: {row.fault}")
        if any(cell.strip() for cell in row.cells):
            header = [cell.strip() for cell in row.cells]
            break
    else:
        raise ImportFailed(f"{path} has no header line: its first line must name the columns")
    if any("@" in cell and "." in cell.rpartition("@")[2] for cell in header):
        raise ImportFailed(f"{path} has no header line: its first line holds an address; put column names above it")
    return row.line, header


def _unique(header: list[str]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    names = []
    for position, name in enumerate(header, 1):
        name = name or f"column {position}"
        seen[name.casefold()] += 1
        again = seen[name.casefold()]
        names.append(name if again == 1 else f"{name} ({again})")
    return tuple(names)
