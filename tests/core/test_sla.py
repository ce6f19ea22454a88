from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nurture.core.handoff import Sla
from nurture.core.sla import Clock, Step, due_at, pending
from nurture.core.working import WorkingCalendar

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OFFICE = WorkingCalendar("UTC")
SLA = Sla(4 * HOUR, warn_after=2 * HOUR, escalate_after=6 * HOUR, reassign_after=10 * HOUR, reassign_at_most=1)


def test_everything_comes_in_working_time() -> None:
    assert due_at(SLA, OFFICE, MONDAY) == MONDAY + 4 * HOUR
    assert pending(SLA, OFFICE, Clock(MONDAY)) == [
        (MONDAY + 2 * HOUR, Step.WARN),
        (MONDAY + 6 * HOUR, Step.ESCALATE),
        (MONDAY + timedelta(days=1, hours=2), Step.REASSIGN),
    ]


@pytest.mark.parametrize(
    ("clock", "steps"),
    [
        (Clock(MONDAY, warned=True), [Step.ESCALATE, Step.REASSIGN]),
        (Clock(MONDAY, warned=True, escalated=True), [Step.REASSIGN]),
        (Clock(MONDAY, moved=1), [Step.WARN, Step.ESCALATE]),
    ],
    ids=["warned", "escalated", "moved-often-enough"],
)
def test_what_was_done_does_not_come_again(clock: Clock, steps: list[Step]) -> None:
    assert [step for _, step in pending(SLA, OFFICE, clock)] == steps


def test_what_the_file_leaves_out_does_not_come() -> None:
    assert pending(Sla(HOUR), OFFICE, Clock(MONDAY)) == []


def test_somebody_who_never_works_is_never_due() -> None:
    never = WorkingCalendar("UTC", hours=())
    assert due_at(SLA, never, MONDAY) is None
    assert pending(SLA, never, Clock(MONDAY)) == []
