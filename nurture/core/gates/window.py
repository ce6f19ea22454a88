"""Gate: is it a good time of day where the contact is?"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from nurture.core.calendars import is_open, next_open, resolve_zone
from nurture.core.decision import Due, Finding, Hold


def check(due: Due, now: datetime) -> Finding:
    """Hold until the sequence's window opens, by the contact's clock. Without a sequence any time is good."""
    if due.sequence is None:
        return Finding(None, {"window": None})
    window = due.sequence.window
    zone, whose = resolve_zone(due.situation.contact, due.company)
    inputs = {
        "zone": zone,
        "zone_from": whose,
        "local_time": now.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M"),
        "days": sorted(window.days),
        "opens": window.opens.isoformat("minutes"),
        "closes": window.closes.isoformat("minutes"),
    }
    if is_open(window, now, zone):
        return Finding(None, inputs)
    return Finding(Hold("outside the window", next_open(window, now, zone, due.seed)), inputs)
