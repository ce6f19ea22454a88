"""What each kind of step answers. How the answers make a walk is `test_schedule`."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from nurture.core.answers import Advance, Answer, Finish, Sleep
from nurture.core.conditions import Compare, Op
from nurture.core.effects import MoveStage, OpenTaskFor, PlanMessage, RecordEvent, UpdateContact
from nurture.core.model import Enrollment, OpenTask, Situation
from nurture.core.sequence import Arm, LatePolicy, Step
from nurture.core.spans import parse_span
from nurture.core.steps import STEPS
from nurture.core.windows import ALWAYS_OPEN, Delay, Window
from nurture.core.words import EnrollmentState, Voice
from tests.core.running import COMPANY, LIFECYCLE, NOW, after, contact, email, enrollment, sequence, situation

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFFICE = Window(spread=0)


def answer(
    step: Step,
    now: datetime = NOW,
    *,
    run: Enrollment | None = None,
    of: Situation | None = None,
    voice: Voice = Voice.MARKETING,
    window: Window = ALWAYS_OPEN,
) -> Answer:
    """Return what a step answers a run that has stood there since NOW."""
    run = run or enrollment(state=EnrollmentState.ACTIVE, step_id=step.id)
    whole = sequence(step, voice=voice, window=window, file="sequences/welcome.yaml")
    return STEPS[step.kind](step, whole, run, of or situation(), LIFECYCLE, COMPANY, now)


def planned(found: Answer) -> PlanMessage:
    assert isinstance(found, Sleep)
    assert found.waiting_for == "message"
    (message,) = found.actions
    assert isinstance(message, PlanMessage)
    return message


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_every_kind_waits_for_its_delay(kind: str) -> None:
    step = Step("x", kind, after("2 hours"), template="t", params={"title": "Call"})
    early = answer(step, NOW + HOUR)
    assert isinstance(early, Sleep)
    assert (early.until, early.waiting_for, early.actions) == (NOW + 2 * HOUR, "time", ())
    late = answer(step, NOW + 2 * HOUR)
    assert not isinstance(late, Sleep) or late.waiting_for == "message"


# --- email ------------------------------------------------------------------------------------------------------------


def test_marketing_mail_is_planned_when_its_slot_is_reached() -> None:
    step = email("hello", delay=after("1 day"), thread=True)
    early = answer(step, NOW + DAY - HOUR)
    assert isinstance(early, Sleep)
    assert early.until == NOW + DAY
    message = planned(answer(step, NOW + DAY))
    assert message == PlanMessage("hello", 0, "leads/hello", Voice.MARKETING, NOW + DAY, None, True)


def test_mail_waits_for_the_contacts_window() -> None:
    tokyo = situation(contact=contact(time_zone="Asia/Tokyo"))
    asleep = answer(email("hello"), window=OFFICE, of=tokyo)  # 18:00 in Tokyo
    assert isinstance(asleep, Sleep)
    assert asleep.until == datetime(2026, 3, 3, 0, 0, tzinfo=UTC)


def test_a_delay_at_a_local_time_is_the_contacts() -> None:
    step = email("hello", delay=Delay(parse_span("1 day"), time(9)))
    asleep = answer(step, of=situation(contact=contact(country="JP")))
    assert isinstance(asleep, Sleep)
    assert asleep.until == datetime(2026, 3, 3, 0, 0, tzinfo=UTC)


def test_personal_mail_is_drafted_one_business_day_ahead() -> None:
    step = email("hello", delay=after("2 business days"))
    early = answer(step, voice=Voice.PERSONAL)
    assert isinstance(early, Sleep)
    assert (early.until, early.waiting_for) == (NOW + DAY, "time")
    message = planned(answer(step, NOW + DAY, voice=Voice.PERSONAL))
    assert message.due_at == NOW + 2 * DAY
    assert message.not_after == NOW + 9 * DAY
    assert message.voice is Voice.PERSONAL


def test_a_step_may_say_how_far_ahead_it_is_drafted() -> None:
    step = email("hello", delay=after("3 days"), draft_ahead=parse_span("2 days"))
    assert planned(answer(step, NOW + DAY, voice=Voice.PERSONAL)).due_at == NOW + 3 * DAY


def test_a_first_personal_mail_is_drafted_at_once() -> None:
    assert planned(answer(email("hello"), voice=Voice.PERSONAL)).due_at == NOW


def test_overdue_mail_is_planned_for_the_slot_that_it_missed() -> None:
    now = NOW + 3 * DAY
    assert planned(answer(email("hello"), now)).due_at == NOW
    draft = planned(answer(email("hello"), now, voice=Voice.PERSONAL))
    assert (draft.due_at, draft.not_after) == (NOW, now + 7 * DAY)


def test_mail_later_than_its_step_allows_is_passed_over() -> None:
    step = email("hello", late=LatePolicy.SKIP, late_after=parse_span("1 day"))
    skipped = answer(step, NOW + 2 * DAY)
    assert isinstance(skipped, Advance)
    assert (skipped.base_at, skipped.actions) == (NOW + 2 * DAY, ())


def test_mail_that_expires_says_until_when_it_may_go() -> None:
    step = email("hello", late=LatePolicy.EXPIRE, late_after=parse_span("2 days"))
    assert planned(answer(step)).not_after == NOW + 2 * DAY


# --- wait, branch, exit -----------------------------------------------------------------------------------------------


def test_the_next_delay_counts_from_the_end_of_the_wait() -> None:
    found = answer(Step("pause", "wait", after("3 days")), NOW + 5 * DAY)
    assert isinstance(found, Advance)
    assert found.base_at == NOW + 3 * DAY


GERMAN, SWISS = Compare("country", Op.EQ, "DE"), Compare("country", Op.EQ, "CH")


@pytest.mark.parametrize(("country", "to"), [("DE", "hallo"), ("CH", "gruezi"), ("US", "hello")])
def test_the_first_arm_that_holds_is_taken(country: str, to: str) -> None:
    arms = (Arm(GERMAN, "hallo"), Arm(SWISS, "gruezi"), Arm(None, "hello"))
    found = answer(Step("fork", "branch", arms=arms), of=situation(contact=contact(country=country)))
    assert isinstance(found, Advance)
    assert found.to == to


def test_without_an_arm_it_goes_on_after_the_branch() -> None:
    found = answer(Step("fork", "branch", arms=(Arm(GERMAN, "hallo"),)))
    assert isinstance(found, Advance)
    assert found.to is None


def test_an_exit_says_why() -> None:
    found = answer(Step("end", "exit", params={"reason": "done", "disposition": "no_response"}))
    assert found == Finish("done", "no_response")


# --- task -------------------------------------------------------------------------------------------------------------


def call(**params: Any) -> Step:
    return Step("call", "task", params={"kind": "call", "title": "Call them", **params})


def test_a_task_is_opened_and_the_run_goes_on() -> None:
    found = answer(call(due=parse_span("1 business day"), note="be kind"))
    assert isinstance(found, Advance)
    (task,) = found.actions
    assert isinstance(task, OpenTaskFor)
    assert (task.kind, task.title, task.due_at, task.note) == ("call", "Call them", NOW + DAY, "be kind")
    assert (task.key, task.enrollment_id, task.step_id) == ("e:1:call:0", 1, "call")


def test_a_run_may_wait_for_its_task_and_opens_it_once() -> None:
    step = call(wait=True, timeout="5 business days")
    first = answer(step)
    assert isinstance(first, Sleep)
    assert (first.waiting_for, first.until, len(first.actions)) == ("task", NOW + 7 * DAY, 1)
    again = answer(step, NOW + DAY, run=waiting(first), of=situation(tasks=(OPEN,)))
    assert isinstance(again, Sleep)
    assert (again.until, again.actions) == (NOW + 7 * DAY, ())


OPEN = OpenTask(7, "call", None, enrollment().id, "call")


def waiting(asleep: Sleep) -> Enrollment:
    state = EnrollmentState.WAITING
    return enrollment(state=state, step_id="call", waiting_for="task", base_at=asleep.base_at or NOW)


def test_a_task_that_is_no_longer_open_lets_the_run_go_on() -> None:
    step = call(wait=True)
    first = answer(step)
    assert isinstance(first, Sleep)
    found = answer(step, NOW + DAY, run=waiting(first))
    assert isinstance(found, Advance)
    assert found.base_at == NOW + DAY


def test_a_task_that_is_not_done_in_time_lets_the_run_go_on() -> None:
    step = call(wait=True, timeout="2 days")
    run = enrollment(state=EnrollmentState.WAITING, step_id="call", waiting_for="task")
    found = answer(step, NOW + 3 * DAY, run=run, of=situation(tasks=(OPEN,)))
    assert isinstance(found, Advance)
    assert found.base_at == NOW + 2 * DAY


def test_a_task_without_a_timeout_is_waited_for() -> None:
    run = enrollment(state=EnrollmentState.WAITING, step_id="call", waiting_for="task")
    found = answer(call(wait=True), NOW + 30 * DAY, run=run, of=situation(tasks=(OPEN,)))
    assert isinstance(found, Sleep)
    assert found.until > NOW + 30 * DAY


# --- update -----------------------------------------------------------------------------------------------------------


def test_an_update_sets_moves_and_records() -> None:
    params = {"set": {"fields.note": "warm"}, "stage": "prospect", "event": "nurture_finished"}
    found = answer(Step("mark", "update", params=params, line=12))
    assert isinstance(found, Advance)
    assert found.actions == (
        UpdateContact({"fields.note": "warm"}),
        MoveStage("lead", "prospect", "step mark of welcome", "sequences/welcome.yaml:12"),
        RecordEvent("nurture_finished", "e:1:mark:0", {"sequence": "welcome", "step": "mark"}),
    )


def test_an_update_to_the_stage_that_they_are_in_moves_nobody() -> None:
    found = answer(Step("mark", "update", params={"set": {}, "stage": "lead", "event": None}))
    assert isinstance(found, Advance)
    assert found.actions == ()
