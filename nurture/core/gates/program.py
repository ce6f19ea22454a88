"""Gate: is sending switched on, for everything and for this sequence?"""

from __future__ import annotations

from datetime import datetime, timedelta

from nurture.core.calendars import jitter
from nurture.core.decision import Due, Finding, Hold

AGAIN = timedelta(minutes=15)
SPREAD = timedelta(minutes=30)


def check(due: Due, now: datetime) -> Finding:
    """Hold everything while a kill switch is on, and a sequence's mail while it is paused.

    It is asked again spread over half an hour, so that switching on again is no burst.
    """
    inputs = {"sending_paused": due.sending_paused, "sequence_live": due.sequence_live}
    if due.sending_paused is None and due.sequence_live:
        return Finding(None, inputs)
    reason = "the sequence is paused" if due.sending_paused is None else f"sending is paused: {due.sending_paused}"
    return Finding(Hold(reason, now + AGAIN + jitter(due.seed, SPREAD)), inputs)
