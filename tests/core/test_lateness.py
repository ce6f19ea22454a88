from __future__ import annotations

from datetime import timedelta

import pytest

from nurture.core.lateness import GRACE, Later, Missed, grace, judge
from nurture.core.sequence import LatePolicy, Step
from nurture.core.spans import parse_span
from nurture.core.windows import ALWAYS_OPEN, Window
from tests.core.running import NOW

OFFICE = Window(spread=30)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def verdict(
    policy: LatePolicy, late: timedelta, allowed: str | None = None, *, window: Window = OFFICE, seed: str = "x"
) -> Later | Missed | None:
    step = Step("hello", "email", late=policy, late_after=parse_span(allowed) if allowed else None)
    return judge(step, window, NOW, NOW, "UTC", seed, NOW + late)


@pytest.mark.parametrize("policy", LatePolicy)
def test_mail_within_the_spread_of_its_slot_is_on_time(policy: LatePolicy) -> None:
    assert verdict(policy, timedelta(minutes=30)) is None
    assert verdict(policy, GRACE, window=ALWAYS_OPEN) is None


def test_overdue_mail_gets_a_slot_of_its_own_instead_of_a_burst() -> None:
    verdicts = [verdict(LatePolicy.SEND, 2 * HOUR, seed=f"enrollment:{n}") for n in range(200)]
    slots = [v.until for v in verdicts if isinstance(v, Later)]
    assert len(slots) == 200
    assert len(set(slots)) > 150
    assert NOW + 2 * HOUR <= min(slots) <= max(slots) < NOW + 2 * HOUR + timedelta(minutes=30)


def test_mail_at_its_new_slot_is_on_time() -> None:
    step = Step("hello", "email")
    slot = verdict(LatePolicy.SEND, 2 * HOUR)
    assert isinstance(slot, Later)
    assert judge(step, OFFICE, NOW, slot.until, "UTC", "x", slot.until + MINUTE) is None


def test_a_new_slot_is_in_the_window() -> None:
    late = verdict(LatePolicy.SEND, 9 * HOUR)
    assert isinstance(late, Later)
    assert late.until >= NOW + DAY


def test_skip_drops_mail_later_than_allowed() -> None:
    assert isinstance(verdict(LatePolicy.SKIP, 2 * HOUR), Later)
    assert verdict(LatePolicy.SKIP, DAY + MINUTE) == Missed("skipped: more than 1 day late")
    assert isinstance(verdict(LatePolicy.SKIP, 2 * HOUR, "3 hours"), Later)
    assert isinstance(verdict(LatePolicy.SKIP, 4 * HOUR, "3 hours"), Missed)


def test_expire_counts_from_the_first_slot() -> None:
    assert isinstance(verdict(LatePolicy.EXPIRE, DAY, "2 days"), Later)
    gone = verdict(LatePolicy.EXPIRE, 2 * DAY + MINUTE, "2 days")
    assert gone == Missed("expired: more than 2 days late")


def test_expiry_in_business_days_is_not_shortened_by_a_weekend() -> None:
    friday_noon = NOW + 4 * DAY + 3 * HOUR
    step = Step("hello", "email", late=LatePolicy.EXPIRE, late_after=parse_span("1 business day"))
    found = judge(step, OFFICE, friday_noon, friday_noon, "UTC", "x", friday_noon + 2 * DAY)
    assert isinstance(found, Later)
    assert found.until.weekday() == 0


def test_mail_whose_new_slot_would_be_after_its_expiry_has_expired() -> None:
    assert isinstance(verdict(LatePolicy.EXPIRE, 9 * HOUR, "10 hours"), Missed)


def test_reschedule_waits_for_the_next_opening() -> None:
    late = verdict(LatePolicy.RESCHEDULE, 2 * HOUR)
    assert isinstance(late, Later)
    assert NOW + DAY <= late.until < NOW + DAY + timedelta(minutes=30)


def test_a_window_without_spread_still_has_a_grace() -> None:
    assert grace(ALWAYS_OPEN) == GRACE
    assert isinstance(verdict(LatePolicy.SEND, GRACE + MINUTE, window=ALWAYS_OPEN), Later)


def test_mail_is_not_late_because_of_a_process_that_looks_rarely() -> None:
    step = Step("hello", "email")
    assert judge(step, OFFICE, NOW, NOW, "UTC", "x", NOW + DAY, patience=DAY) is None
    assert isinstance(judge(step, OFFICE, NOW, NOW, "UTC", "x", NOW + DAY + MINUTE, patience=DAY), Later)


@pytest.mark.parametrize("policy", [LatePolicy.SEND, LatePolicy.RESCHEDULE])
@pytest.mark.parametrize("window", [OFFICE, ALWAYS_OPEN])
@pytest.mark.parametrize("between", [HOUR, 5 * HOUR, DAY, 7 * DAY])
@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_nothing_is_sent_round_for_ever_however_rarely_anybody_looks(
    policy: LatePolicy, window: Window, between: timedelta, seed: str
) -> None:
    step, slot, now, looks = Step("hello", "email", late=policy), NOW, NOW + 50 * MINUTE, 1
    while isinstance(found := judge(step, window, NOW, slot, "UTC", seed, now), Later):
        slot = found.until
        while now < slot:
            now += between
        looks += 1
        assert looks < 6
