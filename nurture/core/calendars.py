"""When: delays, business days, windows and their spread, in the contact's own zone, through every clock change.

Everything comes back as aware UTC. Two rules hold at a clock change: a local time that the day lacks moves forward to
the first moment after the gap, and one that comes twice means the first of the two. `holidays` are local dates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain, islice
from zoneinfo import ZoneInfo

from nurture.core.countries import zone_of
from nurture.core.model import Company, Contact
from nurture.core.spans import Span, Unit
from nurture.core.windows import Delay, Window

NO_HOLIDAYS: frozenset[date] = frozenset()

_DAY = timedelta(days=1)
_WEEKEND = 5
_CALENDAR_DAYS = {Unit.DAYS: 1, Unit.WEEKS: 7}
_HORIZON = 800


def resolve_zone(contact: Contact, company: Company) -> tuple[str, str]:
    """Return the zone that counts for a contact, and whose it is: `contact`, `country`, `account` or `company`.

    Names that are no zone are passed over. A country with several zones counts in that of its capital.
    """
    account = contact.account
    if contact.time_zone and is_zone(contact.time_zone):
        return contact.time_zone, "contact"
    if zone := zone_of(contact.country):
        return zone, "country"
    if account and account.time_zone and is_zone(account.time_zone):
        return account.time_zone, "account"
    if account and (zone := zone_of(account.country)):
        return zone, "account"
    return company.time_zone if is_zone(company.time_zone) else "UTC", "company"


@lru_cache(maxsize=4096)
def is_zone(name: str) -> bool:
    """Say whether `name` is a time zone of the IANA database, such as `Europe/Berlin`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def add(span: Span, base: datetime, zone: str, holidays: frozenset[date] = NO_HOLIDAYS) -> datetime:
    """Return the moment `span` after `base`: business days keep the local time, all else is elapsed time."""
    return _shift(span, base, zone, holidays, 1)


def subtract(span: Span, base: datetime, zone: str, holidays: frozenset[date] = NO_HOLIDAYS) -> datetime:
    """Return the moment `span` before `base`, counting as `add` does."""
    return _shift(span, base, zone, holidays, -1)


def due(delay: Delay, base: datetime, zone: str, holidays: frozenset[date] = NO_HOLIDAYS) -> datetime:
    """Return when a delay that began at `base` is over; never before `base`.

    With `at`, whole days are calendar days: `1 day at 09:00` is nine o'clock tomorrow, however late it is today.
    Without a span it is the next such time. `weekday` moves on to that day, which may be today.
    """
    start = add(delay.span, base, zone, holidays) if delay.span else base
    if delay.at is None and (delay.weekday is None or delay.weekday == _local(start, zone).weekday()):
        return start
    if delay.at and delay.span and delay.span.amount:
        start = _day_begins(delay.span, base, start, zone)
    wall = delay.at or _local(start, zone).time()
    for day in _days_from(_local(start, zone).date()):
        at = _moment(day, wall, zone)
        if at and at >= start and delay.weekday in (None, day.weekday()):
            return at
    raise ValueError(f"no day is weekday {delay.weekday}: write 0 (Monday) to 6")


def is_open(window: Window, at: datetime, zone: str, holidays: frozenset[date] = NO_HOLIDAYS) -> bool:
    """Say whether mail may go at `at` by the local clock of `zone`."""
    return _opening_at(window, at, zone, holidays) is not None


def closes_at(window: Window, at: datetime, zone: str, holidays: frozenset[date] = NO_HOLIDAYS) -> datetime | None:
    """Return when the window that is open at `at` closes: `at` itself when it is closed, None when it never does."""
    if _never_closes(window, holidays):
        return None
    opening = _opening_at(window, at, zone, holidays)
    return opening[1] if opening else at


def next_open(window: Window, at: datetime, zone: str, seed: str, holidays: frozenset[date] = NO_HOLIDAYS) -> datetime:
    """Return the first slot at or after `at`: within the window, and not before the seed's own share of the spread.

    Every seed has its own moment after each opening, at most `spread` minutes late, so that the opening is no burst;
    from then on its slot is `at` itself. Raise ValueError for a window that never opens.
    """
    if not window.spread and _never_closes(window, holidays):
        return at
    first = _first_opening(window, at, zone, holidays)
    for start, end in chain(first, _openings_from(window, first[0][1], zone, holidays) if first else ()):
        spread = min(timedelta(minutes=window.spread), end - start)
        if at - start >= spread:  # nobody's share is that late
            return at
        slot = max(at, start + jitter(seed, spread))
        if slot < end:
            return slot
    raise ValueError("this window never opens: give it at least one weekday that is not always a holiday")


def jitter(seed: str, within: timedelta) -> timedelta:
    """Return a length from 0 to (not including) `within`, in whole seconds, that depends on `seed` alone."""
    seconds = int(within.total_seconds())
    if seconds <= 0:
        return timedelta()
    digest = hashlib.sha256(seed.encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % seconds)


def local_day(at: datetime, zone: str) -> date:
    """Return the date that calendars in `zone` show at a moment."""
    return _local(at, zone).date()


def day_begins(day: date, zone: str) -> datetime:
    """Return the moment at which a local date begins (where the zone skips it: the next one)."""
    return _moment_or_after(day, time(0, 0), zone)


def _shift(span: Span, base: datetime, zone: str, holidays: frozenset[date], direction: int) -> datetime:
    """Move by a span, forward (1) or back (-1)."""
    if (elapsed := span.elapsed) is not None:
        return base + elapsed if direction > 0 else base - elapsed
    if not span.amount:
        return base
    local = _local(base, zone)
    left, day = span.amount, local.date()
    while True:
        day += direction * _DAY
        at = _moment(day, local.time(), zone) if day.weekday() < _WEEKEND and day not in holidays else None
        left -= at is not None
        if at and not left:
            return at


def _day_begins(span: Span, base: datetime, start: datetime, zone: str) -> datetime:
    """Return the earliest moment of the day on which a delay with `at` ends; shorter spans must elapse in full."""
    if span.unit in _CALENDAR_DAYS:
        day = _local(base, zone).date() + span.amount * _CALENDAR_DAYS[span.unit] * _DAY
    elif span.unit is Unit.BUSINESS_DAYS:
        day = _local(start, zone).date()
    else:
        return start
    return max(base, _moment(day, time(0, 0), zone) or start)


def _opening_at(window: Window, at: datetime, zone: str, holidays: frozenset[date]) -> tuple[datetime, datetime] | None:
    """Return the opening (start, end) that holds `at`."""
    today = _local(at, zone).date()
    for day in (today - _DAY, today):
        for start, end in openings(window, day, zone, holidays):
            if start <= at < end:
                return start, end
    return None


def _openings_from(
    window: Window, at: datetime, zone: str, holidays: frozenset[date]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the openings that end after `at`, in order, as far as the horizon."""
    for day in _days_from(_local(at, zone).date() - _DAY):
        for start, end in openings(window, day, zone, holidays):
            if end > at:
                yield start, end


@lru_cache(maxsize=1024)
def _first_opening(
    window: Window, at: datetime, zone: str, holidays: frozenset[date]
) -> tuple[tuple[datetime, datetime], ...]:
    """Return the opening that ends next, if there is any: the same for most of a page."""
    return tuple(islice(_openings_from(window, at, zone, holidays), 1))


@lru_cache(maxsize=4096)
def openings(
    window: Window, day: date, zone: str, holidays: frozenset[date] = NO_HOLIDAYS
) -> tuple[tuple[datetime, datetime], ...]:
    """Return when the window is open on a local date: at most one opening, two where the clock goes back within it."""
    if day.weekday() not in window.days or day in holidays:
        return ()
    start = _moment(day, window.opens, zone)
    end = _moment_or_after(day if window.closes > window.opens else day + _DAY, window.closes, zone)
    if start is None or start >= end:
        return ()
    again = datetime.combine(day, window.opens, ZoneInfo(zone)).replace(fold=1).astimezone(UTC)
    if not start < again < end or window.opens == window.closes:
        return ((start, end),)
    return (start, _clock_change(start, again, zone)), (again, end)


def _never_closes(window: Window, holidays: frozenset[date]) -> bool:
    return window.opens == window.closes and len(window.days) == 7 and not holidays


def _moment_or_after(day: date, wall: time, zone: str) -> datetime:
    """Return the moment of a local time, or the first one after it when its whole day does not exist."""
    return _moment(day, wall, zone) or _moment(day + _DAY, time(0, 0), zone) or datetime.combine(day, wall, UTC)


def _moment(day: date, wall: time, zone: str) -> datetime | None:
    """Return the moment at which clocks in `zone` show a local time, None when they skip that whole day."""
    place = ZoneInfo(zone)
    local = datetime.combine(day, wall, place)
    at = local.astimezone(UTC)
    if at.astimezone(place).replace(tzinfo=None) == local.replace(tzinfo=None):
        return at
    before = local.replace(fold=1).astimezone(UTC)
    if at - before >= _DAY:
        return None
    return _clock_change(before, at, zone)


def _clock_change(earlier: datetime, later: datetime, zone: str) -> datetime:
    """Return the first second with the UTC offset of `later`; the clock changes once between the two."""
    place = ZoneInfo(zone)
    offset = later.astimezone(place).utcoffset()
    low, high = 0, int((later - earlier).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (earlier + timedelta(seconds=middle)).astimezone(place).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return earlier + timedelta(seconds=high)


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def _days_from(first: date) -> Iterator[date]:
    """Yield the dates from `first` on, over two years: beyond that a window counts as never open."""
    return (first + number * _DAY for number in range(_HORIZON))
