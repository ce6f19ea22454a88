"""What is reckoned once for many runs is what each of them would have come to by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.core.model import ContactId, Enrollment, EnrollmentId, SenderId, VersionId
from nurture.core.onward import FEW, SET, Ended, Stride, onward
from nurture.core.schedule import after_message, rest
from nurture.core.sequence import Sequence
from nurture.core.windows import Window
from nurture.core.words import EnrollmentState, Voice
from tests.core.running import COMPANY, LIFECYCLE, NOW, after, contact, email, enrollment, sequence
from tests.core.test_schedule import sequences

DAY = timedelta(days=1)
WAITING = enrollment(state=EnrollmentState.WAITING, step_id="hello", waiting_for="message")


@dataclass(frozen=True)
class Stand:
    """What runs that stand alike have in common."""

    state: EnrollmentState
    step: str
    paused_until: datetime | None
    result: str
    at: datetime
    zone: str | None
    sender: SenderId | None


PLACES: dict[str, list[object]] = {
    "state": [EnrollmentState.WAITING, EnrollmentState.HELD, EnrollmentState.PAUSED],
    "step": ["hello", "s0"],
    "paused_until": [None, NOW + DAY],
    "result": ["sent", "sent", "skipped", "refused", "expired"],
    "at": [NOW, NOW - 3 * DAY],
    "zone": [None, "Asia/Tokyo", "America/New_York"],
    "sender": [None, SenderId(1), SenderId(2)],
}
PAIRS = st.fixed_dictionaries({name: st.permutations(values) for name, values in PLACES.items()})


@settings(deadline=None, max_examples=60)
@given(sequences(), PAIRS)
def test_runs_that_stand_alike_go_on_as_each_would_alone(of: Sequence, pairs: dict[str, list[object]]) -> None:
    of = replace(of, steps=(email("hello", "s0"), *of.steps))
    stand = Stand(**{name: values[0] for name, values in pairs.items()})  # type: ignore[arg-type]
    near = [replace(stand, **{name: values[1]}) for name, values in pairs.items()]  # type: ignore[arg-type]
    ended = [_ended(number, one) for number, one in enumerate([stand, *near] * FEW, 1)]
    assert _together(of, ended, NOW) == [one for each in ended for one in _alone(of, each, NOW)]


@pytest.mark.parametrize("voice", [Voice.MARKETING, Voice.PERSONAL])
def test_each_has_its_own_moment_in_a_window_that_is_spread(voice: Voice) -> None:
    """Drafts are written a day before, so that at eleven the earlier ones are due at once, and the others are not."""
    again = email("again", delay=after("1 day"))
    of = sequence(email("hello", "again"), again, voice=voice, window=Window(spread=240))
    ended = [_waited(number) for number in range(1, 3 * FEW)]
    found = _together(of, ended, NOW + timedelta(hours=2))
    assert found == [one for each in ended for one in _alone(of, each, NOW + timedelta(hours=2))]
    assert len({due for _, due in found}) > FEW
    assert {run.state for run, _ in found} == {
        Voice.MARKETING: {EnrollmentState.WAITING},
        Voice.PERSONAL: {EnrollmentState.WAITING, EnrollmentState.ACTIVE},
    }[voice]


def test_many_that_stand_alike_make_one_stride_whoever_they_are() -> None:
    of = sequence(email("hello", "again"), email("again", delay=after("3 days")))
    ended = [_waited(number) for number in range(1, FEW + 1)]
    (stride,), plans = onward(ended, {VersionId(1): of}, LIFECYCLE, COMPANY, NOW)
    assert plans == []
    assert {due for _, due in stride.due} == {NOW + 3 * DAY}
    assert onward(ended[1:], {VersionId(1): of}, LIFECYCLE, COMPANY, NOW)[0] == []


@pytest.mark.parametrize("step", ["again", "gone"])
def test_runs_that_are_over_have_plans_and_those_whose_step_is_gone_none(step: str) -> None:
    of = sequence(email("hello", "again"), email("again"))
    ended = [replace(one, run=replace(one.run, step_id=step)) for one in map(_waited, range(1, FEW + 1))]
    strides, plans = onward(ended, {VersionId(1): of}, LIFECYCLE, COMPANY, NOW)
    assert strides == []
    assert [plan.enrollment.state for plan in plans] == [EnrollmentState.COMPLETED] * (FEW if step == "again" else 0)


def _waited(number: int) -> Ended:
    return Ended(replace(WAITING, id=EnrollmentId(number)), "sent", NOW, contact())


def _ended(number: int, stand: Stand) -> Ended:
    """Return a run that stands there, and differs from the one before in all that makes no difference."""
    run = enrollment(
        state=stand.state,
        step_id=stand.step,
        paused_until=stand.paused_until,
        base_at=NOW - number * DAY,
        occurrence=number % 2,
        waiting_for="message" if number % 4 else None,
        sender_id=SenderId(1),
    )
    run = replace(run, id=EnrollmentId(number), contact_id=ContactId(number + 1000))
    return Ended(run, stand.result, stand.at, contact(time_zone=stand.zone) if stand.zone else None, stand.sender)


def _together(of: Sequence, ended: list[Ended], now: datetime) -> list[tuple[Enrollment, datetime | None]]:
    """Return what becomes of runs that are asked about at once, by id."""
    strides, plans = onward(ended, {VersionId(1): of}, LIFECYCLE, COMPANY, now)
    before = {one.run.id: one.run for one in ended}
    found = [(plan.enrollment, plan.due_at) for plan in plans]
    found += [(_after(stride, before[key]), due) for stride in strides for key, due in stride.due]
    return sorted(found, key=lambda one: one[0].id)


def _alone(of: Sequence, one: Ended, now: datetime) -> list[tuple[Enrollment, datetime | None]]:
    """Return what becomes of one run, none if its step is gone."""
    step = of.step(one.run.step_id or "")
    if step is None:
        return []
    run = replace(one.run, sender_id=one.sender or one.run.sender_id)
    plan = after_message(of, run, step, one.result, one.at, now)
    plan = rest(plan, of, one.contact, LIFECYCLE, COMPANY, now) if one.contact else plan
    return [(plan.enrollment, plan.due_at)]


def _after(stride: Stride, run: Enrollment) -> Enrollment:
    return replace(run, **{name: getattr(stride.to, name) for name in SET})
