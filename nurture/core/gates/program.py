"""Gate: is sending switched on, for everything and for this sequence?"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from nurture.core.calendars import jitter
from nurture.core.decision import SHARED, Check, Due, Hold, Reading

NAME = "program"
AGAIN = timedelta(minutes=15)
SPREAD = timedelta(minutes=30)


def check(due: Due, now: datetime) -> Check:
    """Hold everything while a kill switch is on, and a sequence's mail while it is paused.

    It is asked again spread over half an hour, so that switching on again is no burst.
    """
    read = _read(due.sending_paused, due.sequence_live)
    if due.sending_paused is None and due.sequence_live:
        return read
    reason = "the sequence is paused" if due.sending_paused is None else f"sending is paused: {due.sending_paused}"
    return read.says(Hold(reason, now + AGAIN + jitter(due.seed, SPREAD)))


@lru_cache(maxsize=SHARED)
def _read(sending_paused: str | None, sequence_live: bool) -> Check:
    return Check(Reading(NAME, {"sending_paused": sending_paused, "sequence_live": sequence_live}))
