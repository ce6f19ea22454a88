"""Reps from a CSV, one row each; whoever is known is changed. A file is one transaction: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from nurture import reps
from nurture.errors import ImportFailed, UsageError
from nurture.importing.guess import key as header_key
from nurture.importing.table import open_table
from nurture.people import add_rep

_TRUE = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE:
        raise ValueError(f"{text!r} is neither yes nor no")
    return _TRUE[text.lower()]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number") from None


def _several(text: str) -> list[str]:
    return [part.strip() for part in text.replace("|", ";").split(";") if part.strip()]


_READ: Mapping[str, Callable[[str], Any]] = {
    "daily_capacity": _number,
    "most_open_handoffs": _number,
    "handoffs_per_day": _number,
    "territory": _several,
    "active": _flag,
}

_HEADERS = {
    "name": ("name", "rep", "full name"),
    "email": ("email", "e mail", "email address", "mailbox"),
    "daily_capacity": ("daily capacity", "capacity"),
    "most_open_handoffs": ("most open handoffs", "open handoffs"),
    "territory": ("territory", "territories"),
    "hours": ("hours", "working hours"),
}


def import_reps(connection: Connection, path: Path, provider: str, now: datetime) -> dict[str, int]:
    """Add or change the reps of a file; return how many were added and changed.

    Raises ImportFailed with every row that is not right; then nothing of the file is kept by the caller.
    """
    table = open_table(path)
    columns = {header_key(name): place for place, name in enumerate(table.columns)}
    wanted = ("name", "email", *reps.SETTINGS)
    places = {
        field: next((columns[h] for h in _HEADERS.get(field, (field.replace("_", " "),)) if h in columns), None)
        for field in wanted
    }
    for needed in ("name", "email"):
        if places[needed] is None:
            raise ImportFailed(f"{path} has no column `{needed}`: it needs name and email")
    counts, faults = {"added": 0, "changed": 0}, []
    for raw in table.rows():
        try:
            if raw.fault:
                raise ValueError(raw.fault)
            cells = {f: raw.cells[place].strip() for f, place in places.items() if place is not None}
            counts["added" if _import(connection, cells, provider, now) else "changed"] += 1
        except (ValueError, UsageError) as error:
            faults.append(f"{path}, line {raw.line}: {error}")
    if faults:
        raise ImportFailed("\n".join(faults))
    return counts


def _import(connection: Connection, cells: Mapping[str, str], provider: str, now: datetime) -> bool:
    """Add or change one rep; tell whether they are new. Empty cells change nothing."""
    given = {field: _READ.get(field, str)(text) for field, text in cells.items() if text}
    for needed in ("name", "email"):
        if needed not in given:
            raise ValueError(f"has no {needed}")
    rep_id, new = add_rep(connection, given["name"], given["email"], provider, now)
    reps.change(connection, rep_id, {name: given[name] for name in reps.SETTINGS if name in given}, now)
    return new
