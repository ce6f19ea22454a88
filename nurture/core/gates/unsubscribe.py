"""Gate: can the person leave with one click?"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from nurture.core.calendars import jitter
from nurture.core.decision import SHARED, Check, Due, Hold, Reading
from nurture.core.words import Voice

NAME = "unsubscribe"
AGAIN = timedelta(minutes=15)
SPREAD = timedelta(minutes=10)


def check(due: Due, now: datetime) -> Check:
    """Hold marketing mail while the unsubscribe endpoint is not known to work."""
    voice = due.message.voice
    read = _read(voice, due.unsubscribe_ready)
    if voice is not Voice.MARKETING or due.unsubscribe_ready is None:
        return read
    reason = f"no unsubscribe endpoint: {due.unsubscribe_ready}"
    return read.says(Hold(reason, now + AGAIN + jitter(due.seed, SPREAD)))


@lru_cache(maxsize=SHARED)
def _read(voice: Voice, missing: str | None) -> Check:
    return Check(Reading(NAME, {"voice": voice.value, "missing": missing}))
