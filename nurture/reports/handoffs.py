"""What became of handoffs: by rep, by reason, and by the scoring rules that had brought people there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from nurture.db import handoff_reports


@dataclass(frozen=True, slots=True)
class Line:
    """Handoffs of one group, counted. `late` were not answered in time, `passed_on` went to another rep.

    `minutes` is how long it took until they were accepted, on average, in the working time of the reps.
    `why_rejected` maps reasons to counts.
    """

    name: str
    opened: int
    accepted: int
    rejected: int
    returned: int
    open: int
    late: int
    minutes: int | None
    passed_on: int = 0
    why_rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def rejected_share(self) -> float | None:
        """How many of those that were answered yes or no were rejected, from 0 to 1."""
        answered = self.accepted + self.rejected
        return round(self.rejected / answered, 3) if answered else None


@dataclass(frozen=True, slots=True)
class Handoffs:
    """The report. `rules` are fit rules, `categories` those of engagement."""

    since: datetime
    total: Line
    reasons: Mapping[str, int]
    reps: tuple[Line, ...]
    rules: tuple[Line, ...]
    categories: tuple[Line, ...]

    def lines(self) -> Iterator[tuple[str, Line]]:
        """Yield every line with the name of its group."""
        yield "total", self.total
        for group, lines in (("rep", self.reps), ("fit rule", self.rules), ("engagement", self.categories)):
            yield from ((group, line) for line in lines)


def handoffs(connection: Connection, since: datetime, now: datetime) -> Handoffs:
    """Return what became of the handoffs that were opened since a moment: five statements, whatever their number."""
    (all_,) = handoff_reports.total(connection, since, now)
    reasons = {row.outcome: row.number for row in handoff_reports.by_reason(connection, since)}
    why: dict[tuple[str, str], dict[str, int]] = {}
    for row in handoff_reports.reasons_by_ground(connection, since):
        why.setdefault((row.kind, row.name), {})[row.outcome] = row.number
    grounds = [(r.kind, _line(r, why.get((r.kind, r.name)))) for r in handoff_reports.by_ground(connection, since, now)]
    return Handoffs(
        since=since,
        total=_line(all_, reasons),
        reasons=reasons,
        reps=tuple(map(_line, handoff_reports.by_rep(connection, since, now))),
        rules=tuple(line for kind, line in grounds if kind == "fit"),
        categories=tuple(line for kind, line in grounds if kind == "engagement"),
    )


def _line(row: Row[Any], why: Mapping[str, int] | None = None) -> Line:
    minutes = round(row.minutes) if row.minutes is not None else None
    counts = (row.opened, row.accepted, row.rejected, row.returned, row.still_open, row.late)
    return Line(row.name, *counts, minutes, row.passed_on, why or {})
