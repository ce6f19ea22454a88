"""Gate: has the rep approved exactly this, and has nothing happened since that they should know?"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from nurture.core.decision import SHARED, Cancel, Check, Due, Hold, Reading, Skip
from nurture.core.events import REPLIES
from nurture.core.words import Voice

NAME = "approval"
AGAIN = timedelta(days=1)
VOIDING = REPLIES | {"rep_wrote"}
"""Kinds of events that make an approval void: the conversation is no longer the one that was approved."""


def check(due: Due, now: datetime) -> Check:
    """Hold personal mail until it is approved; once it has expired unapproved, its step says what follows."""
    voice, approved_at = due.message.voice, due.approved_at
    if voice is not Voice.PERSONAL and approved_at is None and due.not_after is None:
        return _not_needed(voice, due.approved)
    newer = [e.kind for e in due.situation.events if e.kind in VOIDING and approved_at and e.at > approved_at]
    read = Check(_reading(voice, due.approved), (approved_at, sorted(set(newer)), due.not_after))
    if voice is not Voice.PERSONAL or (due.approved and not newer):
        return read
    return read.says(_unapproved(due, newer[-1] if newer else None, now))


@lru_cache(maxsize=SHARED)
def _not_needed(voice: Voice, approved: bool | None) -> Check:
    nothing = {"approved_at": None, "happened_since": list[str](), "not_after": None}
    return Check(Reading(NAME, {"voice": voice.value, "approved": approved, **nothing}))


@lru_cache(maxsize=SHARED)
def _reading(voice: Voice, approved: bool | None) -> Reading:
    inputs = {"voice": voice.value, "approved": approved}
    return Reading(NAME, inputs, ("approved_at", "happened_since", "not_after"))


def _unapproved(due: Due, since: str | None, now: datetime) -> Hold | Skip | Cancel:
    if due.not_after and now >= due.not_after:
        reason = "expired: nobody approved it in time"
        return Skip(reason) if due.step and due.step.on_rejected == "advance" else Cancel(reason)
    reason = f"its approval is void: {since} since" if since else "waits for approval"
    return Hold(reason, min(now + AGAIN, due.not_after or now + AGAIN))
