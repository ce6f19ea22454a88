"""Printing: tables and sentences for people, JSON for programs, progress for those who watch."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_WIDTH = 200
"""Columns where nobody says how wide the output is: wide enough that pipes get whole lines."""


def console() -> Console:
    """Return what prints to standard output."""
    plain = Console(highlight=False, emoji=False, markup=False, soft_wrap=False)
    return plain if plain.is_terminal else Console(highlight=False, emoji=False, markup=False, width=_WIDTH)


def say(line: str = "") -> None:
    """Print a line as it is."""
    print(line)


def note(line: str) -> None:
    """Print a line that is not part of the result, to standard error."""
    print(line, file=sys.stderr)


def print_json(value: object) -> None:
    """Print a value as JSON; moments as ISO 8601 in UTC."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_table(
    title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]], whole: Collection[str] = ()
) -> None:
    """Print a table. Numbers stand right; control characters of foreign values are not printed.

    Where room is short, the columns `whole` keep their lines whole longest.
    """
    table = Table(*_headers(columns, rows, whole), box=SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    screen = console()
    if title:
        screen.print(Text(title, style="bold"))
    screen.print(table)


def print_facts(title: str | None, facts: Mapping[str, object]) -> None:
    """Print names and values, one pair a line; what is None is left out."""
    print_table(title, ("", ""), [(name, value) for name, value in facts.items() if value is not None])


def shown(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, int):
        return f"{value:,}"
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in str(value))


@contextmanager
def progress(what: str) -> Iterator[Any]:
    """Show a bar on standard error while a file is read, unless nobody watches; yields what hears (done, total)."""
    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def counting(what: str) -> Iterator[Any]:
    """Show a bar on standard error while people are gone through, unless nobody watches; yields (done, total)."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _headers(columns: Sequence[str], rows: Sequence[Sequence[object]], whole: Collection[str]) -> Iterator[Any]:
    for place, name in enumerate(columns):
        cells = [row[place] for row in rows if row[place] is not None]
        numbers = bool(cells) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
        moments = bool(name) and any(isinstance(cell, datetime) for cell in cells)
        header, justify = f"{name} (UTC)" if moments else name, "right" if numbers else "left"
        yield Column(header, justify=justify, overflow="fold", no_wrap=name in whole)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)
