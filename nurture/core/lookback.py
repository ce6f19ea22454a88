"""How far a span looks back, as stretches of time: what `base + span > now` means for `base`, for sets of events.

Elapsed spans are one stretch. Business days keep the local time and skip weekends, so that they are several: on Monday
at ten, what happened on Friday at nine is one business day old already, what happened on Saturday at eleven is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nurture.core.calendars import add
from nurture.core.spans import Span

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)

Stretch = tuple[datetime | None, datetime | None]
"""From (inclusive) and to (exclusive); None is open."""


def cut(span: Span, now: datetime) -> datetime | None:
    """Return the moment after which an elapsed span is not over yet, None when it never is. Business days have none."""
    elapsed = span.elapsed
    assert elapsed is not None
    try:
        return now - elapsed
    except OverflowError:
        return None


def stretches(span: Span, zone: str, now: datetime) -> tuple[Stretch, ...]:
    """Return when something must have happened for `span` after it, in `zone`, to be later than `now`."""
    if span.elapsed is not None:
        begins = cut(span, now)
        return ((begins + _TICK if begins else None, None),)
    try:
        first = (now - span.at_most).astimezone(ZoneInfo(zone)).date() - _DAY
    except OverflowError:
        return ((None, None),)

    def lasts(base: datetime) -> bool:
        return add(span, base, zone) > now

    found = [(now + _TICK, None), *reversed(list(_lasting(first, now, zone, lasts)))] if span.amount else []
    return _joined(found) if found else ((now + _TICK, None),)


def _lasting(
    first: date, now: datetime, zone: str, lasts: Callable[[datetime], bool]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the ends of days from `first` to `now` whose moments still count, oldest first."""
    for begin, end in _pieces(first, now + _TICK, zone):
        if not lasts(end - _TICK):
            continue
        if lasts(begin):
            yield begin, end
            continue
        early, late = begin, end - _TICK
        while late - early > _TICK:
            middle = early + (late - early) // 2
            early, late = (early, middle) if lasts(middle) else (middle, late)
        yield late, end


def _pieces(first: date, until: datetime, zone: str) -> Iterator[tuple[datetime, datetime]]:
    """Yield the local days from `first` on, cut where the clock changes: within each, later is later on the clock."""
    place, day = ZoneInfo(zone), first
    begin = datetime.combine(day, time(0), place).astimezone(UTC)
    while begin < until:
        day += _DAY
        end = min(datetime.combine(day, time(0), place).astimezone(UTC), until)
        if end <= begin:
            continue
        if (change := _clock_change(begin, end, place)) is not None:
            yield begin, change
            yield change, end
        else:
            yield begin, end
        begin = end


def _clock_change(begin: datetime, end: datetime, place: ZoneInfo) -> datetime | None:
    """Return the first moment of another UTC offset within the day, None if it has one only."""
    before = begin.astimezone(place).utcoffset()
    if (end - _TICK).astimezone(place).utcoffset() == before:
        return None
    early, late = begin, end - _TICK
    while late - early > _TICK:
        middle = early + (late - early) // 2
        early, late = (middle, late) if middle.astimezone(place).utcoffset() == before else (early, middle)
    return late


def _joined(found: list[tuple[datetime, datetime | None]]) -> tuple[Stretch, ...]:
    """Join stretches that touch; they come latest first, and so they stay."""
    joined = found[:1]
    for begin, end in found[1:]:
        if end == joined[-1][0]:
            joined[-1] = (begin, joined[-1][1])
        else:
            joined.append((begin, end))
    return tuple(joined)
