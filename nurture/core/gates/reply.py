"""Gate: has the person answered since the run began?"""

from __future__ import annotations

from datetime import datetime

from nurture.core.decision import Cancel, Due, Finding
from nurture.core.events import REPLIES


def check(due: Due, now: datetime) -> Finding:
    """Cancel the mail of a run that ends on a reply, once there is one. Automatic replies are none.

    A run that goes on after replies asks its rep again (that is the approval gate).
    """
    since = _since(due)
    ends = any(exit_.kind == "reply" for exit_ in due.sequence.exits) if due.sequence else False
    replies = [e.at for e in due.situation.events if e.kind in REPLIES and since and e.at >= since]
    inputs = {
        "since": since.isoformat() if since else None,
        "ends_on_reply": ends,
        "replied_at": replies[-1].isoformat() if replies else None,
    }
    if replies and ends:
        return Finding(Cancel(f"replied on {replies[-1]:%Y-%m-%d}"), inputs)
    return Finding(None, inputs)


def _since(due: Due) -> datetime | None:
    """Return when the run began, else when the message was drafted."""
    for run in due.situation.enrollments:
        if run.id == due.message.enrollment_id:
            return run.entered_at
    return due.drafted_at
