"""Gate: has the message's moment passed?"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from nurture.core.calendars import resolve_zone
from nurture.core.decision import SHARED, Check, Due, Hold, Reading, Skip
from nurture.core.lateness import Later, Missed, is_on_time, judge
from nurture.core.sequence import LatePolicy

NAME = "lateness"


def check(due: Due, now: datetime) -> Check:
    """Skip what has expired or is later than its step allows; give what was left lying a slot of its own.

    It was left lying since its slot: the latest of its due time, its approval and the hold before this one.
    """
    planned, not_after = due.message.due_at, due.not_after
    slot = max(planned, due.slot_at or now)
    if due.approved_at:
        slot = max(slot, due.approved_at)
    read = Check(_reading(due.step.late if due.step else None), (planned, slot, not_after))
    if not_after and now >= not_after:
        return read.says(Skip(f"expired: not to go after {not_after:%Y-%m-%d %H:%M} UTC"))
    if due.sequence is None or due.step is None or is_on_time(due.step, slot, now):
        return read
    zone, _ = resolve_zone(due.situation.contact, due.company)
    window = due.sequence.window
    return read.says(_answer(judge(due.step, window, planned, slot, zone, due.seed, now, patience=due.patience)))


def _answer(verdict: Later | Missed | None) -> Hold | Skip | None:
    if verdict is None:
        return None
    return Hold("missed its slot: has a new one", verdict.until) if isinstance(verdict, Later) else Skip(verdict.reason)


@lru_cache(maxsize=SHARED)
def _reading(late: LatePolicy | None) -> Reading:
    return Reading(NAME, {"late": late.value if late else None}, ("due_at", "slot_at", "not_after"))
