"""When a rep works, and how much of that lies between two moments: business minutes, through every clock change.

Working time is real time: a shift in which the clock goes forward is an hour shorter. Everything comes back as aware
UTC. Which days are public holidays is handed in; where they come from is no matter of the core.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from nurture.core.calendars import NO_HOLIDAYS, day_begins, local_day, openings
from nurture.core.windows import Window

OFFICE_HOURS = (Window(),)
"""The hours of somebody who has said nothing else: weekdays, 09:00-17:00."""

HORIZON = 800
"""Days after which somebody who has not worked counts as never working again."""

_DAY = timedelta(days=1)
_WRITTEN = re.compile(r"^\s*(\d+)\s*working[ _](minute|hour)s?\s*$", re.IGNORECASE)

Shift = tuple[datetime, datetime]
"""From when to when somebody works."""


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """A rep's hours in their own zone, less their time off and the public holidays, both as local dates."""

    zone: str
    hours: tuple[Window, ...] = OFFICE_HOURS
    time_off: frozenset[date] = NO_HOLIDAYS
    holidays: frozenset[date] = NO_HOLIDAYS

    def is_free(self, day: date) -> bool:
        """Say whether they have that day off."""
        return day in self.time_off or day in self.holidays


def add(calendar: WorkingCalendar, length: timedelta, start: datetime) -> datetime | None:
    """Return the first moment by which they have worked for `length` since `start`; None if they never will have."""
    if length <= timedelta():
        return start
    left = length
    for begins, ends in _shifts(calendar, start):
        begins = max(begins, start)
        if left <= ends - begins:
            return begins + left
        left -= ends - begins
    return None


def between(calendar: WorkingCalendar, start: datetime, end: datetime) -> timedelta:
    """Return how long they work from `start` to `end`; nothing where `end` is not after `start`."""
    worked = timedelta()
    for begins, ends in _shifts(calendar, start):
        if begins >= end:
            break
        worked += min(ends, end) - max(begins, start)
    return worked


def works_at(calendar: WorkingCalendar, at: datetime) -> bool:
    """Say whether they work at a moment."""
    following = next(_shifts(calendar, at), None)
    return following is not None and following[0] <= at


def away_until(calendar: WorkingCalendar, now: datetime) -> date | None:
    """Return the day on which they are back, when what would be their next day of work lies in their time off.

    None when they are there. Nights, weekends and public holidays are no absence: everybody has them. For somebody who
    does not come back within the horizon it is the last day of all.
    """
    usual = WorkingCalendar(calendar.zone, calendar.hours, holidays=calendar.holidays)
    following = next(_shifts(usual, now), None)
    if following is None:
        return date.max
    if local_day(following[0], calendar.zone) not in calendar.time_off:
        return None
    back = next(_shifts(calendar, now), None)
    return local_day(back[0], calendar.zone) if back else date.max


def absent_from(calendar: WorkingCalendar, now: datetime) -> datetime | None:
    """Return when their next absence begins, after `now`: the first day off on which they would work; None if never."""
    usual = WorkingCalendar(calendar.zone, calendar.hours, holidays=calendar.holidays)
    for day in sorted(calendar.time_off):
        begins = day_begins(day, calendar.zone)
        if begins > now and not usual.is_free(day) and _shifts_on(calendar.hours, day, calendar.zone):
            return begins
    return None


def midnight(calendar: WorkingCalendar, now: datetime) -> datetime:
    """Return when their day began."""
    return day_begins(local_day(now, calendar.zone), calendar.zone)


def parse_working(text: str) -> timedelta:
    """Read `4 working hours` or `30 working minutes`; raise ValueError with what is allowed."""
    found = _WRITTEN.match(text)
    if not found:
        raise ValueError(f"{text!r} is no working time: write for example 4 working hours, or 30 working minutes")
    return timedelta(**{found[2].lower() + "s": int(found[1])})


def say_working(length: timedelta) -> str:
    """Return a working time as a person would write it."""
    minutes = int(length.total_seconds()) // 60
    amount, unit = (minutes // 60, "hour") if minutes and minutes % 60 == 0 else (minutes, "minute")
    return f"{amount} working {unit}" + ("" if amount == 1 else "s")


def _shifts(calendar: WorkingCalendar, start: datetime) -> Iterator[Shift]:
    """Yield the shifts that end after `start`, in order, as far as the horizon."""
    first = local_day(start, calendar.zone) - _DAY
    for day in (first + number * _DAY for number in range(HORIZON)):
        if not calendar.is_free(day):
            shifts = _shifts_on(calendar.hours, day, calendar.zone)
            yield from ((begins, ends) for begins, ends in shifts if ends > start)


@lru_cache(maxsize=8192)
def _shifts_on(hours: tuple[Window, ...], day: date, zone: str) -> tuple[Shift, ...]:
    """Return the shifts that begin on a local date; those that touch or overlap are one."""
    merged: list[Shift] = []
    for begins, ends in sorted(shift for window in hours for shift in openings(window, day, zone)):
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return tuple(merged)
