"""Gate: has the rep approved exactly this, and has nothing happened since that they should know?"""

from __future__ import annotations

from datetime import datetime, timedelta

from nurture.core.decision import Cancel, Due, Finding, Hold, Skip
from nurture.core.events import REPLIES
from nurture.core.words import Voice

AGAIN = timedelta(days=1)
VOIDING = REPLIES | {"rep_wrote"}
"""Kinds of events that make an approval void: the conversation is no longer the one that was approved."""


def check(due: Due, now: datetime) -> Finding:
    """Hold personal mail until it is approved; once it has expired unapproved, its step says what follows."""
    newer = [e for e in due.situation.events if e.kind in VOIDING and due.approved_at and e.at > due.approved_at]
    inputs = {
        "voice": due.message.voice.value,
        "approved": due.approved,
        "approved_at": due.approved_at.isoformat() if due.approved_at else None,
        "happened_since": sorted({event.kind for event in newer}),
        "not_after": due.not_after.isoformat() if due.not_after else None,
    }
    if due.message.voice is not Voice.PERSONAL or (due.approved and not newer):
        return Finding(None, inputs)
    return Finding(_unapproved(due, newer[-1].kind if newer else None, now), inputs)


def _unapproved(due: Due, since: str | None, now: datetime) -> Hold | Skip | Cancel:
    if due.not_after and now >= due.not_after:
        reason = "expired: nobody approved it in time"
        return Skip(reason) if due.step and due.step.on_rejected == "advance" else Cancel(reason)
    reason = f"its approval is void: {since} since" if since else "waits for approval"
    return Hold(reason, min(now + AGAIN, due.not_after or now + AGAIN))
