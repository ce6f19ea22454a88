"""Gate: is it a good time of day where the contact is?"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from nurture.core.calendars import is_open, next_open, resolve_zone
from nurture.core.decision import SHARED, Check, Due, Hold, Reading
from nurture.core.windows import Window

NAME = "window"

_ANY_TIME = Check(Reading(NAME, {"window": None}))


def check(due: Due, now: datetime) -> Check:
    """Hold until the sequence's window opens, by the contact's clock. Without a sequence any time is good."""
    if due.sequence is None:
        return _ANY_TIME
    window = due.sequence.window
    zone, whose = resolve_zone(due.situation.contact, due.company)
    may_go, read = _look(window, zone, whose, now)
    return read if may_go else read.says(Hold("outside the window", next_open(window, now, zone, due.seed)))


@lru_cache(maxsize=4 * SHARED)
def _look(window: Window, zone: str, whose: str, now: datetime) -> tuple[bool, Check]:
    """Say whether a window is open in a zone, and what was read for it: the same for most contacts of a page."""
    local_time = now.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")
    return is_open(window, now, zone), Check(_reading(window, zone, whose), (local_time,))


@lru_cache(maxsize=SHARED)
def _reading(window: Window, zone: str, whose: str) -> Reading:
    inputs = {
        "zone": zone,
        "zone_from": whose,
        "days": sorted(window.days),
        "opens": window.opens.isoformat("minutes"),
        "closes": window.closes.isoformat("minutes"),
    }
    return Reading(NAME, inputs, ("local_time",))
