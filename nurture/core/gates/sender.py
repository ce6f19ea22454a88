"""Gate: can the sender send?"""

from __future__ import annotations

from datetime import datetime, timedelta

from nurture.core.calendars import jitter
from nurture.core.decision import Due, Finding, Hold

AGAIN = timedelta(minutes=15)
SPREAD = timedelta(minutes=30)


def check(due: Due, now: datetime) -> Finding:
    """Hold the mail of a sender that is paused: by a person, or because its provider no longer lets it in."""
    inputs = {"sender": due.sender.name, "paused": due.sender.paused_reason}
    if not due.sender.paused_reason:
        return Finding(None, inputs)
    reason = f"sender {due.sender.name} is paused: {due.sender.paused_reason}"
    return Finding(Hold(reason, now + AGAIN + jitter(due.seed, SPREAD)), inputs)
