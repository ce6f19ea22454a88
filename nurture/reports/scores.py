"""Every contact with their scores as a table, to be joined by the id that another system gave them. Changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from sqlalchemy import Connection

from nurture.core.lifecycle import Lifecycle
from nurture.core.model import ContactId, Situation
from nurture.core.ranking import ranked
from nurture.db import people, situations
from nurture.db.session import Database
from nurture.errors import UsageError
from nurture.importing.report import safe_cell

COLUMNS = ("external_id", "fit_points", "grade", "engagement", "rank_score")

EMAIL = "email"
"""Instead of a system's name: contacts are named by their primary address."""

PAGE = 500


@dataclass(frozen=True, slots=True)
class Exported:
    """How many contacts were written, and how many of them the system has no id for."""

    contacts: int
    nameless: int


def system_of(connection: Connection, system: str | None) -> str:
    """Return whose ids name the contacts: `system`, or the only one there is, or `email` where there is none.

    Raises UsageError when it is not known, or when several are and none of them is named.
    """
    if system == EMAIL:
        return EMAIL
    known = people.systems(connection)
    choice = f"name one of them with --system: {', '.join([*known, EMAIL])}"
    if system is not None and system not in known:
        raise UsageError(f"no contact has an id of a system {system!r}; {choice}")
    if system is None and len(known) > 1:
        raise UsageError(f"contacts have ids of {len(known)} systems; {choice}")
    return system or (known[0] if known else EMAIL)


def export_scores(database: Database, lifecycle: Lifecycle, system: str, file: TextIO, now: datetime) -> Exported:
    """Write every contact's scores at `now` under `lifecycle`, in pages, named by their ids in `system`.

    A contact of whom the system has several ids has several rows, one that it does not know an empty id.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    contacts = nameless = 0
    for page, names in _pages(database, lifecycle, system, now):
        for key, situation in page.items():
            scores = _scores(situation, lifecycle, now)
            for name in names.get(key, [""]):
                writer.writerow((safe_cell(name), *scores))
            contacts, nameless = contacts + 1, nameless + (key not in names)
    return Exported(contacts, nameless)


def _scores(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[str, ...]:
    standing, rank = ranked(situation, lifecycle, now)
    return _points(standing.fit_points), standing.grade, _points(standing.engagement), _points(rank)


def _points(hundredths: int) -> str:
    return f"{hundredths / 100:.2f}"


def _pages(
    database: Database, lifecycle: Lifecycle, system: str, now: datetime
) -> Iterator[tuple[Mapping[ContactId, Situation], Mapping[int, Sequence[str]]]]:
    """Yield contacts as they are, page by page, and what the system calls them. No page holds up whoever writes."""
    for ids in people.living(database, PAGE):
        with database.read() as connection:
            page = situations.for_scoring(connection, ids, lifecycle, now)
            names = people.external_ids(connection, ids, system) if system != EMAIL else _addresses(page)
        yield page, names


def _addresses(page: Mapping[ContactId, Situation]) -> dict[int, list[str]]:
    return {key: [situation.contact.email] for key, situation in page.items() if situation.contact.email}
