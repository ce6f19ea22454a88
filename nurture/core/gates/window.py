"""Gate: is it a good time of day where the contact is?"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from nurture.core.calendars import is_open, next_open, resolve_zone
from nurture.core.decision import Due, Finding, Hold
from nurture.core.model import Data
from nurture.core.windows import Window


def check(due: Due, now: datetime) -> Finding:
    """Hold until the sequence's window opens, by the contact's clock. Without a sequence any time is good."""
    if due.sequence is None:
        return Finding(None, {"window": None})
    window = due.sequence.window
    zone, whose = resolve_zone(due.situation.contact, due.company)
    may_go, read = _look(window, zone, now)
    inputs = {"zone": zone, "zone_from": whose, **read}
    if may_go:
        return Finding(None, inputs)
    return Finding(Hold("outside the window", next_open(window, now, zone, due.seed)), inputs)


@lru_cache(maxsize=1024)
def _look(window: Window, zone: str, now: datetime) -> tuple[bool, Data]:
    """Say whether a window is open in a zone, and what was read for it: the same for most contacts of a page."""
    read = {
        "local_time": now.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M"),
        "days": sorted(window.days),
        "opens": window.opens.isoformat("minutes"),
        "closes": window.closes.isoformat("minutes"),
    }
    return is_open(window, now, zone), read
