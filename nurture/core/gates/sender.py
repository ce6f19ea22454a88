"""Gate: can the sender send?"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from nurture.core.calendars import jitter
from nurture.core.decision import SHARED, Check, Due, Hold, Reading

NAME = "sender"
AGAIN = timedelta(minutes=15)
SPREAD = timedelta(minutes=30)


def check(due: Due, now: datetime) -> Check:
    """Hold the mail of a sender that is paused: by a person, or because its provider no longer lets it in."""
    sender = due.sender
    read = _read(sender.name, sender.paused_reason)
    if not sender.paused_reason:
        return read
    reason = f"sender {sender.name} is paused: {sender.paused_reason}"
    return read.says(Hold(reason, now + AGAIN + jitter(due.seed, SPREAD)))


@lru_cache(maxsize=SHARED)
def _read(name: str, paused: str | None) -> Check:
    return Check(Reading(NAME, {"sender": name, "paused": paused}))
