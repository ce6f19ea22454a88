"""Gate: may anything more go out today?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from nurture.core.calendars import jitter
from nurture.core.decision import Check, Due, Hold, Reading

NAME = "caps"
SPREAD = timedelta(minutes=30)

_UNLIMITED = Check(Reading(NAME, {"left_today": None}))
_LIMITED = Reading(NAME, own=("left_today",))


def check(due: Due, now: datetime) -> Check:
    """Hold until the next day (UTC), spread over half an hour, when the launch cap of today is used up."""
    if due.budget is None:
        return _UNLIMITED
    if due.budget > 0:
        return Check(_LIMITED, (due.budget,))
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(0, 0), UTC)
    hold = Hold("the launch cap of today is used up", tomorrow + jitter(due.seed, SPREAD))
    return Check(_LIMITED, (due.budget,), hold)
