"""Gate: may anything more go out today?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from nurture.core.calendars import jitter
from nurture.core.decision import Due, Finding, Hold

SPREAD = timedelta(minutes=30)


def check(due: Due, now: datetime) -> Finding:
    """Hold until the next day (UTC), spread over half an hour, when the launch cap of today is used up."""
    inputs = {"left_today": due.budget}
    if due.budget is None or due.budget > 0:
        return Finding(None, inputs)
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(0, 0), UTC)
    return Finding(Hold("the launch cap of today is used up", tomorrow + jitter(due.seed, SPREAD)), inputs)
