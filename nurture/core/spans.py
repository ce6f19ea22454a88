"""Amounts of time as marketers write them: `3 days`, `2 business days`. Applying them is `calendars`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Unit(StrEnum):
    """What a span counts. Business days need a calendar; the others are elapsed time."""

    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    BUSINESS_DAYS = "business days"


_LENGTHS: dict[Unit, timedelta] = {
    unit: timedelta(**{unit.value: 1}) for unit in Unit if unit is not Unit.BUSINESS_DAYS
}
_WRITTEN = re.compile(r"^\s*(\d+)\s*(minute|hour|day|week|business[ _]day)s?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time. `amount` is a whole number, never negative."""

    amount: int
    unit: Unit

    @property
    def elapsed(self) -> timedelta | None:
        """The exact length, or None for business days, whose length depends on a calendar."""
        one = _LENGTHS.get(self.unit)
        return None if one is None else self.amount * one

    @property
    def at_most(self) -> timedelta:
        """An upper bound on the length: a business day never takes more than a week with holidays around it."""
        return self.elapsed or timedelta(days=self.amount * 2 + 7)

    def __str__(self) -> str:
        """Return it as a person would write it."""
        unit = self.unit.value
        return f"{self.amount} {unit[:-1] if self.amount == 1 else unit}"


def parse_span(text: str) -> Span:
    """Read `3 days`, `1 week`, `2 business days` …; raise ValueError with what is allowed."""
    found = _WRITTEN.match(text)
    if not found:
        raise ValueError(
            f"{text!r} is no length of time: write a whole number and minutes, hours, days, weeks or business days"
        )
    unit = found[2].lower().replace("_", " ") + "s"
    return Span(int(found[1]), Unit(unit))
