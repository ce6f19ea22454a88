from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.core.conditions import Compare, Op
from nurture.core.effects import OpenTaskFor, Plan, PlanMessage, UpdateContact
from nurture.core.model import Enrollment, MessageBrief, MessageId, OpenTask, Situation
from nurture.core.schedule import NextSend, after_message, after_task, next_send, reads_more, rest, schedule
from nurture.core.sequence import Arm, LatePolicy, Sequence, Step
from nurture.core.spans import parse_span
from nurture.core.windows import Window
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, MessageState, Voice
from tests.core.running import COMPANY, LIFECYCLE, NOW, after, brief, contact, email, enrollment, sequence, situation

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ACTIVE, WAITING, PAUSED = EnrollmentState.ACTIVE, EnrollmentState.WAITING, EnrollmentState.PAUSED
TWO_MAILS = sequence(email("hello", "again"), email("again", delay=after("3 days")))


def plan(of: Sequence, run: Enrollment | None = None, now: datetime = NOW, where: Situation | None = None) -> Plan:
    return schedule(of, run or enrollment(), where or situation(), LIFECYCLE, COMPANY, now)


def mails(of: Plan) -> list[tuple[str, int]]:
    return [(action.step_id, action.occurrence) for action in of.actions if isinstance(action, PlanMessage)]


def at(step: str, **values: Any) -> Enrollment:
    return enrollment(state=values.pop("state", WAITING), step_id=step, **values)


# --- walking ----------------------------------------------------------------------------------------------------------


def test_a_new_run_begins_at_the_first_step() -> None:
    first = plan(TWO_MAILS)
    assert mails(first) == [("hello", 0)]
    assert (first.enrollment.state, first.enrollment.waiting_for) == (WAITING, "message")
    assert first.due_at is not None
    assert first.due_at > NOW
    assert first.trail[0][0] == "hello"


def test_the_next_delay_counts_from_the_send() -> None:
    waiting = plan(TWO_MAILS).enrollment
    sent_at = NOW + 5 * HOUR
    moved = after_message(TWO_MAILS, waiting, TWO_MAILS.steps[0], "sent", sent_at, sent_at).enrollment
    assert (moved.step_id, moved.base_at, moved.waiting_for) == ("again", sent_at, None)
    asleep = plan(TWO_MAILS, moved, sent_at)
    assert asleep.due_at == sent_at + 3 * DAY
    assert mails(asleep) == []
    assert mails(plan(TWO_MAILS, asleep.enrollment, sent_at + 3 * DAY)) == [("again", 0)]


def test_a_run_is_completed_after_its_last_step() -> None:
    last = TWO_MAILS.steps[1]
    done = after_message(TWO_MAILS, at("again", waiting_for="message"), last, "sent", NOW, NOW)
    assert (done.enrollment.state, done.enrollment.ended_at) == (EnrollmentState.COMPLETED, NOW)
    assert done.due_at is None


def test_steps_without_an_effect_are_walked_in_one_tick() -> None:
    german = Compare("country", Op.EQ, "DE")
    forked = sequence(
        Step("pause", "wait", after("1 day"), "fork"),
        Step("fork", "branch", next="end", arms=(Arm(german, "hallo"), Arm(None, None))),
        email("hallo", "end"),
        Step("end", "exit", params={"reason": "done", "disposition": "no_response"}),
    )
    run = at("pause", waiting_for="time")
    assert mails(plan(forked, run, NOW + DAY, situation(contact=contact(country="DE")))) == [("hallo", 0)]
    ended = plan(forked, run, NOW + DAY)
    assert (ended.enrollment.state, ended.enrollment.reason) == (EnrollmentState.EXITED, "done")
    assert ended.enrollment.disposition == "no_response"
    assert [step for step, _ in ended.trail] == ["pause", "fork", "end"]


def test_a_branch_sees_what_the_update_before_it_did() -> None:
    marked = sequence(
        Step("mark", "update", next="fork", params={"set": {"country": "DE"}}),
        Step("fork", "branch", arms=(Arm(Compare("country", Op.EQ, "DE"), "hallo"),)),
        email("hallo"),
    )
    first = plan(marked)
    assert first.actions == (UpdateContact({"country": "DE"}),)
    assert (first.enrollment.step_id, first.enrollment.state, first.due_at) == ("fork", ACTIVE, NOW)
    assert mails(plan(marked, first.enrollment, NOW, situation(contact=contact(country="DE")))) == [("hallo", 0)]


def test_an_update_at_the_end_is_done_and_the_run_completed() -> None:
    last = plan(sequence(Step("mark", "update", params={"set": {"country": "DE"}})))
    assert last.enrollment.state is EnrollmentState.COMPLETED
    assert len(last.actions) == 1


def test_the_message_has_the_voice_of_its_sequence() -> None:
    (action,) = plan(sequence(email("hello"), voice=Voice.PERSONAL)).actions
    assert isinstance(action, PlanMessage)
    assert action.voice is Voice.PERSONAL


def test_a_step_that_is_not_in_this_version_fails_the_run() -> None:
    lost = plan(TWO_MAILS, at("gone", waiting_for="time"))
    assert (lost.enrollment.state, lost.due_at) == (EnrollmentState.FAILED, None)
    assert lost.enrollment.reason == "step gone is not in this version"


def test_a_kind_that_nobody_knows_fails_the_run() -> None:
    assert plan(sequence(Step("x", "dance"))).enrollment.state is EnrollmentState.FAILED


def test_a_circle_fails_the_run_instead_of_the_engine() -> None:
    around = sequence(Step("a", "wait", next="b"), Step("b", "wait", next="a"))
    assert plan(around).enrollment.state is EnrollmentState.FAILED


@pytest.mark.parametrize("state", sorted(set(EnrollmentState) - set(LIVE_ENROLLMENTS)))
def test_a_run_that_is_over_stays_over(state: EnrollmentState) -> None:
    over = at("hello", state=state)
    assert plan(TWO_MAILS, over) == Plan(over, None)
    assert after_message(TWO_MAILS, over, TWO_MAILS.steps[0], "sent", NOW, NOW) == Plan(over, None)
    assert after_task(TWO_MAILS, over, TWO_MAILS.steps[0], NOW, NOW) == Plan(over, None)


def test_late_mail_that_may_be_skipped_lets_the_run_go_on() -> None:
    hello = email("hello", "again", late=LatePolicy.SKIP, late_after=parse_span("1 day"))
    skipping = sequence(hello, email("again", delay=after("3 days")))
    found = plan(skipping, now=NOW + 2 * DAY)
    assert (found.enrollment.step_id, found.due_at) == ("again", NOW + 5 * DAY)


# --- pausing ----------------------------------------------------------------------------------------------------------


def test_a_paused_run_waits_for_the_end_of_its_pause() -> None:
    paused = at("hello", state=PAUSED, paused_until=NOW + DAY)
    assert plan(TWO_MAILS, paused) == Plan(paused, NOW + DAY)
    resumed = plan(TWO_MAILS, paused, NOW + DAY)
    assert mails(resumed) == [("hello", 0)]
    assert resumed.enrollment.paused_until is None


@pytest.mark.parametrize("of", [TWO_MAILS, sequence(Step("call", "task"), email("hello")), sequence(Step("x", "y"))])
@pytest.mark.parametrize("before", [{"state": PAUSED, "paused_until": NOW}, {"state": WAITING, "waiting_for": "time"}])
@pytest.mark.parametrize("late", [timedelta(), 5 * DAY])
def test_a_run_goes_on_as_if_it_had_never_paused_or_slept(
    of: Sequence, before: dict[str, Any], late: timedelta
) -> None:
    fresh = enrollment(state=ACTIVE, step_id=of.steps[-1].id, base_at=NOW)
    assert plan(of, replace(fresh, **before), NOW + late) == plan(of, replace(fresh, waiting_for=None), NOW + late)


def test_a_run_paused_by_hand_waits_for_a_hand() -> None:
    paused = at("hello", state=PAUSED)
    found = plan(TWO_MAILS, paused, NOW + 30 * DAY)
    assert found.enrollment == paused
    assert found.due_at is not None
    assert found.due_at > NOW + 30 * DAY


def test_a_pause_over_a_draft_plans_no_second_message() -> None:
    paused = at("hello", state=PAUSED, paused_until=NOW, waiting_for="message")
    found = plan(TWO_MAILS, paused, NOW, situation(messages=(brief(state=MessageState.AWAITING_APPROVAL),)))
    assert found.actions == ()
    assert (found.enrollment.state, found.enrollment.waiting_for) == (WAITING, "message")


def test_a_message_that_goes_during_a_pause_leaves_the_run_paused() -> None:
    paused = at("hello", state=PAUSED, paused_until=NOW + DAY, waiting_for="message")
    moved = after_message(TWO_MAILS, paused, TWO_MAILS.steps[0], "sent", NOW, NOW)
    assert (moved.enrollment.state, moved.enrollment.step_id, moved.due_at) == (PAUSED, "again", NOW + DAY)


# --- what was waited for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "policy", "state", "step"),
    [
        ("sent", {}, ACTIVE, "again"),
        ("skipped", {}, ACTIVE, "again"),
        ("refused", {}, EnrollmentState.FAILED, "hello"),
        ("refused", {"on_refused": "advance"}, ACTIVE, "again"),
        ("rejected", {}, EnrollmentState.EXITED, "hello"),
        ("rejected", {"on_rejected": "advance"}, ACTIVE, "again"),
        ("expired", {}, EnrollmentState.EXITED, "hello"),
        ("expired", {"on_rejected": "advance"}, ACTIVE, "again"),
        ("cancelled", {}, EnrollmentState.EXITED, "hello"),
    ],
)
def test_how_a_run_goes_on_after_its_message(
    result: str, policy: dict[str, str], state: EnrollmentState, step: str
) -> None:
    of = sequence(email("hello", "again", **policy), email("again"))
    found = after_message(of, at("hello", waiting_for="message"), of.steps[0], result, NOW, NOW, reason="because")
    assert (found.enrollment.state, found.enrollment.step_id) == (state, step)
    assert found.enrollment.waiting_for is None
    if state is ACTIVE:
        assert (found.due_at, found.enrollment.base_at) == (NOW, NOW)
    else:
        assert (found.due_at, found.enrollment.reason) == (None, f"{result}: because")


def test_the_message_of_an_earlier_step_changes_nothing() -> None:
    run = at("again", waiting_for="time")
    assert after_message(TWO_MAILS, run, TWO_MAILS.steps[0], "cancelled", NOW, NOW) == Plan(run, NOW)


def test_a_result_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no way for a message to end"):
        after_message(TWO_MAILS, at("hello"), TWO_MAILS.steps[0], "delivered", NOW, NOW)


def test_the_next_delay_counts_from_the_end_of_the_task() -> None:
    of = sequence(Step("call", "task", next="hello", params={"wait": True}), email("hello", delay=after("1 day")))
    run = at("call", waiting_for="task")
    done = after_task(of, run, of.steps[0], NOW + HOUR, NOW + HOUR).enrollment
    assert plan(of, done, NOW + HOUR).due_at == NOW + DAY + HOUR
    elsewhere = at("hello", waiting_for="time")
    assert after_task(of, elsewhere, of.steps[0], NOW, NOW).enrollment == elsewhere


@pytest.mark.parametrize(
    ("message", "state", "step"),
    [
        (brief(state=MessageState.READY), WAITING, "hello"),
        (brief(state=MessageState.AMBIGUOUS), WAITING, "hello"),
        (brief(state=MessageState.ACCEPTED, sent_at=NOW - HOUR), ACTIVE, "again"),
        (brief(state=MessageState.REFUSED), EnrollmentState.FAILED, "hello"),
        (brief(state=MessageState.CANCELLED), EnrollmentState.EXITED, "hello"),
        (None, EnrollmentState.FAILED, "hello"),
    ],
)
def test_the_watchdog_never_strands_a_run(message: MessageBrief | None, state: EnrollmentState, step: str) -> None:
    where = situation(messages=(message,) if message else ())
    found = plan(TWO_MAILS, at("hello", waiting_for="message"), NOW, where)
    assert (found.enrollment.state, found.enrollment.step_id) == (state, step)
    assert found.actions == ()
    assert (found.due_at is None) is (state not in LIVE_ENROLLMENTS)
    if state is ACTIVE:
        assert found.enrollment.base_at == NOW - HOUR


# --- looking ahead ----------------------------------------------------------------------------------------------------


def ahead(of: Sequence, run: Enrollment, where: Situation | None = None) -> NextSend | None:
    return next_send(of, run, where or situation(), LIFECYCLE, COMPANY, NOW)


def test_the_next_send_is_found_through_waits_and_updates() -> None:
    of = sequence(
        Step("mark", "update", next="call", params={"set": {"country": "DE"}}),
        Step("call", "task", next="pause", params={"wait": True, "timeout": "2 days"}),
        Step("pause", "wait", after("1 day"), "hello"),
        email("hello", delay=after("2 hours")),
    )
    assert ahead(of, enrollment()) == NextSend("hello", "leads/hello", NOW + 3 * DAY + 2 * HOUR)


def test_the_next_send_of_a_run_that_waits_for_its_message_is_that_message() -> None:
    waiting = at("hello", waiting_for="message")
    message = brief(state=MessageState.READY, due_at=NOW + HOUR)
    assert ahead(TWO_MAILS, waiting, situation(messages=(message,))) == NextSend("hello", "leads/hello", NOW + HOUR)


def test_the_next_send_is_in_the_window() -> None:
    of = sequence(email("hello"), window=Window(spread=0))
    found = ahead(of, enrollment(), situation(contact=contact(time_zone="Asia/Tokyo")))
    assert found is not None
    assert found.about == NOW + 15 * HOUR


def test_without_a_mail_ahead_there_is_no_next_send() -> None:
    assert ahead(sequence(Step("end", "exit")), enrollment()) is None
    assert ahead(TWO_MAILS, at("hello", state=PAUSED)) is None
    assert ahead(TWO_MAILS, at("hello", state=EnrollmentState.COMPLETED)) is None


# --- random walks -----------------------------------------------------------------------------------------------------

DELAYS = st.sampled_from(["0 days", "30 minutes", "2 days", "1 business day"]).map(after)
KINDS = st.sampled_from(["email", "email", "wait", "branch", "task", "wait_task", "update"])


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    """Return any sequence whose steps lead forward, in either voice."""
    count = draw(st.integers(1, 7))
    steps = []
    for number in range(count):
        later = st.sampled_from([*(f"s{n}" for n in range(number + 1, count)), None])
        kind = draw(KINDS)
        values: dict[str, Any] = {"delay": draw(DELAYS), "next": draw(later)}
        if kind == "email":
            late = draw(st.sampled_from(LatePolicy))
            values |= {"template": "t", "late": late, "late_after": parse_span("1 day")}
        if kind == "branch":
            values["arms"] = (Arm(Compare("country", Op.EQ, "DE"), draw(later)), Arm(None, draw(later)))
        if kind == "wait_task":
            values["params"] = {"wait": True, "timeout": "2 days"}
        if kind == "update":
            values["params"] = {"set": {"country": "DE"}}
        steps.append(Step(f"s{number}", kind.removeprefix("wait_"), **values))
    window = draw(st.sampled_from([Window(), Window(spread=0)]))
    return sequence(*steps, voice=draw(st.sampled_from([Voice.MARKETING, Voice.PERSONAL])), window=window)


TURNS = st.tuples(
    st.booleans(),
    st.sampled_from(["sent", "skipped", "refused", "nothing"]),
    st.sampled_from([timedelta(), HOUR, 2 * DAY]),
)
"""What happens between two ticks: somebody pauses the run, what it waits for ends so, and so late the tick comes."""

CALM = (False, "sent", timedelta())


@settings(deadline=None)
@given(sequences(), st.lists(TURNS, max_size=20))
def test_no_step_is_ever_planned_twice_and_every_run_ends(
    of: Sequence, turns: list[tuple[bool, str, timedelta]]
) -> None:
    run, now, where = enrollment(), NOW, situation()
    planned: Counter[tuple[str, int]] = Counter()
    opened: Counter[str] = Counter()
    for pause, result, late in [*turns, *[CALM] * 30]:
        if pause and run.state in LIVE_ENROLLMENTS:
            run = replace(run, state=PAUSED, paused_until=now + DAY)
        found = schedule(of, run, where, LIFECYCLE, COMPANY, now)
        planned.update(mails(found))
        opened.update(action.key for action in found.actions if isinstance(action, OpenTaskFor))
        run = found.enrollment
        if found.due_at is None:
            break
        assert found.due_at >= now
        now = max(now, found.due_at) + late
        run, where = _answered(of, run, _world(where, found, run), result, now)
    assert run.state not in LIVE_ENROLLMENTS
    assert run.ended_at is not None
    assert not planned or max(planned.values()) == 1
    assert not opened or max(opened.values()) == 1


def _world(where: Situation, found: Plan, run: Enrollment) -> Situation:
    """Return the situation after the actions of a plan were carried out."""
    for action in found.actions:
        if isinstance(action, PlanMessage):
            number = MessageId(len(where.messages) + 1)
            message = replace(brief(), id=number, step_id=action.step_id, due_at=action.due_at, voice=action.voice)
            where = replace(where, messages=(*where.messages, message))
        elif isinstance(action, OpenTaskFor):
            task = OpenTask(len(where.tasks) + 1, action.kind, None, run.id, action.step_id)
            where = replace(where, tasks=(*where.tasks, task))
        elif isinstance(action, UpdateContact):
            where = replace(where, contact=contact(country="DE"))
    return where


def _answered(
    of: Sequence, run: Enrollment, where: Situation, result: str, now: datetime
) -> tuple[Enrollment, Situation]:
    """Let what the run waits for end with that result."""
    step = of.step(run.step_id or "")
    if step is None or run.waiting_for not in ("message", "task") or result == "nothing":
        return run, where
    if run.waiting_for == "task":
        return after_task(of, run, step, now, now).enrollment, replace(where, tasks=())
    ends = {"sent": MessageState.ACCEPTED, "refused": MessageState.REFUSED, "skipped": MessageState.CANCELLED}
    last = replace(where.messages[-1], state=ends[result], sent_at=now)
    told = after_message(of, run, step, result, now, now).enrollment
    return told, replace(where, messages=(*where.messages[:-1], last))


# --- resting ----------------------------------------------------------------------------------------------------------

BEHIND_A_DELAY: list[Step] = [
    email("again", delay=after("3 days")),
    email("again", delay=after("3 days"), draft_ahead=parse_span("5 days")),
    email("again"),
    Step("pause", "wait", delay=after("2 business days")),
    Step("now", "wait"),
    Step("call", "task", delay=after("1 day"), params={"title": "Call", "wait": True}),
    Step("fork", "branch", delay=after("1 hour"), arms=(Arm(Compare("fit", Op.EQ, "A"), None),)),
    Step("fork", "branch", arms=(Arm(Compare("fit", Op.EQ, "A"), None),)),
    Step("end", "exit", delay=after("1 week")),
]


@pytest.mark.parametrize("voice", [Voice.MARKETING, Voice.PERSONAL])
@pytest.mark.parametrize("step", BEHIND_A_DELAY, ids=lambda step: f"{step.kind} after {step.delay.span}")
@pytest.mark.parametrize("state", [WAITING, PAUSED])
def test_resting_is_what_the_next_tick_would_find_out(step: Step, voice: Voice, state: EnrollmentState) -> None:
    of = sequence(email("hello", step.id), step, voice=voice, window=Window(opens=time(9), closes=time(10)))
    run = at("hello", waiting_for="message", state=state)
    moved = after_message(of, run, of.steps[0], "sent", NOW, NOW)
    rested = rest(moved, of, contact(), LIFECYCLE, COMPANY, NOW)
    ticked = plan(of, moved.enrollment)
    asleep = state is WAITING and step.delay.span is not None and not ticked.actions
    if asleep:
        assert (rested.enrollment, rested.due_at, rested.actions) == (ticked.enrollment, ticked.due_at, ())
        assert rested.due_at is not None
        assert rested.due_at > NOW
    else:
        assert rested == moved


def test_a_run_that_is_over_or_goes_on_at_once_does_not_rest() -> None:
    done = after_message(TWO_MAILS, at("again", waiting_for="message"), TWO_MAILS.steps[1], "sent", NOW, NOW)
    assert rest(done, TWO_MAILS, contact(), LIFECYCLE, COMPANY, NOW) == done
    paused = after_message(TWO_MAILS, at("hello", state=PAUSED), TWO_MAILS.steps[0], "sent", NOW, NOW)
    assert rest(paused, TWO_MAILS, contact(), LIFECYCLE, COMPANY, NOW) == paused


@pytest.mark.parametrize("step", BEHIND_A_DELAY, ids=lambda step: f"{step.kind} after {step.delay.span}")
def test_steps_that_read_the_contact_alone_answer_the_same_without_the_rest(step: Step) -> None:
    of = sequence(step)
    run = enrollment(step_id=step.id)
    assert reads_more(of, run) is (step.kind in ("branch", "task"))
    assert reads_more(of, replace(run, waiting_for="message"))
    if reads_more(of, run):
        return
    known = situation(messages=(brief(state=MessageState.ACCEPTED),), tasks=(OpenTask(1, "call", NOW),))
    for now in (NOW, NOW + 30 * DAY):
        assert plan(of, run, now, known) == plan(of, run, now, Situation(known.contact))
