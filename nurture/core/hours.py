"""Working hours as people write them: `mon-fri 09:00-12:00, 13:00-17:00; sat 10:00-12:00`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import time

from nurture.core.windows import Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")


def parse_hours(text: str) -> tuple[Window, ...]:
    """Read working hours; raise ValueError with what is allowed. `24:00` is the end of the day."""
    windows = [window for part in text.split(";") if part.strip() for window in _part(part.strip())]
    if not windows:
        raise ValueError("no hours are given: write for example mon-fri 09:00-17:00")
    return tuple(windows)


def say_hours(hours: Iterable[Window]) -> str:
    """Return working hours as `parse_hours` reads them."""
    by_days: dict[frozenset[int], list[str]] = {}
    for window in hours:
        closes = "24:00" if window.closes == time(0) else f"{window.closes:%H:%M}"
        by_days.setdefault(window.days, []).append(f"{window.opens:%H:%M}-{closes}")
    return "; ".join(f"{_say_days(days)} {', '.join(times)}" for days, times in by_days.items())


def _part(text: str) -> Iterable[Window]:
    found = re.match(r"([a-z ,-]+?)\s+(\d.*)$", text.lower())
    if not found:
        raise ValueError(f"{text!r} are no hours: write days and times, for example mon-fri 09:00-17:00")
    days = _days(found[1])
    return [_window(days, times.strip()) for times in found[2].split(",")]


def _window(days: frozenset[int], text: str) -> Window:
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash or not _CLOCK.fullmatch(first) or not _CLOCK.fullmatch(last) or first == "24:00":
        raise ValueError(f"{text!r} are no hours: write for example 09:00-17:00")
    opens, closes = _time(first), _time(last)
    if closes <= opens and closes != time(0):
        raise ValueError(f"{text} ends before it begins: hours after midnight belong to the next day")
    return Window(days, opens, closes, 0)


def _time(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours) % 24, int(minutes))


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = (word.strip()[:3] for word in part.partition("-"))
        for word in (first, *([last] if dash else [])):
            if word not in DAYS:
                raise ValueError(f"{part.strip()!r} is no day: write {', '.join(DAYS)}, or mon-fri")
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        found |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
    return frozenset(found)


def _say_days(days: frozenset[int]) -> str:
    ordered = sorted(days)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{DAYS[ordered[0]]}-{DAYS[ordered[-1]]}"
    return ", ".join(DAYS[day] for day in ordered)
