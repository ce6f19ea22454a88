"""Gate: has the message's moment passed?"""

from __future__ import annotations

from datetime import datetime

from nurture.core.calendars import resolve_zone
from nurture.core.decision import Due, Finding, Hold, Skip
from nurture.core.lateness import Later, judge


def check(due: Due, now: datetime) -> Finding:
    """Skip what has expired or is later than its step allows; give what was left lying a slot of its own.

    It was left lying since its slot: the latest of its due time, its approval and the hold before this one.
    """
    slot = max(due.message.due_at, due.approved_at or due.message.due_at, due.slot_at or now)
    inputs = {
        "due_at": due.message.due_at.isoformat(),
        "slot_at": slot.isoformat(),
        "not_after": due.not_after.isoformat() if due.not_after else None,
        "late": due.step.late.value if due.step else None,
    }
    if due.not_after and now >= due.not_after:
        return Finding(Skip(f"expired: not to go after {due.not_after:%Y-%m-%d %H:%M} UTC"), inputs)
    if due.sequence is None or due.step is None:
        return Finding(None, inputs)
    zone, _ = resolve_zone(due.situation.contact, due.company)
    window, planned = due.sequence.window, due.message.due_at
    verdict = judge(due.step, window, planned, slot, zone, due.seed, now, patience=due.patience)
    if verdict is None:
        return Finding(None, inputs)
    if isinstance(verdict, Later):
        return Finding(Hold("missed its slot: has a new one", verdict.until), inputs)
    return Finding(Skip(verdict.reason), inputs)
