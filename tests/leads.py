"""The real leads that NURTURE_TEST_LEADS_CSV names, read by the shipped mapping into core values; no database."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nurture.core.model import Contact, ContactId, Event, Situation
from nurture.core.program import Program
from nurture.importing.contacts import open_contacts
from nurture.importing.rows import Row
from nurture.program.mapping import load_mapping

EXAMPLE = Path(__file__).parent.parent / "examples" / "education-leads"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""When they are imported; nothing in the file is dated."""


@dataclass(frozen=True, slots=True)
class Lead:
    """One row: what the program knows of it, and what became of it."""

    external_id: str
    situation: Situation
    converted: bool


def csv_path() -> Path:
    """Return the path of the export, or skip the test and say so."""
    given = os.environ.get("NURTURE_TEST_LEADS_CSV")
    if not given:
        pytest.skip("NURTURE_TEST_LEADS_CSV names no file: scoring real leads is NOT tested")
    return Path(given)


def read_leads(path: Path, program: Program) -> list[Lead]:
    """Return every lead of the file."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        converted = [row["Converted"] == "1" for row in csv.DictReader(lines)]
    file = open_contacts(path, program, load_mapping(EXAMPLE / "mapping.yaml"))
    rows = (file.reader.read(raw.line, raw.cells, NOW) for raw in file.table.rows(None))
    return [_lead(key, row, outcome) for key, (row, outcome) in enumerate(zip(rows, converted, strict=True), 1)]


def _lead(key: int, row: Row, converted: bool) -> Lead:
    contact = Contact(ContactId(key), "lead", NOW, row.email, fields=row.fields, **row.contact)  # type: ignore[arg-type]
    events = tuple(Event(told.kind, told.at or NOW, "csv", f"{key}:{told.kind}", ContactId(key)) for told in row.events)
    assert row.external_id
    return Lead(row.external_id, Situation(contact, events), converted)
