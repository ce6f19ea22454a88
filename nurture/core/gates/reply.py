"""Gate: has the person answered since the run began?"""

from __future__ import annotations

from datetime import datetime

from nurture.core.decision import Cancel, Check, Due, Reading
from nurture.core.events import REPLIES

NAME = "reply"

_READINGS = {ends: Reading(NAME, {"ends_on_reply": ends}, ("since", "replied_at")) for ends in (False, True)}


def check(due: Due, now: datetime) -> Check:
    """Cancel the mail of a run that ends on a reply, once there is one. Automatic replies are none.

    A run that goes on after replies asks its rep again (that is the approval gate).
    """
    run, ends = due.run, due.sequence is not None and due.sequence.ends_on_reply
    since = run.entered_at if run else due.drafted_at
    replied_at = _replied_at(due, since) if since and due.situation.events else None
    cancel = Cancel(f"replied on {replied_at:%Y-%m-%d}") if replied_at and ends else None
    return Check(_READINGS[ends], (since, replied_at), cancel)


def _replied_at(due: Due, since: datetime) -> datetime | None:
    """Return when they last replied, from when the run began (else: the message was drafted)."""
    replies = [event.at for event in due.situation.events if event.kind in REPLIES and event.at >= since]
    return replies[-1] if replies else None
