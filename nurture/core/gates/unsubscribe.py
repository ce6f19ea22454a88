"""Gate: can the person leave with one click?"""

from __future__ import annotations

from datetime import datetime, timedelta

from nurture.core.calendars import jitter
from nurture.core.decision import Due, Finding, Hold
from nurture.core.words import Voice

AGAIN = timedelta(minutes=15)
SPREAD = timedelta(minutes=10)


def check(due: Due, now: datetime) -> Finding:
    """Hold marketing mail while the unsubscribe endpoint is not known to work."""
    inputs = {"voice": due.message.voice.value, "missing": due.unsubscribe_ready}
    if due.message.voice is not Voice.MARKETING or due.unsubscribe_ready is None:
        return Finding(None, inputs)
    reason = f"no unsubscribe endpoint: {due.unsubscribe_ready}"
    return Finding(Hold(reason, now + AGAIN + jitter(due.seed, SPREAD)), inputs)
